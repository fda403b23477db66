#include "transfer/wire.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/codec.h"

namespace peernet::transfer::wire {
namespace {

constexpr std::size_t kCompactV4Size = 6;
constexpr std::size_t kCompactV6Size = 18;
constexpr std::size_t kManifestDataFieldsSize = 10;
constexpr std::size_t kBitfieldFieldsSize = 6;

Error malformed() {
  return {Errc::malformed, "a message does not have the form of its type", ""};
}

// ---- Fields

BlockRun read_run(Reader& reader) {
  BlockRun run;
  run.piece = reader.u32();
  run.first_block = reader.u16();
  run.count = reader.u16();
  if (run.count == 0 || std::uint32_t{run.first_block} + run.count > kBlocksPerPieceMax) {
    reader.fail();
  }
  return run;
}

void write_run(Type type, ShareChannel channel, const BlockRun& run, Bytes& out) {
  PN_CHECK(run.count > 0 && std::uint32_t{run.first_block} + run.count <= kBlocksPerPieceMax);
  Writer writer(out);
  writer.u8(static_cast<std::uint8_t>(type));
  writer.u16(channel);
  writer.u32(run.piece);
  writer.u16(run.first_block);
  writer.u16(run.count);
}

HashSpan read_span(Reader& reader) {
  HashSpan span;
  const std::uint8_t kind = reader.u8();
  span.kind = static_cast<HashKind>(kind);
  span.first = reader.u32();
  span.count = reader.u16();
  if (kind > static_cast<std::uint8_t>(HashKind::leaves)) reader.fail();
  if (span.count == 0 || span.count > kHashesCountMax) reader.fail();
  return span;
}

void write_span(Type type, ShareChannel channel, const HashSpan& span, Bytes& out) {
  PN_CHECK(span.count > 0 && span.count <= kHashesCountMax);
  Writer writer(out);
  writer.u8(static_cast<std::uint8_t>(type));
  writer.u16(channel);
  writer.u8(static_cast<std::uint8_t>(span.kind));
  writer.u32(span.first);
  writer.u16(span.count);
}

void write_bare(Type type, Bytes& out) {
  Writer(out).u8(static_cast<std::uint8_t>(type));
}

void write_channel(Type type, ShareChannel channel, Bytes& out) {
  write_bare(type, out);
  Writer(out).u16(channel);
}

void write_piece_number(Type type, ShareChannel channel, std::uint32_t piece, Bytes& out) {
  write_channel(type, channel, out);
  Writer(out).u32(piece);
}

// ---- Messages with more to them

Hashes read_hashes(Reader& reader) {
  Hashes message;
  message.channel = reader.u16();
  message.span = read_span(reader);
  if (reader.remaining() != std::size_t{message.span.count} * Hash::kSize) reader.fail();
  if (!reader.ok()) return message;
  message.hashes.reserve(message.span.count);
  for (unsigned i = 0; i < message.span.count; ++i) message.hashes.push_back(reader.tagged<Hash>());
  return message;
}

BitfieldPart read_bitfield(Reader& reader) {
  BitfieldPart message;
  message.channel = reader.u16();
  message.first_byte = reader.u32();
  message.bytes = reader.rest();
  if (message.bytes.empty() || message.bytes.size() > kBitfieldPartMax) reader.fail();
  return message;
}

ManifestRequest read_manifest_request(Reader& reader) {
  ManifestRequest message;
  message.channel = reader.u16();
  message.offset = reader.u32();
  message.size = reader.u32();
  if (message.size == 0 || message.size > kManifestPartMax) reader.fail();
  return message;
}

ManifestData read_manifest_data(Reader& reader) {
  ManifestData message;
  message.channel = reader.u16();
  message.total = reader.u32();
  message.offset = reader.u32();
  message.bytes = reader.rest();
  if (message.bytes.size() > kManifestPartMax) reader.fail();
  if (std::uint64_t{message.offset} + message.bytes.size() > message.total) reader.fail();
  if (message.bytes.empty() != (message.total == 0)) reader.fail();
  return message;
}

PieceBlock read_piece(BytesView record, Reader& reader) {
  PieceBlock message;
  message.channel = reader.u16();
  message.piece = reader.u32();
  message.block = reader.u16();
  const std::size_t size = reader.rest().size();
  if (size == 0 || size > kBlockSize || message.block >= kBlocksPerPieceMax) reader.fail();
  message.data_begin = static_cast<std::uint32_t>(record.size() - size);
  message.data_size = static_cast<std::uint32_t>(size);
  return message;
}

void read_endpoints(Reader& reader, std::size_t compact_size, std::vector<Endpoint>& endpoints) {
  const std::uint8_t count = reader.u8();
  if (endpoints.size() + count > kPexCountMax) reader.fail();
  for (unsigned i = 0; i < count && reader.ok(); ++i) {
    const auto endpoint = Endpoint::unpack(reader.bytes(compact_size));
    if (endpoint) endpoints.push_back(*endpoint);
  }
}

Pex read_pex(Reader& reader) {
  Pex message;
  message.channel = reader.u16();
  read_endpoints(reader, kCompactV4Size, message.added);
  read_endpoints(reader, kCompactV6Size, message.added);
  read_endpoints(reader, kCompactV4Size, message.dropped);
  read_endpoints(reader, kCompactV6Size, message.dropped);
  return message;
}

void write_endpoints(const std::vector<Endpoint>& endpoints, bool is_v6, Bytes& out) {
  PN_CHECK(endpoints.size() <= kPexCountMax);
  const auto count = std::count_if(endpoints.begin(), endpoints.end(),
                                   [is_v6](const Endpoint& e) { return e.is_v6 == is_v6; });
  Writer(out).u8(static_cast<std::uint8_t>(count));
  for (const Endpoint& endpoint : endpoints) {
    if (endpoint.is_v6 == is_v6) endpoint.pack(out);
  }
}

ShareOpen read_share_open(Reader& reader) {
  ShareOpen message;
  message.channel = reader.u16();
  message.key = reader.tagged<DhtId>();
  message.proof = reader.tagged<Hash>();
  message.flags = reader.u8();
  return message;
}

ShareClose read_share_close(Reader& reader) {
  ShareClose message;
  message.key = reader.tagged<DhtId>();
  message.reason = static_cast<ShareCloseReason>(reader.u8());
  return message;
}

// Messages that are a channel and nothing or one run, span or piece number.
template <class M>
M read_on_channel(Reader& reader) {
  M message;
  message.channel = reader.u16();
  if constexpr (requires { message.run; }) message.run = read_run(reader);
  if constexpr (requires { message.span; }) message.span = read_span(reader);
  if constexpr (requires { message.piece; }) message.piece = reader.u32();
  return message;
}

Message read_message(Type type, BytesView record, Reader& reader) {
  switch (type) {
    case Type::choke: return Choke{};
    case Type::unchoke: return Unchoke{};
    case Type::interested: return read_on_channel<Interested>(reader);
    case Type::not_interested: return read_on_channel<NotInterested>(reader);
    case Type::have: return read_on_channel<Have>(reader);
    case Type::bitfield: return read_bitfield(reader);
    case Type::request: return read_on_channel<Request>(reader);
    case Type::piece: return read_piece(record, reader);
    case Type::cancel: return read_on_channel<Cancel>(reader);
    case Type::suggest: return read_on_channel<Suggest>(reader);
    case Type::have_all: return read_on_channel<HaveAll>(reader);
    case Type::have_none: return read_on_channel<HaveNone>(reader);
    case Type::reject: return read_on_channel<Reject>(reader);
    case Type::hash_request: return read_on_channel<HashRequest>(reader);
    case Type::hashes: return read_hashes(reader);
    case Type::hash_reject: return read_on_channel<HashReject>(reader);
    case Type::share_open: return read_share_open(reader);
    case Type::share_close: return read_share_close(reader);
    case Type::manifest_have: return read_on_channel<ManifestHave>(reader);
    case Type::manifest_request: return read_manifest_request(reader);
    case Type::manifest_data: return read_manifest_data(reader);
    case Type::have_blocks: return read_on_channel<HaveBlocks>(reader);
    case Type::pex: return read_pex(reader);
    case Type::ping: return Ping{reader.u64()};
    case Type::pong: return Pong{reader.u64()};
    case Type::close: return Close{static_cast<CloseReason>(reader.u8())};
  }
  reader.fail();
  return Ignored{};
}

}  // namespace

Result<Message> decode(BytesView record) {
  if (record.size() > kMessageSizeMax) {
    return Error{Errc::too_large, "a message is longer than any may be", ""};
  }
  Reader reader(record);
  const std::uint8_t type = reader.u8();
  if (reader.ok() && type >= kReservedTypeMin) return Message{Ignored{type}};
  Message message = read_message(static_cast<Type>(type), record, reader);
  if (!reader.done()) return malformed();
  return message;
}

void encode(const Choke& /*message*/, Bytes& out) {
  write_bare(Type::choke, out);
}

void encode(const Unchoke& /*message*/, Bytes& out) {
  write_bare(Type::unchoke, out);
}

void encode(const Interested& message, Bytes& out) {
  write_channel(Type::interested, message.channel, out);
}

void encode(const NotInterested& message, Bytes& out) {
  write_channel(Type::not_interested, message.channel, out);
}

void encode(const Have& message, Bytes& out) {
  write_piece_number(Type::have, message.channel, message.piece, out);
}

void encode(const BitfieldPart& message, Bytes& out) {
  PN_CHECK(!message.bytes.empty() && message.bytes.size() <= kBitfieldPartMax);
  out.reserve(out.size() + 1 + kBitfieldFieldsSize + message.bytes.size());
  write_channel(Type::bitfield, message.channel, out);
  Writer writer(out);
  writer.u32(message.first_byte);
  writer.bytes(message.bytes);
}

void encode(const Request& message, Bytes& out) {
  write_run(Type::request, message.channel, message.run, out);
}

void encode(const Cancel& message, Bytes& out) {
  write_run(Type::cancel, message.channel, message.run, out);
}

void encode(const Suggest& message, Bytes& out) {
  write_piece_number(Type::suggest, message.channel, message.piece, out);
}

void encode(const HaveAll& message, Bytes& out) {
  write_channel(Type::have_all, message.channel, out);
}

void encode(const HaveNone& message, Bytes& out) {
  write_channel(Type::have_none, message.channel, out);
}

void encode(const Reject& message, Bytes& out) {
  write_run(Type::reject, message.channel, message.run, out);
}

void encode(const HashRequest& message, Bytes& out) {
  write_span(Type::hash_request, message.channel, message.span, out);
}

void encode(const Hashes& message, Bytes& out) {
  PN_CHECK(message.hashes.size() == message.span.count);
  write_span(Type::hashes, message.channel, message.span, out);
  for (const Hash& hash : message.hashes) append(out, hash.view());
}

void encode(const HashReject& message, Bytes& out) {
  write_span(Type::hash_reject, message.channel, message.span, out);
}

void encode(const ShareOpen& message, Bytes& out) {
  write_channel(Type::share_open, message.channel, out);
  Writer writer(out);
  writer.bytes(message.key.view());
  writer.bytes(message.proof.view());
  writer.u8(message.flags);
}

void encode(const ShareClose& message, Bytes& out) {
  write_bare(Type::share_close, out);
  Writer writer(out);
  writer.bytes(message.key.view());
  writer.u8(static_cast<std::uint8_t>(message.reason));
}

void encode(const ManifestHave& message, Bytes& out) {
  write_channel(Type::manifest_have, message.channel, out);
}

void encode(const ManifestRequest& message, Bytes& out) {
  PN_CHECK(message.size > 0 && message.size <= kManifestPartMax);
  write_channel(Type::manifest_request, message.channel, out);
  Writer writer(out);
  writer.u32(message.offset);
  writer.u32(message.size);
}

void encode(const ManifestData& message, Bytes& out) {
  PN_CHECK(message.bytes.size() <= kManifestPartMax);
  PN_CHECK(message.bytes.empty() == (message.total == 0));
  out.reserve(out.size() + 1 + kManifestDataFieldsSize + message.bytes.size());
  write_channel(Type::manifest_data, message.channel, out);
  Writer writer(out);
  writer.u32(message.total);
  writer.u32(message.offset);
  writer.bytes(message.bytes);
}

void encode(const HaveBlocks& message, Bytes& out) {
  write_run(Type::have_blocks, message.channel, message.run, out);
}

void encode(const Pex& message, Bytes& out) {
  write_channel(Type::pex, message.channel, out);
  write_endpoints(message.added, false, out);
  write_endpoints(message.added, true, out);
  write_endpoints(message.dropped, false, out);
  write_endpoints(message.dropped, true, out);
}

void encode(const Ping& message, Bytes& out) {
  write_bare(Type::ping, out);
  Writer(out).u64(message.nonce);
}

void encode(const Pong& message, Bytes& out) {
  write_bare(Type::pong, out);
  Writer(out).u64(message.nonce);
}

void encode(const Close& message, Bytes& out) {
  write_bare(Type::close, out);
  Writer(out).u8(static_cast<std::uint8_t>(message.reason));
}

std::array<std::uint8_t, kPieceHeaderSize> piece_header(ShareChannel channel, std::uint32_t piece,
                                                        std::uint16_t block) {
  // Made for each block sent: without a buffer of its own.
  const auto byte = [](std::uint32_t value, unsigned shift) {
    return static_cast<std::uint8_t>(value >> shift);
  };
  return {static_cast<std::uint8_t>(Type::piece),
          byte(channel, 8),
          byte(channel, 0),
          byte(piece, 24),
          byte(piece, 16),
          byte(piece, 8),
          byte(piece, 0),
          byte(block, 8),
          byte(block, 0)};
}

void encode_have_state(ShareChannel channel, const Bitfield& have, std::vector<Bytes>& out) {
  if (have.all()) {
    out.push_back(encoded(HaveAll{channel}));
    return;
  }
  if (have.none()) {
    out.push_back(encoded(HaveNone{channel}));
    return;
  }
  const Bytes packed = have.pack();
  for (std::size_t begin = 0; begin < packed.size(); begin += kBitfieldPartMax) {
    const std::size_t size = std::min(kBitfieldPartMax, packed.size() - begin);
    out.push_back(encoded(BitfieldPart{channel, static_cast<std::uint32_t>(begin),
                                       BytesView(packed).subspan(begin, size)}));
  }
}

BitfieldCollector::BitfieldCollector(std::uint32_t size) : size_(size) {}

Result<bool> BitfieldCollector::add(const BitfieldPart& part) {
  const std::size_t whole = Bitfield::packed_size(size_);
  if (part.first_byte != bytes_.size() || part.bytes.size() > whole - bytes_.size()) {
    return Error{Errc::malformed, "a bitfield has a gap or does not fit the share", ""};
  }
  append(bytes_, part.bytes);
  if (bytes_.size() < whole) return false;
  auto bitfield = Bitfield::unpack(bytes_, size_);
  if (!bitfield) return Error{Errc::malformed, "a bitfield has spare bits set", ""};
  bitfield_ = *std::move(bitfield);
  return true;
}

Bitfield BitfieldCollector::take() {
  return std::move(bitfield_);
}

}  // namespace peernet::transfer::wire
