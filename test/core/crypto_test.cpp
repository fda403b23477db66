#include "core/crypto.h"

#include <catch2/catch.hpp>
#include <sodium.h>

#include "core/aead.h"
#include "core/hash.h"
#include "core/identity.h"
#include "test/support/support.h"

namespace peernet::test {
namespace {

Key key_of(std::string_view text) {
  return Key(tagged<Hash>(text).bytes);
}

// All encodings of points of small order (order 1, 2, 4, 8) on Edwards25519.
constexpr std::array<std::string_view, 14> kSmallOrderKeys{
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};

constexpr std::array<std::string_view, 7> kLowOrderPoints{
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

}  // namespace

TEST_CASE("Ed25519 has the values of RFC 8032", "[core]") {
  crypto_start();
  const Key seed = key_of("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
  const Bytes message = hex("72");
  CHECK(to_hex(sign_public(seed).view()) ==
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  const Signature signature = sign(seed, message);
  CHECK(to_hex(signature.view()) ==
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
  CHECK(verify(sign_public(seed), message, signature));
  const Identity identity(seed);
  CHECK(identity.id() == sign_public(seed));
  CHECK(identity.sign(message) == signature);
}

TEST_CASE("a signature fails when any bit of it, its key or its message changes", "[core]") {
  Rng rng(1);
  const Identity identity = Identity::make(rng);
  const Bytes message = pattern(20);
  const Signature signature = identity.sign(message);
  REQUIRE(verify(identity.id(), message, signature));
  for (std::size_t bit = 0; bit < 512; ++bit) {
    Signature other = signature;
    other.bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    CHECK_FALSE(verify(identity.id(), message, other));
  }
  for (std::size_t bit = 0; bit < 256; ++bit) {
    PeerId other = identity.id();
    other.bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    CHECK_FALSE(verify(other, message, signature));
  }
  for (std::size_t bit = 0; bit < 8 * message.size(); ++bit) {
    Bytes other = message;
    other[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    CHECK_FALSE(verify(identity.id(), other, signature));
  }
}

TEST_CASE("small-order keys and a non-canonical S are refused", "[core]") {
  // With a small-order key, R = s B is a forgery whenever the hash is a multiple of the order: the
  // identity key with S = 0 and R = the identity fits every message.
  Signature zero;
  zero.bytes[0] = 1;
  for (const auto text : kSmallOrderKeys) {
    INFO(text);
    for (std::uint8_t tried = 0; tried < 32; ++tried) {
      CHECK_FALSE(verify(tagged<PeerId>(text), Bytes{tried}, zero));
    }
  }

  // S + L signs the same message for a careless verifier.
  Rng rng(2);
  const Identity identity = Identity::make(rng);
  Signature signature = identity.sign({});
  const Bytes order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    carry += unsigned{signature.bytes[32 + i]} + order[i];
    signature.bytes[32 + i] = static_cast<std::uint8_t>(carry & 255U);
    carry >>= 8U;
  }
  CHECK_FALSE(verify(identity.id(), {}, signature));
}

TEST_CASE("X25519 has the values of RFC 7748, section 6.1", "[core]") {
  const Key alice = key_of("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
  const Key bob = key_of("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
  CHECK(to_hex(dh_public(alice).view()) ==
        "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  CHECK(to_hex(dh_public(bob).view()) ==
        "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  CHECK(to_hex(dh(alice, dh_public(bob))->view()) ==
        "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

TEST_CASE("both sides agree on one key", "[core]") {
  Rng rng(3);
  const auto a = DhKeyPair::make(rng);
  const auto b = DhKeyPair::make(rng);
  const auto ab = dh(a.secret, b.shared);
  const auto ba = dh(b.secret, a.shared);
  REQUIRE(ab);
  REQUIRE(ba);
  CHECK(secure_equal(ab->view(), ba->view()));
  CHECK(dh_public(a.secret) == a.shared);
}

TEST_CASE("low-order points are told by comparison exactly when agreement fails", "[core]") {
  Rng rng(4);
  const Key secret = DhKeyPair::make(rng).secret;
  for (const auto text : kLowOrderPoints) {
    INFO(text);
    auto point = tagged<DhPublic>(text);
    CHECK_FALSE(dh(secret, point));
    CHECK(is_low_order(point));
    point.bytes[31] |= 0x80U;
    CHECK_FALSE(dh(secret, point));
    CHECK(is_low_order(point));
    for (std::size_t bit = 0; bit < 255; ++bit) {
      auto near = tagged<DhPublic>(text);
      near.bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
      CHECK(is_low_order(near) == !dh(secret, near).has_value());
    }
  }
  CHECK_FALSE(is_low_order(DhKeyPair::make(rng).shared));
}

TEST_CASE("the record cipher is libsodium's, whole and in parts, at every size", "[core]") {
  const Key key = key_of("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
  AeadKey aead(key);
  for (const std::size_t size : {0U, 1U, 15U, 63U, 64U, 65U, 1000U, 16'384U, 65'519U}) {
    for (const std::uint64_t nonce : {std::uint64_t{0}, std::uint64_t{0x0102030405060708}}) {
      const Bytes plain = pattern(size);
      const Bytes associated = pattern(size % 33, 7);
      Bytes sealed = hex("aa");
      const BytesView view = plain;
      aead.seal(nonce, associated, {view.first(size / 3), {}, view.subspan(size / 3)}, sealed);
      REQUIRE(sealed.size() == 1 + size + kTagSize);

      std::array<std::uint8_t, 12> iv{};
      for (std::size_t i = 0; i < 8; ++i) iv[4 + i] = static_cast<std::uint8_t>(nonce >> (8 * i));
      Bytes expected(1 + size + kTagSize);
      expected[0] = 0xaa;
      crypto_aead_chacha20poly1305_ietf_encrypt(&expected[1], nullptr, plain.data(), plain.size(),
                                                associated.data(), associated.size(), nullptr,
                                                iv.data(), key.view().data());
      CHECK(sealed == expected);

      Bytes opened = hex("bb");
      REQUIRE(aead.open(nonce, associated, BytesView(sealed).subspan(1), opened));
      CHECK(opened[0] == 0xbb);
      CHECK(secure_equal(BytesView(opened).subspan(1), plain));
    }
  }
}

TEST_CASE("a changed record, nonce or associated data does not open and leaves no text", "[core]") {
  AeadKey aead(key_of("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"));
  const Bytes plain = pattern(20);
  Bytes sealed;
  aead.seal(5, as_bytes("ad"), {plain}, sealed);
  Bytes out = hex("cc");
  for (std::size_t bit = 0; bit < 8 * sealed.size(); ++bit) {
    Bytes other = sealed;
    other[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    CHECK_FALSE(aead.open(5, as_bytes("ad"), other, out));
  }
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    CHECK_FALSE(aead.open(5, as_bytes("ad"), BytesView(sealed).first(size), out));
  }
  CHECK_FALSE(aead.open(6, as_bytes("ad"), sealed, out));
  CHECK_FALSE(aead.open(5, as_bytes("aD"), sealed, out));
  CHECK_FALSE(aead.open(5, {}, sealed, out));
  CHECK(out == hex("cc"));
  CHECK(aead.open(5, as_bytes("ad"), sealed, out));
}

TEST_CASE("hkdf chains HMACs as the Noise specification says", "[core]") {
  const Key chaining = key_of("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
  const Bytes input = pattern(32);
  const Hash temporary = hmac_sha256(chaining.view(), {input});
  const Hash first = hmac_sha256(temporary.view(), {hex("01")});
  const Hash second = hmac_sha256(temporary.view(), {first.view(), hex("02")});
  const Hash third = hmac_sha256(temporary.view(), {second.view(), hex("03")});
  const auto two = hkdf2(chaining, input);
  const auto three = hkdf3(chaining, input);
  CHECK(secure_equal(two[0].view(), first.view()));
  CHECK(secure_equal(two[1].view(), second.view()));
  CHECK(secure_equal(three[0].view(), first.view()));
  CHECK(secure_equal(three[1].view(), second.view()));
  CHECK(secure_equal(three[2].view(), third.view()));
}

TEST_CASE("a keyed mac depends on the key and on the joined parts only", "[core]") {
  const Key key = key_of("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
  const Mac mac = keyed_mac(key, {as_bytes("ab"), as_bytes("c")});
  CHECK(mac == keyed_mac(key, {as_bytes("abc")}));
  CHECK(mac != keyed_mac(key, {as_bytes("abd")}));
  CHECK(mac != keyed_mac(Key{}, {as_bytes("abc")}));
  CHECK_FALSE(
      secure_equal(derive_key(key, 1, "peernet1").view(), derive_key(key, 2, "peernet1").view()));
  CHECK_FALSE(
      secure_equal(derive_key(key, 1, "peernet1").view(), derive_key(key, 1, "peernet2").view()));
}

TEST_CASE("a sealed datagram opens whole and unchanged only", "[core]") {
  Rng rng(6);
  const Key key(rng.tagged<Hash>().bytes);
  const auto nonce = rng.tagged<DatagramNonce>();
  const Bytes plain = pattern(50);
  Bytes sealed;
  seal_datagram(key, nonce, as_bytes("v1"), plain, sealed);
  CHECK(sealed.size() == plain.size() + 16);
  Bytes opened;
  REQUIRE(open_datagram(key, nonce, as_bytes("v1"), sealed, opened));
  CHECK(opened == plain);
  opened.clear();
  for (std::size_t bit = 0; bit < 8 * sealed.size(); ++bit) {
    Bytes other = sealed;
    other[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    CHECK_FALSE(open_datagram(key, nonce, as_bytes("v1"), other, opened));
  }
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    CHECK_FALSE(open_datagram(key, nonce, as_bytes("v1"), BytesView(sealed).first(size), opened));
  }
  CHECK_FALSE(open_datagram(key, nonce, as_bytes("v2"), sealed, opened));
  CHECK_FALSE(open_datagram(Key{}, nonce, as_bytes("v1"), sealed, opened));
  CHECK(opened.empty());
}

TEST_CASE("a secret wipes itself", "[core]") {
  alignas(Key) std::array<std::uint8_t, sizeof(Key)> place{};
  auto* key = ::new (place.data()) Key(tagged<Hash>(~std::uint64_t{0}).bytes);
  CHECK(place[31] == 0xff);
  key->~Key();
  CHECK(place == decltype(place){});
  Bytes bytes = pattern(9);
  wipe(bytes);
  CHECK(bytes == Bytes(9, 0));
}

}  // namespace peernet::test
