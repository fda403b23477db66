// What a share says about itself: numbers, and one phrase on why it is not further.

#include <algorithm>
#include <string>
#include <utility>

#include "transfer/swarm.h"

namespace peernet::transfer {

namespace {

std::string plural(std::uint64_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

}  // namespace

ShareState Swarm::state() const {
  if (error_) return ShareState::failed;
  if (record_.is_paused) return ShareState::paused;
  if (!metadata_.is_complete()) return ShareState::finding;
  if (!picker_) return ShareState::opening;
  if (record_.stage == ShareStage::complete) return ShareState::seeding;
  return served_.all() ? ShareState::finishing : ShareState::fetching;
}

std::uint64_t Swarm::bytes_of(const Bitfield& pieces) const {
  const Layout& layout = metadata_.manifest().layout();
  if (pieces.all()) return layout.total_size();
  std::uint64_t bytes = 0;
  for (auto piece = pieces.next_set(0); piece; piece = pieces.next_set(*piece + 1)) {
    bytes += layout.piece_size(*piece);
  }
  return bytes;
}

double Swarm::peer_done(const PeerShare& share) const {
  if (!share.has || share.has->size() == 0) return 0;
  return static_cast<double>(share.has->count_set()) / static_cast<double>(share.has->size());
}

std::string Swarm::reason(Time now, const Peers& peers, const Dialer& dialer) const {
  if (error_) return error_->what;
  if (record_.is_paused || record_.stage == ShareStage::complete) return {};
  if (members_.empty()) {
    const std::size_t known = dialer.known(record_.id);
    if (known > 0) {
      const auto failures = dialer.failures(record_.id);
      std::string text = plural(known, "provider", "providers") + " known, none connected";
      if (!failures.empty()) {
        text +=
            " (last: " + failures.back().endpoint.to_string() + ": " + failures.back().what + ")";
      }
      return text;
    }
    if (!lookup_) return "looking for providers";
    return "no provider found: " + plural(lookup_->nodes_asked, "node", "nodes") +
           " asked in the last lookup";
  }
  if (!metadata_.is_complete()) return "no connected peer has given the manifest yet";
  const bool has_anyone_spoken = std::ranges::any_of(members_, [&](ConnId conn) {
    const auto peer = peers.find(conn);
    const PeerShare* share = peer == peers.end() ? nullptr : peer->second.find_share(record_.id);
    return share != nullptr && share->has.has_value();
  });
  if (!has_anyone_spoken) return "no connected peer has said yet what it has";
  if (!picker_ || served_.all()) return {};
  if (const std::uint32_t lost = picker_->without_holder_count(); lost > 0) {
    // Only what nobody has stands in the way; the rest is a matter of time.
    const std::uint32_t missing = served_.size() - served_.count_set();
    if (lost == missing) {
      return plural(lost, "piece has", "pieces have") + " no connected holder";
    }
  }
  if (down_.rate(now) > 0) return {};
  const bool are_all_choking = std::ranges::all_of(members_, [&peers](ConnId conn) {
    const auto peer = peers.find(conn);
    return peer == peers.end() || peer->second.is_choking;
  });
  if (are_all_choking) {
    return members_.size() == 1 ? "the one connected peer chokes us"
                                : "all " + plural(members_.size(), "peer", "peers") + " choke us";
  }
  return {};
}

std::optional<Duration> Swarm::eta(Time now) const {
  constexpr double kLongestShown = 1e9;  // seconds
  if (state() != ShareState::fetching) return std::nullopt;
  const double rate = down_.rate(now, 10);
  const std::uint64_t done = done_bytes_ + picker_->partial_bytes();
  const std::uint64_t size = metadata_.manifest().layout().total_size();
  if (rate <= 0 || done >= size) return std::nullopt;
  const double rest = static_cast<double>(size - done) / rate;
  if (rest > kLongestShown) return std::nullopt;
  return Duration(static_cast<std::int64_t>(rest * 1e6));
}

ShareStatus Swarm::status(Time now, const Peers& peers, const Dialer& dialer) const {
  ShareStatus status;
  status.id = record_.id;
  status.state = state();
  status.reason = reason(now, peers, dialer);
  status.error = error_;
  status.name = record_.name;
  status.path = record_.parent + (record_.parent.ends_with('/') ? "" : "/") + record_.name;
  if (metadata_.has_manifest()) {
    const Manifest& manifest = metadata_.manifest();
    status.is_single_file = manifest.is_single_file();
    status.size = manifest.layout().total_size();
    status.pieces_count = manifest.layout().pieces_count();
    status.files_count = manifest.files().size();
  }
  if (metadata_.is_complete()) {
    status.durable = durable_bytes_;
    if (picker_) {
      status.done = done_bytes_ + picker_->partial_bytes();
      status.pieces_done = served_.count_set();
    } else {
      status.done = status.durable;
      status.pieces_done = durable_.count_set();
    }
  }
  status.rate_down = down_.rate(now);
  status.rate_up = up_.rate(now);
  status.downloaded = downloaded_;
  status.uploaded = uploaded_;
  status.wasted = wasted_;
  status.reread = reread_;
  status.eta = eta(now);
  status.peers_connected = peers_count();
  status.peers_known =
      std::max(static_cast<std::uint32_t>(dialer.known(record_.id)), peers_count());
  status.lookup = lookup_;
  status.added = record_.added;
  status.completed = record_.completed;
  return status;
}

ShareFiles Swarm::files() const {
  const Manifest& manifest = metadata_.manifest();
  const Layout& layout = manifest.layout();
  ShareFiles files;
  files.name = manifest.name();
  files.is_single_file = manifest.is_single_file();
  files.piece_length = manifest.piece_length();
  files.files = manifest.file_specs();
  const Bitfield& done = picker_ ? served_ : durable_;
  for (std::uint32_t i = 0; i < layout.files_count(); ++i) {
    const Layout::File& file = layout.file(i);
    std::uint64_t bytes = 0;
    for (std::uint32_t p = 0; p < file.pieces_count && done.size() > 0; ++p) {
      if (done.test(file.first_piece + p)) bytes += layout.piece_size(file.first_piece + p);
    }
    files.done.push_back(bytes);
  }
  return files;
}

}  // namespace peernet::transfer
