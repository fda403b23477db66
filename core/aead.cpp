#include "core/aead.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/check.h"

namespace peernet {

namespace {

constexpr int kSealing = 1;
constexpr int kOpening = 0;

EVP_CIPHER_CTX* context_of(void* context) {
  return static_cast<EVP_CIPHER_CTX*>(context);
}

// Fetched once: a fetch takes libcrypto's locks. Whatever the machine's openssl.cnf says, it is for
// others.
const EVP_CIPHER* record_cipher() {
  static const EVP_CIPHER* const cipher = [] {
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
    return EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
  }();
  PN_CHECK(cipher != nullptr);
  return cipher;
}

void start(void* context, std::uint64_t nonce, int direction, BytesView associated) {
  std::array<std::uint8_t, 12> iv{};
  for (std::size_t i = 0; i < 8; ++i) iv[4 + i] = static_cast<std::uint8_t>(nonce >> (8 * i));
  PN_CHECK(
      EVP_CipherInit_ex(context_of(context), nullptr, nullptr, nullptr, iv.data(), direction) == 1);
  if (associated.empty()) return;
  int size = 0;
  PN_CHECK(EVP_CipherUpdate(context_of(context), nullptr, &size, associated.data(),
                            static_cast<int>(associated.size())) == 1);
}

void update(void* context, BytesView from, std::uint8_t* to) {
  if (from.empty()) return;
  int size = 0;
  PN_CHECK(EVP_CipherUpdate(context_of(context), to, &size, from.data(),
                            static_cast<int>(from.size())) == 1);
  PN_CHECK(static_cast<std::size_t>(size) == from.size());
}

}  // namespace

void aead_start() {
  record_cipher();
}

AeadKey::AeadKey(const Key& key) : context_(EVP_CIPHER_CTX_new()) {
  PN_CHECK(context_ != nullptr);
  PN_CHECK(EVP_CipherInit_ex(context_of(context_), record_cipher(), nullptr, key.view().data(),
                             nullptr, kSealing) == 1);
}

AeadKey::AeadKey(AeadKey&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}

AeadKey& AeadKey::operator=(AeadKey&& other) noexcept {
  std::swap(context_, other.context_);
  return *this;
}

AeadKey::~AeadKey() {
  EVP_CIPHER_CTX_free(context_of(context_));
}

void AeadKey::seal(std::uint64_t nonce, BytesView associated,
                   std::initializer_list<BytesView> parts, Bytes& out) {
  std::size_t plain_size = 0;
  for (const BytesView part : parts) plain_size += part.size();
  std::size_t at = out.size();
  make_room(out, plain_size + kTagSize);
  out.resize(at + plain_size + kTagSize);

  // Gathered and sealed where they lie: a short part before a long one makes every later step of
  // libcrypto an odd one, which takes it a sixth longer than the copy and the steps together.
  const std::size_t begin = at;
  for (const BytesView part : parts) {
    std::copy(part.begin(), part.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
    at += part.size();
  }
  start(context_, nonce, kSealing, associated);
  update(context_, BytesView(out).subspan(begin, plain_size), out.data() + begin);
  int size = 0;
  PN_CHECK(EVP_CipherFinal_ex(context_of(context_), &out[at], &size) == 1);
  PN_CHECK(EVP_CIPHER_CTX_ctrl(context_of(context_), EVP_CTRL_AEAD_GET_TAG, kTagSize, &out[at]) ==
           1);
}

bool AeadKey::open(std::uint64_t nonce, BytesView associated, BytesView sealed, Bytes& out) {
  if (sealed.size() < kTagSize) return false;
  const BytesView ciphertext = sealed.first(sealed.size() - kTagSize);
  std::array<std::uint8_t, kTagSize> tag{};
  std::copy(sealed.end() - kTagSize, sealed.end(), tag.begin());
  const std::size_t at = out.size();
  make_room(out, ciphertext.size());
  out.resize(at + ciphertext.size());

  start(context_, nonce, kOpening, associated);
  update(context_, ciphertext, out.data() + at);
  PN_CHECK(EVP_CIPHER_CTX_ctrl(context_of(context_), EVP_CTRL_AEAD_SET_TAG, kTagSize, tag.data()) ==
           1);
  int size = 0;
  std::array<std::uint8_t, kTagSize> nothing_more{};
  if (EVP_CipherFinal_ex(context_of(context_), nothing_more.data(), &size) != 1) {
    out.resize(at);
    return false;
  }
  return true;
}

}  // namespace peernet
