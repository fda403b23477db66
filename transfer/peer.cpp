#include "transfer/peer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/check.h"

namespace peernet::transfer {

void PeerShare::suggest(std::uint32_t piece) {
  if (std::ranges::find(suggested, piece) != suggested.end()) return;
  if (suggested.size() >= kSuggestionsMax) suggested.erase(suggested.begin());
  suggested.push_back(piece);
}

Peer::Peer(ConnId conn, const Endpoint& endpoint, Network network, bool is_inbound, Time now)
    : conn_(conn),
      endpoint_(endpoint),
      network_(std::move(network)),
      is_inbound_(is_inbound),
      phase_(is_inbound ? Phase::handshaking : Phase::dialling),
      since_(now) {
  last_heard = now;
}

void Peer::start(const HandshakeConfig& config, Rng& rng, Time now, WallTime wall, Effects& out) {
  phase_ = Phase::handshaking;
  since_ = now;
  last_heard = now;
  handshake_.emplace(config, role(), rng);
  handshake_->start(wall, outbox_);
  flush_all(out);
}

Result<bool> Peer::on_handshake(Time now, WallTime wall, HandshakeGuard& guard, BytesView& input,
                                Effects& out) {
  PN_CHECK(handshake_.has_value());
  if (const auto done = handshake_->on_bytes(input, wall, guard, outbox_); !done)
    return done.error();
  flush_all(out);
  if (!handshake_->is_done()) return false;
  session_ = handshake_->result();
  handshake_.reset();
  channel_.emplace(session_->send, session_->receive, wire::kMessageSizeMax + kTagSize);
  session_->send = Key{};
  session_->receive = Key{};
  phase_ = Phase::open;
  since_ = now;
  last_heard = now;
  waiting_since = now;
  return true;
}

Result<std::optional<Bytes>> Peer::next_record(BytesView& input) {
  PN_CHECK(channel_.has_value());
  return channel_->next_record(input);
}

void Peer::seal(const Bytes& plain) {
  PN_CHECK(channel_.has_value());
  channel_->seal({plain}, outbox_);
}

void Peer::send_block(const UploadQueue::Block& block, wire::ShareChannel own_channel) {
  PN_CHECK(channel_.has_value());
  const auto header = wire::piece_header(own_channel, block.piece, block.block);
  channel_->seal({header, block.data}, outbox_);
  is_due_ = true;
}

void Peer::flush(Effects& out) {
  if (is_due_) flush_all(out);
}

void Peer::flush_all(Effects& out) {
  if (outbox_.empty()) return;
  is_due_ = false;
  unsent_ += outbox_.size();
  written_ += outbox_.size();
  out.push_back(Write{conn_, std::exchange(outbox_, Bytes{})});
}

std::optional<Endpoint> Peer::listen_endpoint() const {
  if (!is_inbound_) return endpoint_;
  if (!session_ || session_->listen_port == 0) return std::nullopt;
  Endpoint listening = endpoint_;
  listening.port = session_->listen_port;
  return listening;
}

const HandshakeOutcome& Peer::session() const {
  PN_CHECK(session_.has_value());
  return *session_;
}

PeerShare* Peer::find_share(const ShareId& id) {
  const auto found = shares_.find(id);
  return found == shares_.end() ? nullptr : &found->second;
}

const PeerShare* Peer::find_share(const ShareId& id) const {
  const auto found = shares_.find(id);
  return found == shares_.end() ? nullptr : &found->second;
}

bool Peer::may_ask_leaves() const {
  std::uint32_t out = 0;
  for (const auto& [id, share] : shares_) out += share.leaf_requests;
  return out < kLeafRequestsMax;
}

PeerShare* Peer::find_channel(wire::ShareChannel remote_channel) {
  const auto found = by_channel_.find(remote_channel);
  return found == by_channel_.end() ? nullptr : find_share(found->second);
}

PeerShare& Peer::add_share(const ShareId& id) {
  PeerShare& share = shares_[id];
  share.id = id;
  empty_since.reset();
  return share;
}

bool Peer::set_remote_channel(PeerShare& share, wire::ShareChannel remote_channel) {
  if (share.remote_channel || by_channel_.size() >= kSharesPerPeerMax) return false;
  if (!by_channel_.emplace(remote_channel, share.id).second) return false;
  share.remote_channel = remote_channel;
  return true;
}

wire::ShareChannel Peer::new_channel() {
  // There are never as many shares open on a connection as there are numbers.
  const auto is_taken = [this](wire::ShareChannel channel) {
    return std::ranges::any_of(
        shares_, [channel](const auto& entry) { return entry.second.channel == channel; });
  };
  while (is_taken(next_channel_)) ++next_channel_;
  return next_channel_++;
}

void Peer::remove_share(const ShareId& id) {
  const auto found = shares_.find(id);
  if (found == shares_.end()) return;
  if (found->second.remote_channel) {
    // The number may soon be another share's: nothing that was asked under it is left.
    upload.clear_channel(*found->second.remote_channel);
    by_channel_.erase(*found->second.remote_channel);
  }
  shares_.erase(found);
}

bool Peer::is_interested() const {
  return std::ranges::any_of(shares_, [](const auto& entry) { return entry.second.is_interested; });
}

bool Peer::is_interesting() const {
  return std::ranges::any_of(shares_,
                             [](const auto& entry) { return entry.second.is_interesting; });
}

}  // namespace peernet::transfer
