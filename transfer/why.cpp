#include "transfer/why.h"

#include <array>
#include <cstdio>

namespace peernet::transfer {
namespace {

std::string plural(std::uint64_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

std::string rate_words(std::uint64_t rate) {
  constexpr std::array kUnits{"B/s", "KiB/s", "MiB/s", "GiB/s"};
  auto value = static_cast<double>(rate);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value,
                kUnits.at(unit));
  return text.data();
}

std::string last_dial(const Reason& reason) {
  if (!reason.at) return {};
  return " (last: " + reason.at->to_string() + ": " + std::string(sentence(reason.outcome)) + ")";
}

}  // namespace

std::string phrase(const Reason& reason) {
  const std::uint64_t count = reason.count;
  switch (reason.cause) {
    case Cause::none:
    case Cause::paused: return {};
    case Cause::fault:
    case Cause::disk_full:
    case Cause::quarantined: return reason.what;
    case Cause::scanning: return "hooks.scan looks at it before it goes to its place";
    case Cause::damaged: return plural(count, "piece is", "pieces are") + " damaged";
    case Cause::lookups_off: return "no provider known, and the DHT is off";
    case Cause::looking: return "looking for providers";
    case Cause::dht_empty: return "no provider found: the DHT has no node to ask";
    case Cause::no_provider:
      return "no provider found: " + plural(count, "node", "nodes") + " asked in the last lookup";
    case Cause::not_dialled:
      return plural(count, "provider", "providers") + " known, not dialled yet";
    case Cause::dialling: return "connecting to " + plural(count, "provider", "providers");
    case Cause::dials_fail:
      return plural(count, "provider", "providers") + " known, none connected" + last_dial(reason);
    case Cause::banned:
      return plural(count, "provider", "providers") +
             " known, none connected: the last one sent wrong data and is banned";
    case Cause::share_unknown:
      return plural(count, "provider", "providers") + " known, none offers this share now" +
             last_dial(reason);
    case Cause::no_manifest:
      return count == 0 ? "no connected peer has given the manifest yet"
                        : "its manifest has " + std::to_string(count) +
                              " bytes, as a peer says: more than limits.manifest_size allows";
    case Cause::no_have_state: return "no connected peer has said yet what it has";
    case Cause::no_holder:
      return plural(count, "piece has", "pieces have") + " no connected holder";
    case Cause::limited:
      return "held back by the download limit" +
             (reason.rate ? " of " + rate_words(*reason.rate) : std::string());
    case Cause::peer_limited:
      return "held back by limits.peer_down" +
             (reason.rate ? ", " + rate_words(*reason.rate) + " from each peer" : std::string());
    case Cause::memory_short: return "held back by limits.memory";
    case Cause::choked:
      return count == 1 ? "the one connected peer chokes us"
                        : "all " + std::to_string(count) + " peers choke us";
    case Cause::silent:
      return plural(count, "block is", "blocks are") + " asked for, and nothing comes";
    case Cause::unknown: return "nothing comes, and it is unknown why";
  }
  return {};
}

std::string_view word(Cause cause) {
  switch (cause) {
    case Cause::none: return "none";
    case Cause::fault: return "fault";
    case Cause::disk_full: return "disk_full";
    case Cause::paused: return "paused";
    case Cause::scanning: return "scanning";
    case Cause::quarantined: return "quarantined";
    case Cause::damaged: return "damaged";
    case Cause::lookups_off: return "lookups_off";
    case Cause::looking: return "looking";
    case Cause::dht_empty: return "dht_empty";
    case Cause::no_provider: return "no_provider";
    case Cause::not_dialled: return "not_dialled";
    case Cause::dialling: return "dialling";
    case Cause::dials_fail: return "dials_fail";
    case Cause::banned: return "banned";
    case Cause::share_unknown: return "share_unknown";
    case Cause::no_manifest: return "no_manifest";
    case Cause::no_have_state: return "no_have_state";
    case Cause::no_holder: return "no_holder";
    case Cause::limited: return "limited";
    case Cause::peer_limited: return "peer_limited";
    case Cause::memory_short: return "memory_short";
    case Cause::choked: return "choked";
    case Cause::silent: return "silent";
    case Cause::unknown: break;
  }
  return "unknown";
}

std::string_view word(Dialer::Outcome outcome) {
  using enum Dialer::Outcome;
  switch (outcome) {
    case refused: return "refused";
    case timed_out: return "timed_out";
    case unreachable: return "unreachable";
    case silent: return "silent";
    case closed_silently: return "closed_silently";
    case handshake: return "handshake";
    case busy: return "busy";
    case duplicate: return "duplicate";
    case banned: return "banned";
    case share_unknown: return "share_unknown";
    case ended: return "ended";
    case other: break;
  }
  return "other";
}

std::string_view word(Dialer::Source source) {
  using enum Dialer::Source;
  switch (source) {
    case link: return "link";
    case lan: return "lan";
    case dht: return "dht";
    case pex: return "pex";
    case remembered: break;
  }
  return "remembered";
}

std::string_view sentence(Dialer::Outcome outcome) {
  using enum Dialer::Outcome;
  switch (outcome) {
    case refused: return "it refused the connection: nothing listens on that port";
    case timed_out: return "no answer to the connect";
    case unreachable: return "it cannot be reached from here";
    case silent: return "it took the connection and then stayed silent";
    case closed_silently:
      return "it closed without a byte: another network, another version, a wrong clock, or no "
             "PeerNet node";
    case handshake: return "the handshake failed";
    case busy: return "as many peers are connected as may be";
    case duplicate: return "another connection to it stays";
    case banned: return "it sent wrong data and is banned";
    case share_unknown: return "it does not offer this share";
    case ended: return "the connection ended";
    case other: break;
  }
  return "it failed";
}

}  // namespace peernet::transfer
