#include "core/identity.h"

#include <sodium.h>

#include <algorithm>
#include <array>

#include "core/check.h"
#include "core/hash.h"

namespace peernet {

namespace {

constexpr char kShareLetter = 's';
constexpr char kPeerLetter = 'p';
constexpr std::size_t kCheckSize = 3;  // bytes of SHA-256

std::array<std::uint8_t, kCheckSize> check_bytes(char letter, BytesView id) {
  const Hash hash = sha256({as_bytes({&letter, 1}), id});
  std::array<std::uint8_t, kCheckSize> check{};
  std::copy_n(hash.bytes.begin(), kCheckSize, check.begin());
  return check;
}

std::string to_text(char letter, BytesView id) {
  Bytes bytes = to_bytes(id);
  append(bytes, check_bytes(letter, id));
  return letter + to_base32(bytes);
}

template <class Id>
Result<Id> parse(char letter, std::string_view text, const char* wrong_letter) {
  if (text.empty()) return Error{Errc::malformed, "the id is empty", {}};
  if (text.front() != letter) return Error{Errc::malformed, wrong_letter, {}};
  const std::string_view digits = text.substr(1);
  const bool is_base32 = std::all_of(digits.begin(), digits.end(), [](char digit) {
    return (digit >= 'a' && digit <= 'z') || (digit >= '2' && digit <= '7');
  });
  if (!is_base32) {
    return Error{Errc::malformed, "the id holds a character other than a to z and 2 to 7",
                 "ids are written in lower case"};
  }
  if (text.size() != kIdTextSize) {
    return Error{Errc::malformed,
                 "the id has " + std::to_string(text.size()) + " characters instead of " +
                     std::to_string(kIdTextSize),
                 "was it cut when it was copied?"};
  }
  // 56 characters are 35 bytes without spare bits, so that this cannot fail here.
  const auto bytes = from_base32(digits);
  PN_CHECK(bytes && bytes->size() == Id::kSize + kCheckSize);
  const BytesView view = *bytes;
  const auto check = check_bytes(letter, view.first(Id::kSize));
  const BytesView given = view.subspan(Id::kSize);
  if (!std::equal(check.begin(), check.end(), given.begin(), given.end())) {
    return Error{Errc::malformed, "the check of the id does not fit: there is a typo in it", {}};
  }
  return *Id::from(view.first(Id::kSize));
}

}  // namespace

Identity::Identity(const Key& seed) : seed_(seed), id_(sign_public(seed)) {}

Identity Identity::make(Rng& rng) {
  Key seed;
  rng.fill(seed.mutable_view());
  return Identity(seed);
}

// As sign() in crypto.h, without computing the public key each time.
Signature Identity::sign(BytesView message) const {
  Secret<crypto_sign_SECRETKEYBYTES> secret;
  const auto both = secret.mutable_view();
  std::copy(seed_.view().begin(), seed_.view().end(), both.begin());
  std::copy(id_.bytes.begin(), id_.bytes.end(), both.begin() + crypto_sign_SEEDBYTES);
  Signature signature;
  PN_CHECK(crypto_sign_detached(signature.bytes.data(), nullptr, message.data(), message.size(),
                                secret.view().data()) == 0);
  return signature;
}

std::string to_text(const ShareId& id) {
  return to_text(kShareLetter, id.view());
}
std::string to_text(const PeerId& id) {
  return to_text(kPeerLetter, id.view());
}
std::string to_short_text(const ShareId& id) {
  return to_text(id).substr(0, kIdShortSize);
}
std::string to_short_text(const PeerId& id) {
  return to_text(id).substr(0, kIdShortSize);
}

Result<ShareId> parse_share_id(std::string_view text) {
  return parse<ShareId>(kShareLetter, text, "the id of a share begins with the letter s");
}
Result<PeerId> parse_peer_id(std::string_view text) {
  return parse<PeerId>(kPeerLetter, text, "the id of a peer begins with the letter p");
}

}  // namespace peernet
