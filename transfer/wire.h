#pragma once

// One struct for each peer message. A record holds one message: a type byte, then fixed big-endian
// fields (drawn byte by byte in README.md). decode() checks sizes and the ranges that need no
// manifest; whether a piece exists is for the swarm to say. Views point into the record.
//
// Channels: each side numbers the shares it has opened on a connection, and announces the number in
// its own share_open. A message about a share carries the number of the side that SENDS it.

#include <array>
#include <cstdint>
#include <variant>
#include <vector>

#include "core/bytes.h"
#include "core/endpoint.h"
#include "core/result.h"
#include "transfer/bitfield.h"
#include "transfer/layout.h"

namespace peernet::transfer::wire {

using ShareChannel = std::uint16_t;

// The longest plain record: a full leaf list or bitfield part with its fields.
inline constexpr std::size_t kMessageSizeMax = 32 * 1024 + 64;
inline constexpr std::uint32_t kManifestPartMax = 16 * 1024;  // bytes
inline constexpr std::uint32_t kHashesCountMax = 1024;        // a message: 32 KiB
inline constexpr std::size_t kBitfieldPartMax = 32 * 1024;    // bytes
inline constexpr std::size_t kPexCountMax = 50;  // added, and dropped, v4 and v6 together
inline constexpr std::size_t kPieceHeaderSize = 9;

// Numbers of BEP 3, 6 and 52 where those have the message. Types from 0x80 on are reserved: they
// are ignored, so that the protocol can grow. All other unknown types break the connection.
enum class Type : std::uint8_t {
  choke = 0x00,
  unchoke = 0x01,
  interested = 0x02,
  not_interested = 0x03,
  have = 0x04,
  bitfield = 0x05,
  request = 0x06,
  piece = 0x07,
  cancel = 0x08,
  suggest = 0x0d,
  have_all = 0x0e,
  have_none = 0x0f,
  reject = 0x10,
  hash_request = 0x15,
  hashes = 0x16,
  hash_reject = 0x17,
  share_open = 0x20,
  share_close = 0x21,
  manifest_have = 0x22,
  manifest_request = 0x23,
  manifest_data = 0x24,
  have_blocks = 0x25,
  pex = 0x30,
  ping = 0x31,
  pong = 0x32,
  close = 0x33,
};
inline constexpr std::uint8_t kReservedTypeMin = 0x80;

// Bits of the handshake's capabilities: what a side understands beyond version 1.
inline constexpr std::uint64_t kCapabilityHaveBlocks = 1;

// ---- Shares

// Bit 0: the sender holds the manifest and the checked piece layers. Other bits: ignored.
inline constexpr std::uint8_t kShareHasManifest = 0x01;

struct ShareOpen {
  ShareChannel channel = 0;
  DhtId key;   // dht_key of the share
  Hash proof;  // share_proof of the sender
  std::uint8_t flags = 0;
};
enum class ShareCloseReason : std::uint8_t {
  unknown = 0,  // no such share here, or the proof was wrong: never told apart
  stopped = 1,  // paused or removed
  refused = 2,  // a limit
};
struct ShareClose {
  DhtId key;
  ShareCloseReason reason = ShareCloseReason::unknown;
};

// ---- Manifest and hashes

// The sender now holds the manifest and the checked piece layers (it did not when it opened).
// Have-state is said only to a side that has said so, by this or by the flag: without a manifest it
// could not be read.
struct ManifestHave {
  ShareChannel channel = 0;
};
struct ManifestRequest {
  ShareChannel channel = 0;
  std::uint32_t offset = 0;
  std::uint32_t size = 0;  // 1..kManifestPartMax
};
// total 0 (and no bytes): the sender does not have it.
struct ManifestData {
  ShareChannel channel = 0;
  std::uint32_t total = 0;
  std::uint32_t offset = 0;
  BytesView bytes;  // at most kManifestPartMax, within total
};

enum class HashKind : std::uint8_t {
  piece_layers = 0,  // nodes first .. first+count of the concatenated piece layers
  leaves = 1,        // all `count` leaves of the piece numbered `first`
};
struct HashSpan {
  HashKind kind = HashKind::piece_layers;
  std::uint32_t first = 0;
  std::uint16_t count = 0;  // 1..kHashesCountMax
  bool operator==(const HashSpan&) const = default;
};
struct HashRequest {
  ShareChannel channel = 0;
  HashSpan span;
};
struct Hashes {
  ShareChannel channel = 0;
  HashSpan span;
  std::vector<Hash> hashes;  // span.count of them
};
struct HashReject {
  ShareChannel channel = 0;
  HashSpan span;
};

// ---- Have-state

// The packed bitfield from byte `first_byte` on. Sent from 0 upward without gaps until all bytes
// were sent; the state counts when the last part is there.
struct BitfieldPart {
  ShareChannel channel = 0;
  std::uint32_t first_byte = 0;
  BytesView bytes;  // 1..kBitfieldPartMax
};
struct HaveAll {
  ShareChannel channel = 0;
};
struct HaveNone {
  ShareChannel channel = 0;
};
struct Have {
  ShareChannel channel = 0;
  std::uint32_t piece = 0;
};
struct Interested {
  ShareChannel channel = 0;
};
struct NotInterested {
  ShareChannel channel = 0;
};

// ---- Blocks

// Per peer, over all shares: an uplink is one thing.
struct Choke {};
struct Unchoke {};

// A run of blocks of one piece. count is 1..kBlocksPerPieceMax and the run ends within it.
struct BlockRun {
  std::uint32_t piece = 0;
  std::uint16_t first_block = 0;
  std::uint16_t count = 0;
  bool operator==(const BlockRun&) const = default;
};
struct Request {
  ShareChannel channel = 0;
  BlockRun run;
};
// One block. The data is bytes [data_begin, data_begin + data_size) of the record, which is moved
// on to the disk as it is.
struct PieceBlock {
  ShareChannel channel = 0;
  std::uint32_t piece = 0;
  std::uint16_t block = 0;
  std::uint32_t data_begin = 0;
  std::uint32_t data_size = 0;  // 1..kBlockSize
};
struct Reject {
  ShareChannel channel = 0;
  BlockRun run;
};
struct Cancel {
  ShareChannel channel = 0;
  BlockRun run;
};
struct Suggest {
  ShareChannel channel = 0;
  std::uint32_t piece = 0;
};
// The sender has these blocks of a piece that it does not have whole, and serves them. Said only to
// a side with kCapabilityHaveBlocks.
struct HaveBlocks {
  ShareChannel channel = 0;
  BlockRun run;
};

// ---- Connection

struct Pex {
  ShareChannel channel = 0;
  std::vector<Endpoint> added;    // at most kPexCountMax
  std::vector<Endpoint> dropped;  // at most kPexCountMax
};
struct Ping {
  std::uint64_t nonce = 0;
};
struct Pong {
  std::uint64_t nonce = 0;
};
enum class CloseReason : std::uint8_t {
  done = 0,       // nothing (more) to exchange
  duplicate = 1,  // another connection between the same two stays
  protocol = 2,   // the other side broke a rule
  busy = 3,       // a limit
  shutdown = 4,
  banned = 5,
  timed_out = 6,
};
struct Close {
  CloseReason reason = CloseReason::done;  // may be a number this version has no name for
};
// A type of the reserved range.
struct Ignored {
  std::uint8_t type = 0;
};

using Message =
    std::variant<Choke, Unchoke, Interested, NotInterested, Have, BitfieldPart, Request, PieceBlock,
                 Cancel, Suggest, HaveAll, HaveNone, Reject, HashRequest, Hashes, HashReject,
                 ShareOpen, ShareClose, ManifestHave, ManifestRequest, ManifestData, HaveBlocks,
                 Pex, Ping, Pong, Close, Ignored>;

// Errors: malformed, too_large; both are reasons to close the connection.
Result<Message> decode(BytesView record);

// Appends the plain text of one record. Requires: the ranges given above. PieceBlock has no
// encode(): see piece_header. Ignored has none either.
void encode(const Choke& message, Bytes& out);
void encode(const Unchoke& message, Bytes& out);
void encode(const Interested& message, Bytes& out);
void encode(const NotInterested& message, Bytes& out);
void encode(const Have& message, Bytes& out);
void encode(const BitfieldPart& message, Bytes& out);
void encode(const Request& message, Bytes& out);
void encode(const Cancel& message, Bytes& out);
void encode(const Suggest& message, Bytes& out);
void encode(const HaveAll& message, Bytes& out);
void encode(const HaveNone& message, Bytes& out);
void encode(const Reject& message, Bytes& out);
void encode(const HashRequest& message, Bytes& out);
void encode(const Hashes& message, Bytes& out);
void encode(const HashReject& message, Bytes& out);
void encode(const ShareOpen& message, Bytes& out);
void encode(const ShareClose& message, Bytes& out);
void encode(const ManifestHave& message, Bytes& out);
void encode(const ManifestRequest& message, Bytes& out);
void encode(const ManifestData& message, Bytes& out);
void encode(const HaveBlocks& message, Bytes& out);
void encode(const Pex& message, Bytes& out);
void encode(const Ping& message, Bytes& out);
void encode(const Pong& message, Bytes& out);
void encode(const Close& message, Bytes& out);

template <class M>
Bytes encoded(const M& message) {
  Bytes out;
  encode(message, out);
  return out;
}

// What stands before the data of a piece message, for Channel::seal({header, data}).
std::array<std::uint8_t, kPieceHeaderSize> piece_header(ShareChannel channel, std::uint32_t piece,
                                                        std::uint16_t block);

// The have-state of a share as the messages that say it, in order: have_all, have_none, or the
// parts of the bitfield. Appends each as one record's plain text.
void encode_have_state(ShareChannel channel, const Bitfield& have, std::vector<Bytes>& out);

// Collects the parts of a bitfield message into one bitfield of known size.
class BitfieldCollector {
 public:
  explicit BitfieldCollector(std::uint32_t size);
  // true when that was the last part. Errors: malformed (a gap, too many bytes, spare bits set).
  Result<bool> add(const BitfieldPart& part);
  // Requires: add() gave true.
  Bitfield take();

 private:
  std::uint32_t size_;
  Bytes bytes_;
  Bitfield bitfield_;
};

}  // namespace peernet::transfer::wire
