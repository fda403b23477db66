#include "dht/krpc.h"

#include <algorithm>

#include "core/codec.h"
#include "core/effects.h"

namespace peernet::dht {

namespace {

using bencode::Value;

constexpr std::size_t kEncodedTypical = 512;
constexpr std::size_t kEndpointSize = 6;
constexpr std::size_t kEndpointSizeV6 = 18;

Error malformed(const char* what) {
  return Error{Errc::malformed, what, {}};
}

std::optional<DhtId> id_at(const Value& dict, std::string_view key) {
  const auto text = dict.find(key).string();
  return text ? DhtId::from(*text) : std::nullopt;
}

std::optional<QueryBody> announce_body(const Value& arguments) {
  const auto key = id_at(arguments, "info_hash");
  const auto token = arguments.find("token").string();
  if (!key || !token) return std::nullopt;
  AnnouncePeer body;
  body.key = *key;
  body.token = *token;
  body.is_port_implied = arguments.find("implied_port").integer().value_or(0) != 0;
  if (body.is_port_implied) return body;
  const auto port = arguments.find("port").integer();
  if (!port || *port < 1 || *port > 65'535) return std::nullopt;
  body.port = static_cast<std::uint16_t>(*port);
  return body;
}

std::optional<QueryBody> get_body(const Value& arguments) {
  const auto target = id_at(arguments, "target");
  if (!target) return std::nullopt;
  return QueryBody{Get{*target, arguments.find("seq").integer()}};
}

std::optional<QueryBody> put_body(const Value& arguments) {
  const Value value = arguments.find("v");
  const auto token = arguments.find("token").string();
  if (!value.exists() || !token) return std::nullopt;
  Put body;
  body.value = value.encoded();
  body.token = *token;
  const Value key = arguments.find("k");
  if (!key.exists()) return body;
  const auto seq = arguments.find("seq").integer();
  body.key = PeerId::from(key.string().value_or(BytesView{}));
  const auto signature = Signature::from(arguments.find("sig").string().value_or(BytesView{}));
  if (!body.key || !seq || *seq < 0 || !signature) return std::nullopt;
  body.seq = *seq;
  body.signature = *signature;
  body.salt = arguments.find("salt").string().value_or(BytesView{});
  body.cas = arguments.find("cas").integer();
  return body;
}

// The query of this method, or why it cannot be served.
std::variant<QueryBody, BadQuery> decode_body(BytesView txid, std::string_view method,
                                              const Value& arguments) {
  const BadQuery bad{{txid, ErrorReply::kProtocol, "bad arguments"}};
  if (method == "ping") return QueryBody{Ping{}};
  if (method == "find_node") {
    const auto target = id_at(arguments, "target");
    if (!target) return bad;
    return QueryBody{FindNode{*target}};
  }
  if (method == "get_peers") {
    const auto key = id_at(arguments, "info_hash");
    if (!key) return bad;
    return QueryBody{GetPeers{*key}};
  }
  if (method == "announce_peer") {
    auto body = announce_body(arguments);
    if (!body) return bad;
    return *body;
  }
  if (method == "get") {
    auto body = get_body(arguments);
    if (!body) return bad;
    return *body;
  }
  if (method == "put") {
    auto body = put_body(arguments);
    if (!body) return bad;
    return *body;
  }
  if (method == "sample_infohashes") {
    const auto target = id_at(arguments, "target");
    if (!target) return bad;
    return QueryBody{SampleInfohashes{*target}};
  }
  return BadQuery{{txid, ErrorReply::kMethodUnknown, "method unknown"}};
}

Want decode_want(const Value& arguments) {
  Want want;
  for (Value value = arguments.find("want").first_child(); value.exists();
       value = value.next_sibling()) {
    const auto text = as_text(value.string().value_or(BytesView{}));
    want.v4 |= text == "n4";
    want.v6 |= text == "n6";
  }
  return want;
}

Message decode_query(BytesView txid, const Value& root) {
  const auto method = root.find("q").string();
  const Value arguments = root.find("a");
  const auto sender = id_at(arguments, "id");
  if (!method || !sender) return BadQuery{{txid, ErrorReply::kProtocol, "bad query"}};
  auto body = decode_body(txid, as_text(*method), arguments);
  if (auto* bad = std::get_if<BadQuery>(&body)) return *bad;
  Query query;
  query.txid = txid;
  query.sender = *sender;
  query.is_read_only = root.find("ro").integer().value_or(0) == 1;
  query.want = decode_want(arguments);
  query.body = *std::get_if<QueryBody>(&body);
  return query;
}

void decode_contacts(BytesView compact, std::size_t contact_size, std::vector<Contact>& out) {
  Reader reader(compact);
  while (reader.remaining() >= contact_size && out.size() < kReplyContactsMax) {
    const auto id = reader.tagged<DhtId>();
    const auto endpoint = Endpoint::unpack(reader.bytes(contact_size - DhtId::kSize));
    if (endpoint) out.push_back({id, *endpoint});
  }
}

Result<Message> decode_reply(BytesView txid, const Value& root) {
  const Value fields = root.find("r");
  const auto sender = id_at(fields, "id");
  if (!sender) return malformed("a reply without an id");
  Reply reply;
  reply.txid = txid;
  reply.sender = *sender;
  if (const auto nodes = fields.find("nodes").string()) {
    decode_contacts(*nodes, kContactSize, reply.nodes);
  }
  if (const auto nodes = fields.find("nodes6").string()) {
    decode_contacts(*nodes, kContactSizeV6, reply.nodes6);
  }
  if (const auto token = fields.find("token").string()) {
    if (token->size() <= kTokenSizeMax) reply.token = *token;
  }
  const Value values = fields.find("values");
  if (values.is_list()) {
    for (Value value = values.first_child(); value.exists() && reply.values.size() < kReplyPeersMax;
         value = value.next_sibling()) {
      const auto compact = value.string();
      if (!compact) continue;
      if (const auto peer = Endpoint::unpack(*compact)) reply.values.push_back(*peer);
    }
  }
  const Value value = fields.find("v");
  if (value.exists()) reply.value = value.encoded();
  reply.seq = fields.find("seq").integer();
  reply.key = PeerId::from(fields.find("k").string().value_or(BytesView{}));
  reply.signature = Signature::from(fields.find("sig").string().value_or(BytesView{}));
  if (const auto keys = fields.find("samples").string()) {
    const std::size_t size =
        std::min(keys->size() / DhtId::kSize, kSamplesOfReplyMax) * DhtId::kSize;
    reply.samples = {keys->first(size), fields.find("num").integer().value_or(0),
                     fields.find("interval").integer().value_or(0)};
  }
  if (const auto compact = root.find("ip").string()) reply.seen_as = Endpoint::unpack(*compact);
  return Message{std::move(reply)};
}

Result<Message> decode_error(BytesView txid, const Value& root) {
  const Value code = root.find("e").first_child();
  ErrorReply error;
  error.txid = txid;
  error.code = code.integer().value_or(ErrorReply::kGeneric);
  if (const auto text = code.next_sibling().string()) error.text = as_text(*text);
  return Message{error};
}

void encode_put(bencode::Encoder& encoder, const DhtId& sender, const Put& body) {
  encoder.begin_dict();
  if (body.cas) encoder.string("cas").integer(*body.cas);
  encoder.string("id").string(sender.view());
  if (body.key) {
    encoder.string("k").string(body.key->view());
    if (!body.salt.empty()) encoder.string("salt").string(body.salt);
    encoder.string("seq").integer(body.seq).string("sig").string(body.signature.view());
  }
  encoder.string("token").string(body.token).string("v").raw(body.value).end();
}

void encode_want(bencode::Encoder& encoder, const Want& want) {
  if (!want.v4 && !want.v6) return;
  encoder.string("want").begin_list();
  if (want.v4) encoder.string("n4");
  if (want.v6) encoder.string("n6");
  encoder.end();
}

// The `a` dictionary; its keys stand in sorted order.
void encode_arguments(bencode::Encoder& encoder, const Query& query) {
  if (const auto* put = std::get_if<Put>(&query.body)) {
    encode_put(encoder, query.sender, *put);
    return;
  }
  encoder.begin_dict().string("id").string(query.sender.view());
  std::visit(Overloaded{
                 [](const Ping&) {},
                 [&](const FindNode& body) { encoder.string("target").string(body.target.view()); },
                 [&](const GetPeers& body) { encoder.string("info_hash").string(body.key.view()); },
                 [&](const AnnouncePeer& body) {
                   if (body.is_port_implied) encoder.string("implied_port").integer(1);
                   encoder.string("info_hash").string(body.key.view());
                   encoder.string("port").integer(body.port);
                   encoder.string("token").string(body.token);
                 },
                 [&](const Get& body) {
                   if (body.seq) encoder.string("seq").integer(*body.seq);
                   encoder.string("target").string(body.target.view());
                 },
                 [](const Put&) {},
                 [&](const SampleInfohashes& body) {
                   encoder.string("target").string(body.target.view());
                 },
             },
             query.body);
  encode_want(encoder, query.want);
  encoder.end();
}

void encode_endpoint(bencode::Encoder& encoder, const Endpoint& endpoint, Bytes& out) {
  encoder.begin_string(endpoint.is_v6 ? kEndpointSizeV6 : kEndpointSize);
  endpoint.pack(out);
}

// Requires: all of one family.
void encode_contacts(bencode::Encoder& encoder, const std::vector<Contact>& contacts, Bytes& out) {
  const std::size_t contact_size = contacts.front().endpoint.is_v6 ? kContactSizeV6 : kContactSize;
  encoder.begin_string(contacts.size() * contact_size);
  for (const Contact& contact : contacts) {
    append(out, contact.id.view());
    contact.endpoint.pack(out);
  }
}

}  // namespace

Result<Message> decode(BytesView datagram) {
  return Decoder().decode(datagram);
}

Result<Message> Decoder::decode(BytesView datagram) {
  if (datagram.size() > kDatagramInMax) return Error{Errc::too_large, "a datagram too long", {}};
  bencode::Limits limits;
  limits.depth_max = kBencodeDepthMax;
  limits.tokens_max = kBencodeTokensMax;
  limits.canonical = false;
  const auto decoded = bencode::decode(datagram, limits, document_);
  if (!decoded) return decoded.error();
  const Value root = document_.root();
  const auto txid = root.find("t").string();
  const auto kind = root.find("y").string();
  if (!root.is_dict() || !txid || !kind) return malformed("not a KRPC message");
  if (txid->size() > kTxidSizeMax) return malformed("a transaction id too long");
  const auto letter = as_text(*kind);
  if (letter == "q") return decode_query(*txid, root);
  if (letter == "r") return decode_reply(*txid, root);
  if (letter == "e") return decode_error(*txid, root);
  return malformed("an unknown kind of message");
}

Bytes encode(const Query& query) {
  Bytes out;
  out.reserve(kEncodedTypical);
  bencode::Encoder encoder(out);
  encoder.begin_dict().string("a");
  encode_arguments(encoder, query);
  encoder.string("q").string(kQueryWords.at(query.body.index()));
  if (query.is_read_only) encoder.string("ro").integer(1);
  encoder.string("t").string(query.txid).string("y").string("q").end();
  return out;
}

Bytes encode(const Reply& reply) {
  Bytes out;
  out.reserve(kEncodedTypical);
  bencode::Encoder encoder(out);
  encoder.begin_dict();
  if (reply.seen_as) encode_endpoint(encoder.string("ip"), *reply.seen_as, out);
  encoder.string("r").begin_dict().string("id").string(reply.sender.view());
  if (reply.samples) encoder.string("interval").integer(reply.samples->interval);
  if (reply.key) encoder.string("k").string(reply.key->view());
  if (!reply.nodes.empty()) encode_contacts(encoder.string("nodes"), reply.nodes, out);
  if (!reply.nodes6.empty()) encode_contacts(encoder.string("nodes6"), reply.nodes6, out);
  if (reply.samples) {
    encoder.string("num").integer(reply.samples->keys_count);
    encoder.string("samples").string(reply.samples->keys);
  }
  if (reply.seq) encoder.string("seq").integer(*reply.seq);
  if (reply.signature) encoder.string("sig").string(reply.signature->view());
  if (!reply.token.empty()) encoder.string("token").string(reply.token);
  if (!reply.value.empty()) encoder.string("v").raw(reply.value);
  if (!reply.values.empty()) {
    encoder.string("values").begin_list();
    for (const Endpoint& peer : reply.values) encode_endpoint(encoder, peer, out);
    encoder.end();
  }
  encoder.end().string("t").string(reply.txid).string("y").string("r").end();
  return out;
}

Bytes encode(const ErrorReply& error) {
  Bytes out;
  bencode::Encoder encoder(out);
  encoder.begin_dict().string("e").begin_list().integer(error.code).string(error.text).end();
  encoder.string("t").string(error.txid).string("y").string("e").end();
  return out;
}

}  // namespace peernet::dht
