#include "transfer/wire.h"

#include <catch2/catch.hpp>

#include <string>
#include <variant>

#include "core/rng.h"
#include "test/support/support.h"

namespace peernet::transfer::wire {
namespace {

using test::hex;

template <class M>
M decode_as(const Bytes& record) {
  const auto message = decode(record);
  REQUIRE(message);
  REQUIRE(std::holds_alternative<M>(*message));
  return std::get<M>(*message);
}

bool is_refused(std::string_view text) {
  return !decode(hex(text)).has_value();
}

std::string repeated(std::string_view byte, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += byte;
  return text;
}

// One of each kind, with every field different from its neighbours.
std::vector<Bytes> one_of_each() {
  static const Bytes bits = hex("80ff01");
  static const Bytes data = hex("64313a");
  const Endpoint v4 = *Endpoint::parse("192.0.2.1:7341");
  const Endpoint v6 = *Endpoint::parse("[2001:db8::1]:7341");
  const BlockRun run{0x01020304, 0x0005, 0x0006};
  const HashSpan span{HashKind::leaves, 0x01020304, 2};
  const auto header = piece_header(0x0102, 0x03040506, 0x0007);
  Bytes piece(header.begin(), header.end());
  append(piece, data);
  return {encoded(Choke{}),
          encoded(Unchoke{}),
          encoded(Interested{0x0102}),
          encoded(NotInterested{0x0102}),
          encoded(Have{0x0102, 0x03040506}),
          encoded(BitfieldPart{0x0102, 0x03040506, bits}),
          encoded(Request{0x0102, run}),
          piece,
          encoded(Cancel{0x0102, run}),
          encoded(Suggest{0x0102, 0x03040506}),
          encoded(HaveAll{0x0102}),
          encoded(HaveNone{0x0102}),
          encoded(Reject{0x0102, run}),
          encoded(HashRequest{0x0102, span}),
          encoded(Hashes{0x0102, span, {test::tagged<Hash>(1), test::tagged<Hash>(2)}}),
          encoded(HashReject{0x0102, span}),
          encoded(ShareOpen{0x0102, test::tagged<DhtId>(1), test::tagged<Hash>(2), 1}),
          encoded(ShareClose{test::tagged<DhtId>(1), ShareCloseReason::stopped}),
          encoded(ManifestHave{0x0102}),
          encoded(ManifestRequest{0x0102, 0x03040506, 0x0708}),
          encoded(ManifestData{0x0102, 0x10, 0x0d, data}),
          encoded(HaveBlocks{0x0102, run}),
          encoded(Pex{0x0102, {v4, v6}, {v4}}),
          encoded(Ping{0x0102030405060708}),
          encoded(Pong{0x0102030405060708}),
          encoded(Close{CloseReason::shutdown})};
}

Bytes encode_again(const Message& message) {
  return std::visit(
      [](const auto& m) {
        if constexpr (requires(Bytes & out) { encode(m, out); }) return encoded(m);
        return Bytes{};
      },
      message);
}

TEST_CASE("every message is read back as it was written", "[transfer]") {
  std::size_t index = 0;
  for (const Bytes& record : one_of_each()) {
    const auto message = decode(record);
    REQUIRE(message);
    CHECK(message->index() == index++);
    if (!std::holds_alternative<PieceBlock>(*message)) CHECK(encode_again(*message) == record);
  }
  CHECK(index + 1 == std::variant_size_v<Message>);  // all but Ignored
}

TEST_CASE("fields are big-endian and where the README says", "[transfer]") {
  const auto request = decode_as<Request>(hex("06 0102 03040506 0007 0008"));
  CHECK(request.channel == 0x0102);
  CHECK(request.run == BlockRun{0x03040506, 7, 8});

  const auto piece = decode_as<PieceBlock>(hex("07 0102 03040506 0007 aabbcc"));
  CHECK(piece.piece == 0x03040506);
  CHECK(piece.block == 7);
  CHECK(piece.data_begin == kPieceHeaderSize);
  CHECK(piece.data_size == 3);

  const auto request_of_leaves = decode_as<HashRequest>(hex("15 0102 01 03040506 0400"));
  CHECK(request_of_leaves.span == HashSpan{HashKind::leaves, 0x03040506, 1024});

  const auto open =
      decode_as<ShareOpen>(hex("20 0001" + repeated("0a", 20) + repeated("0b", 32) + "ff"));
  CHECK(open.key.bytes.front() == 0x0a);
  CHECK(open.proof.bytes.back() == 0x0b);
  CHECK((open.flags & kShareHasManifest) != 0);

  const auto pex = decode_as<Pex>(hex("30 0001 01 c0000201 1cad 00 00 01" + repeated("20", 18)));
  CHECK(pex.added.front().to_string() == "192.0.2.1:7341");
  CHECK(pex.dropped.front().is_v6);
}

TEST_CASE("a message cut short or continued is refused", "[transfer]") {
  for (const Bytes& record : one_of_each()) {
    const Type type{record.front()};
    // These three end with bytes of any number.
    const bool is_open_ended =
        type == Type::piece || type == Type::bitfield || type == Type::manifest_data;
    for (std::size_t size = 0; size < record.size(); ++size) {
      const auto cut = decode(BytesView(record).first(size));
      if (!is_open_ended) CHECK_FALSE(cut);
    }
    Bytes longer = record;
    longer.push_back(0);
    if (type != Type::piece && type != Type::bitfield) CHECK_FALSE(decode(longer));
  }
  CHECK(is_refused(""));
  CHECK(is_refused("07 0102 03040506 0007"));
  CHECK(is_refused("05 0102 03040506"));
}

TEST_CASE("types from 0x80 on are ignored, other unknown ones refused", "[transfer]") {
  for (unsigned type = 0; type < 256; ++type) {
    const Bytes record{static_cast<std::uint8_t>(type), 0xff, 0xff, 0xff};
    const auto message = decode(record);
    if (type >= kReservedTypeMin) {
      REQUIRE(message);
      CHECK(std::get<Ignored>(*message).type == type);
    } else {
      CHECK_FALSE(message);
    }
  }
}

TEST_CASE("a run of blocks is not empty and ends within the largest piece", "[transfer]") {
  CHECK(is_refused("06 0001 00000000 0000 0000"));
  CHECK_FALSE(is_refused("06 0001 00000000 0000 0400"));
  CHECK(is_refused("06 0001 00000000 0000 0401"));
  CHECK_FALSE(is_refused("06 0001 00000000 03ff 0001"));
  CHECK(is_refused("06 0001 00000000 03ff 0002"));
  CHECK(is_refused("06 0001 00000000 0400 0001"));
  CHECK(is_refused("06 0001 ffffffff ffff ffff"));
}

TEST_CASE("a block has 1 to 16384 bytes", "[transfer]") {
  const auto block_of = [](std::size_t size) {
    const auto header = piece_header(1, 2, 3);
    Bytes record(header.begin(), header.end());
    record.resize(record.size() + size, 0);
    return decode(record);
  };
  CHECK_FALSE(block_of(0));
  CHECK(block_of(1));
  CHECK(block_of(kBlockSize));
  CHECK_FALSE(block_of(kBlockSize + 1));
}

TEST_CASE("hashes come 1 to 1024 at a time and exactly as many as they say", "[transfer]") {
  const auto hashes_of = [](std::uint16_t said, std::size_t bytes) {
    Bytes record = hex("16 0001 00 00000000");
    record.push_back(static_cast<std::uint8_t>(said >> 8U));
    record.push_back(static_cast<std::uint8_t>(said));
    record.resize(record.size() + bytes, 7);
    return decode(record);
  };
  CHECK(hashes_of(1, 32));
  CHECK(hashes_of(kHashesCountMax, std::size_t{kHashesCountMax} * 32));
  CHECK_FALSE(hashes_of(kHashesCountMax + 1, (std::size_t{kHashesCountMax} + 1) * 32));
  CHECK_FALSE(hashes_of(0, 0));
  CHECK_FALSE(hashes_of(2, 32));
  CHECK_FALSE(hashes_of(1, 33));
  CHECK_FALSE(hashes_of(0xffff, 32));
  CHECK(is_refused("15 0001 02 00000000 0001"));  // no such kind
  CHECK(is_refused("15 0001 00 00000000 0000"));
  CHECK(is_refused("15 0001 00 00000000 0401"));
}

TEST_CASE("a manifest part lies within the total and has at most 16 KiB", "[transfer]") {
  CHECK_FALSE(is_refused("23 0001 00000000 00004000"));
  CHECK(is_refused("23 0001 00000000 00004001"));
  CHECK(is_refused("23 0001 00000000 00000000"));
  CHECK_FALSE(is_refused("24 0001 00000000 00000000"));  // the sender has none
  CHECK(is_refused("24 0001 00000000 00000001"));
  CHECK(is_refused("24 0001 00000001 00000000"));
  CHECK_FALSE(is_refused("24 0001 00000003 00000002 aa"));
  CHECK(is_refused("24 0001 00000003 00000003 aa"));
  CHECK(is_refused("24 0001 ffffffff ffffffff aa"));
  CHECK_FALSE(is_refused("24 0001 00010000 00000000" + repeated("aa", kManifestPartMax)));
  CHECK(is_refused("24 0001 00010000 00000000" + repeated("aa", kManifestPartMax + 1)));
}

TEST_CASE("peer exchange names at most 50 added and 50 dropped peers", "[transfer]") {
  const auto v4_list = [](std::size_t count) {
    return to_hex(Bytes{static_cast<std::uint8_t>(count)}) + repeated("c00002011cad", count);
  };
  const auto v6_list = [](std::size_t count) {
    return to_hex(Bytes{static_cast<std::uint8_t>(count)}) + repeated(repeated("20", 18), count);
  };
  CHECK_FALSE(is_refused("30 0001" + v4_list(50) + "00" + "00" + v6_list(50)));
  CHECK_FALSE(is_refused("30 0001" + v4_list(25) + v6_list(25) + "00 00"));
  CHECK(is_refused("30 0001" + v4_list(51) + "00 00 00"));
  CHECK(is_refused("30 0001" + v4_list(50) + v6_list(1) + "00 00"));
  CHECK(is_refused("30 0001 00 00" + v4_list(26) + v6_list(25)));
  CHECK(is_refused("30 0001 ff 00 00 00"));
}

TEST_CASE("no message is longer than kMessageSizeMax", "[transfer]") {
  Bytes record(kMessageSizeMax, 0xff);
  CHECK(decode(record));  // a reserved type
  record.push_back(0xff);
  const auto longer = decode(record);
  REQUIRE_FALSE(longer);
  CHECK(longer.error().code == Errc::too_large);
  CHECK_FALSE(is_refused("05 0001 00000000" + repeated("aa", kBitfieldPartMax)));
  CHECK(is_refused("05 0001 00000000" + repeated("aa", kBitfieldPartMax + 1)));
}

TEST_CASE("have-state is all, none, or a bitfield in as many parts as it needs", "[transfer]") {
  const auto said = [](const Bitfield& have) {
    std::vector<Bytes> records;
    encode_have_state(9, have, records);
    return records;
  };
  Bitfield have(kBitfieldPartMax * 8 + 8 * 3);
  CHECK(said(have) == std::vector<Bytes>{encoded(HaveNone{9})});
  have.set(0);
  have.set(have.size() - 1);
  const auto parts = said(have);
  REQUIRE(parts.size() == 2);
  BitfieldCollector collector(have.size());
  const auto first = collector.add(decode_as<BitfieldPart>(parts[0]));
  REQUIRE(first);
  CHECK_FALSE(*first);
  const auto second = collector.add(decode_as<BitfieldPart>(parts[1]));
  REQUIRE(second);
  CHECK(*second);
  CHECK(collector.take() == have);
  have.set_all();
  CHECK(said(have) == std::vector<Bytes>{encoded(HaveAll{9})});
}

TEST_CASE("bitfield parts come without gaps and fit the share", "[transfer]") {
  const Bytes bytes = hex("ff00ff");
  const auto add = [&](std::uint32_t size, std::uint32_t first_byte, std::size_t count) {
    return BitfieldCollector(size).add(BitfieldPart{1, first_byte, BytesView(bytes).first(count)});
  };
  CHECK(add(24, 0, 3));
  CHECK_FALSE(add(24, 1, 2));
  CHECK_FALSE(add(16, 0, 3));
  CHECK_FALSE(add(23, 0, 3));  // a spare bit is set
  CHECK_FALSE(add(24, UINT32_MAX, 1));

  BitfieldCollector collector(24);
  REQUIRE(collector.add(BitfieldPart{1, 0, BytesView(bytes).first(2)}));
  CHECK_FALSE(collector.add(BitfieldPart{1, 0, BytesView(bytes).first(2)}));
}

TEST_CASE("random records never break the decoder", "[transfer]") {
  Rng rng(3);
  for (int i = 0; i < 20'000; ++i) {
    Bytes record(rng.below(80));
    rng.fill(record);
    if (!record.empty()) record[0] &= 0x3fU;
    const auto message = decode(record);
    if (message && !std::holds_alternative<PieceBlock>(*message)) {
      CHECK(encode_again(*message).size() <= record.size());
    }
  }
}

}  // namespace
}  // namespace peernet::transfer::wire
