#include "core/channel.h"

#include <algorithm>
#include <array>
#include <limits>

#include "core/check.h"
#include "core/codec.h"

namespace peernet {

namespace {

constexpr std::uint64_t kRekeyNonce = std::numeric_limits<std::uint64_t>::max();
constexpr std::array<std::uint8_t, 32> kZeros{};

// REKEY(k) of the Noise specification, section 4.2.
Key rekeyed(AeadKey& cipher) {
  Bytes sealed;
  cipher.seal(kRekeyNonce, {}, {kZeros}, sealed);
  Key key;
  std::copy_n(sealed.begin(), kZeros.size(), key.mutable_view().begin());
  wipe(sealed);
  return key;
}

}  // namespace

Channel::Channel(const Key& send, const Key& receive, std::size_t record_size_max)
    : send_(send), receive_(receive), record_size_max_(record_size_max) {
  PN_CHECK(record_size_max >= kTagSize && record_size_max <= kRecordSizeMax);
}

void Channel::seal(std::initializer_list<BytesView> parts, Bytes& out) {
  std::size_t plain_size = 0;
  for (const BytesView part : parts) plain_size += part.size();
  PN_CHECK(plain_size <= kRecordPlainMax);
  Writer(out).u16(static_cast<std::uint16_t>(plain_size + kTagSize));
  send_.cipher.seal(send_.nonce, {}, parts, out);
  send_.advance();
}

Result<std::optional<Bytes>> Channel::next_record(BytesView& input) {
  if (is_dead_) return Error{Errc::corrupt, "the channel has already failed", {}};
  if (partial_.empty()) {
    if (input.empty()) return std::optional<Bytes>();
    // The common case: all of a record is here, and is opened where it lies.
    if (input.size() >= kRecordLengthSize) {
      const auto size = take_length(input.first(kRecordLengthSize));
      if (!size) return size.error();
      if (input.size() - kRecordLengthSize >= *size) {
        const BytesView sealed = input.subspan(kRecordLengthSize, *size);
        input = input.subspan(kRecordLengthSize + sealed.size());
        return open(sealed);
      }
    }
  }
  const auto move_until = [&](std::size_t size) {
    const std::size_t taken = std::min(size - partial_.size(), input.size());
    append(partial_, input.first(taken));
    input = input.subspan(taken);
  };
  if (partial_.size() < kRecordLengthSize) move_until(kRecordLengthSize);
  if (partial_.size() < kRecordLengthSize) return std::optional<Bytes>();
  const auto size = take_length(BytesView(partial_).first(kRecordLengthSize));
  if (!size) return size.error();
  const std::size_t whole = kRecordLengthSize + *size;
  partial_.reserve(whole);
  move_until(whole);
  if (partial_.size() < whole) return std::optional<Bytes>();
  // An idle channel holds no buffer.
  const Bytes record = std::move(partial_);
  partial_ = Bytes();
  return open(BytesView(record).subspan(kRecordLengthSize));
}

Error Channel::die(Errc code, const char* what) {
  is_dead_ = true;
  partial_ = Bytes();
  return {code, what, {}};
}

Result<std::optional<Bytes>> Channel::open(BytesView sealed) {
  Bytes plain;
  if (!receive_.cipher.open(receive_.nonce, {}, sealed, plain)) {
    return die(Errc::corrupt, "a record's tag does not match");
  }
  receive_.advance();
  return std::optional<Bytes>(std::move(plain));
}

Result<std::uint16_t> Channel::take_length(BytesView length) {
  const std::uint16_t size = Reader(length).u16();
  if (size < kTagSize) return die(Errc::malformed, "a record is shorter than its tag");
  if (size > record_size_max_) return die(Errc::too_large, "a record is longer than the limit");
  return size;
}

void Channel::Direction::advance() {
  ++nonce;
  if (nonce % kRekeyInterval == 0) cipher = AeadKey(rekeyed(cipher));
}

}  // namespace peernet
