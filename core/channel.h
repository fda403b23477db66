#pragma once

// Channel turns a byte stream into authenticated records and back, after the handshake. A record on
// the wire is a 2-byte big-endian length and that many bytes of ChaCha20-Poly1305 ciphertext with
// its tag. Each direction rekeys before it seals record 2^16 under a key (SECURITY.md 4.1.7); the
// counter goes on. Invariant: what seal() appended is sent whole and in order, or the connection
// ends.

#include <cstdint>
#include <initializer_list>
#include <optional>

#include "core/aead.h"
#include "core/bytes.h"
#include "core/crypto.h"
#include "core/result.h"

namespace peernet {

inline constexpr std::size_t kRecordLengthSize = 2;
inline constexpr std::size_t kRecordSizeMax = 65'535;  // ciphertext with tag
inline constexpr std::size_t kRecordPlainMax = kRecordSizeMax - kTagSize;
inline constexpr std::uint64_t kRekeyInterval = std::uint64_t{1} << 16;

class Channel {
 public:
  // record_size_max: this house accepts no longer record, whatever the format could carry.
  Channel(const Key& send, const Key& receive, std::size_t record_size_max = kRecordSizeMax);

  // Appends one record holding the concatenated parts. Requires: the sum fits kRecordPlainMax.
  void seal(std::initializer_list<BytesView> parts, Bytes& out);

  // Takes bytes off the front of `input` until one record is complete and gives its plain text, or
  // nullopt when the input is used up. Only a record split over two calls is copied before it is
  // opened. Errors, after which the channel is dead: malformed, too_large, corrupt.
  Result<std::optional<Bytes>> next_record(BytesView& input);

  std::uint64_t records_sent() const { return send_.nonce; }
  std::uint64_t records_received() const { return receive_.nonce; }

 private:
  Error die(Errc code, const char* what);
  Result<std::optional<Bytes>> open(BytesView sealed);
  Result<std::uint16_t> take_length(BytesView length);

  struct Direction {
    explicit Direction(const Key& key) : cipher(key) {}
    AeadKey cipher;
    std::uint64_t nonce = 0;  // of the next record
    void advance();
  };
  Direction send_;
  Direction receive_;
  std::size_t record_size_max_;
  Bytes partial_;  // the beginning of a record whose rest has not come, with its length
  bool is_dead_ = false;
};

}  // namespace peernet
