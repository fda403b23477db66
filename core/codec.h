#pragma once

// Reader and Writer are the only code that moves a cursor over bytes. Integers are big-endian. A
// Reader never reads past its end: a read that does not fit fails, and everything after it fails
// too, so that a decoder may read a whole message and ask ok() once at the end.

#include <array>
#include <cstdint>

#include "core/bytes.h"

namespace peernet {

class Reader {
 public:
  explicit Reader(BytesView bytes) : rest_(bytes) {}

  std::uint8_t u8() { return integer<std::uint8_t>(); }
  std::uint16_t u16() { return integer<std::uint16_t>(); }
  std::uint32_t u32() { return integer<std::uint32_t>(); }
  std::uint64_t u64() { return integer<std::uint64_t>(); }
  BytesView bytes(std::uint64_t count) {
    if (count > rest_.size()) {
      fail();
      return {};
    }
    const BytesView taken = rest_.first(static_cast<std::size_t>(count));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  BytesView rest() { return bytes(rest_.size()); }  // all that remains
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
  template <class T>
  T integer() {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes(sizeof(T))) value = value << 8U | byte;
    return static_cast<T>(value);
  }

  BytesView rest_;
  bool ok_ = true;
};

class Writer {
 public:
  explicit Writer(Bytes& out) : out_(out) {}

  void u8(std::uint8_t value) { integer(value); }
  void u16(std::uint16_t value) { integer(value); }
  void u32(std::uint32_t value) { integer(value); }
  void u64(std::uint64_t value) { integer(value); }
  void bytes(BytesView view) { append(out_, view); }

 private:
  template <class T>
  void integer(T value) {
    std::array<std::uint8_t, sizeof(T)> bytes{};
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      bytes[i] = static_cast<std::uint8_t>(std::uint64_t{value} >> (8 * (sizeof(T) - 1 - i)));
    }
    append(out_, bytes);
  }

  Bytes& out_;
};

}  // namespace peernet
