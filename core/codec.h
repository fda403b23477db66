#pragma once

// Reader and Writer are the only code that moves a cursor over bytes. Integers are big-endian. A
// Reader never reads past its end: a read that does not fit fails, and everything after it fails
// too, so that a decoder may read a whole message and ask ok() once at the end.

#include <cstdint>
#include <string_view>

#include "core/bytes.h"

namespace peernet {

class Reader {
 public:
  explicit Reader(BytesView bytes) : rest_(bytes) {}

  std::uint8_t u8();
  std::uint16_t u16();
  std::uint32_t u32();
  std::uint64_t u64();
  BytesView bytes(std::uint64_t count);
  BytesView rest();  // all that remains
  template <class T>
  T tagged() {
    return T::from(bytes(T::kSize)).value_or(T{});
  }

  std::size_t remaining() const { return rest_.size(); }
  bool ok() const { return ok_; }
  bool done() const { return ok_ && rest_.empty(); }
  void fail() {
    ok_ = false;
    rest_ = {};
  }

 private:
  std::uint64_t integer(std::size_t size);

  BytesView rest_;
  bool ok_ = true;
};

class Writer {
 public:
  explicit Writer(Bytes& out) : out_(out) {}

  void u8(std::uint8_t value);
  void u16(std::uint16_t value);
  void u32(std::uint32_t value);
  void u64(std::uint64_t value);
  void bytes(BytesView view) { append(out_, view); }

 private:
  Bytes& out_;
};

}  // namespace peernet
