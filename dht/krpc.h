#pragma once

// KRPC, the messages of BEP 5, 32, 44 and 51: one struct for each query, one for replies and one
// for errors, and the two functions that turn them into bytes and back. What decode() gives borrows
// the datagram. Real nodes send unsorted dictionaries and keys we do not know; both are tolerated.

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "core/bencode.h"
#include "core/bytes.h"
#include "core/crypto.h"
#include "core/endpoint.h"
#include "core/result.h"
#include "dht/contact.h"

namespace peernet::dht {

inline constexpr std::size_t kDatagramInMax = 1'500;   // longer ones are dropped unread
inline constexpr std::size_t kDatagramOutMax = 1'200;  // so that no path has to fragment
// A put may be as long as its value, key, salt and token make it; an item of 1,000 bytes would not
// leave otherwise. No answer is.
inline constexpr std::size_t kPutOutMax = 1'400;
inline constexpr std::size_t kBencodeDepthMax = 6;
inline constexpr std::size_t kBencodeTokensMax = 512;
inline constexpr std::size_t kTxidSizeMax = 32;   // of theirs, echoed exactly
inline constexpr std::size_t kTokenSizeMax = 64;  // of theirs; a longer one counts as none
inline constexpr std::size_t kContactSize = 26;   // id, IPv4 address, port
inline constexpr std::size_t kContactSizeV6 = 38;
inline constexpr std::size_t kSamplesOfReplyMax = 64;
// How many contacts and peers of one reply are looked at; the rest is ignored.
inline constexpr std::size_t kReplyContactsMax = 16;
inline constexpr std::size_t kReplyPeersMax = 128;

struct Ping {};
struct FindNode {
  DhtId target;
};
struct GetPeers {
  DhtId key;
};
struct AnnouncePeer {
  DhtId key;
  std::uint16_t port = 0;        // 0 only with is_port_implied
  bool is_port_implied = false;  // the port the datagram came from
  BytesView token;
};
// BEP 44: an item, or who has it.
struct Get {
  DhtId target;
  std::optional<std::int64_t> seq;  // an item that is not newer need not be sent
};
// BEP 44. Sizes of value and salt are the server's to judge: they have errors of their own.
struct Put {
  BytesView value;  // bencoded
  BytesView token;
  std::optional<PeerId> key;  // with it salt, seq and signature count
  BytesView salt;
  std::int64_t seq = 0;
  Signature signature;
  std::optional<std::int64_t> cas;
};
// BEP 51: some of the keys peers are kept under.
struct SampleInfohashes {
  DhtId target;
};
using QueryBody = std::variant<Ping, FindNode, GetPeers, AnnouncePeer, Get, Put, SampleInfohashes>;
// Queries by kind: the index of their body. BEP 5's word for each.
inline constexpr std::size_t kQueryKinds = std::variant_size_v<QueryBody>;
inline constexpr std::array<std::string_view, kQueryKinds> kQueryWords = {
    "ping", "find_node", "get_peers", "announce_peer", "get", "put", "sample_infohashes"};

// BEP 32: contacts of which family the asker wants. Neither: of that it asks by.
struct Want {
  bool v4 = false;
  bool v6 = false;
};

struct Query {
  BytesView txid;
  DhtId sender;
  bool is_read_only = false;  // BEP 43: the sender answers no queries
  Want want;
  QueryBody body;
};

// Which fields a reply has depends on the query; those that do not apply are empty.
struct Reply {
  BytesView txid;
  DhtId sender;
  std::vector<Contact> nodes;   // of IPv4
  std::vector<Contact> nodes6;  // of IPv6
  BytesView token;
  std::vector<Endpoint> values;
  // BEP 44. A sequence number without a value: an item is there, but was not sent.
  BytesView value;
  std::optional<PeerId> key;
  std::optional<std::int64_t> seq;
  std::optional<Signature> signature;
  // BEP 51: some keys of all that are kept, one after the other, and for how long it is these.
  struct Samples {
    BytesView keys;
    std::int64_t keys_count = 0;
    std::int64_t interval = 0;  // seconds
  };
  std::optional<Samples> samples;
  std::optional<Endpoint> seen_as;  // BEP 42: the receiver's endpoint as the sender sees it
};

struct ErrorReply {
  static constexpr std::int64_t kGeneric = 201;
  static constexpr std::int64_t kServer = 202;
  static constexpr std::int64_t kProtocol = 203;
  static constexpr std::int64_t kMethodUnknown = 204;
  static constexpr std::int64_t kValueTooBig = 205;
  static constexpr std::int64_t kBadSignature = 206;
  static constexpr std::int64_t kSaltTooBig = 207;
  static constexpr std::int64_t kCasMismatch = 301;
  static constexpr std::int64_t kSeqTooLow = 302;

  BytesView txid;
  std::int64_t code = kGeneric;
  std::string_view text;  // untrusted when it was received
};

// A query that cannot be served; `error` is the answer to give.
struct BadQuery {
  ErrorReply error;
};

using Message = std::variant<Query, Reply, ErrorReply, BadQuery>;

// Keeps its memory from one datagram to the next, so that decoding a query takes none. What it gave
// dies with the next call.
class Decoder {
 public:
  // Errors: malformed, too_large. What fails here deserves no answer.
  Result<Message> decode(BytesView datagram);

 private:
  bencode::Document document_;
};

Result<Message> decode(BytesView datagram);

Bytes encode(const Query& query);
Bytes encode(const Reply& reply);
Bytes encode(const ErrorReply& error);

}  // namespace peernet::dht
