#include "transfer/probe.h"

#include <utility>

namespace peernet::transfer {

Probe::Probe(std::uint64_t number, std::optional<ShareId> share, Time now)
    : number_(number), share_(share), began_(now), step_began_(now) {}

void Probe::pass(Time now, std::string text) {
  if (is_done_) return;
  steps_.push_back({at_, true, std::move(text), now - step_began_});
  step_began_ = now;
  const Step last = share_ ? Step::share : Step::identity;
  is_done_ = at_ == last;
  if (!is_done_) at_ = static_cast<Step>(static_cast<int>(at_) + 1);
}

void Probe::fail(Time now, std::string text) {
  if (is_done_) return;
  steps_.push_back({at_, false, std::move(text), now - step_began_});
  is_done_ = true;
}

Probed Probe::report() const {
  return {number_, steps_, endpoint, peer};
}

std::string probe_failure(Probe::Step step, Dialer::Outcome outcome, const std::string& why) {
  using enum Dialer::Outcome;
  switch (outcome) {
    case refused: return "refused: nobody listens there";
    case timed_out: return "no answer to the connect: off, or a firewall drops it";
    case unreachable: return "there is no way to it from here";
    case silent: return "connected, and then not a byte: not a PeerNet node, or very busy";
    case closed_silently:
      return "closed without a byte: another network key, another version, a clock that is off, or "
             "full";
    case banned: return "it is banned here: peernet peers --unban ID lifts that";
    case busy: return "as many peers are connected as may be";
    case handshake:
    case duplicate:
    case share_unknown:
    case ended:
    case other: break;
  }
  if (why.empty()) return "the connection ended";
  return step == Probe::Step::share ? "the connection ended before it answered: " + why : why;
}

}  // namespace peernet::transfer
