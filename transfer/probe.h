#pragma once

// Probe is one connection that the user asked for by name, watched step by step: is the name known,
// does anybody answer there, do we speak the same protocol, who is it, does it offer the share. It
// keeps what was found and opens nothing itself; what comes of the connection afterwards is as of
// any other.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/effects.h"
#include "core/endpoint.h"
#include "core/time.h"
#include "transfer/dialer.h"
#include "transfer/events.h"

namespace peernet::transfer {

// At a time.
inline constexpr std::size_t kProbesMax = 16;
// From the first step to the last; then the step it stands at has failed.
inline constexpr Duration kProbeTime = std::chrono::seconds(30);

class Probe {
 public:
  using Step = ProbeStep::Kind;

  Probe(std::uint64_t number, std::optional<ShareId> share, Time now);

  // The step it stands at ended well or badly. After a bad one it is done; after the last one too.
  void pass(Time now, std::string text);
  void fail(Time now, std::string text);

  bool is_done() const { return is_done_; }
  Step at() const { return at_; }
  Time began() const { return began_; }
  std::uint64_t number() const { return number_; }
  const std::optional<ShareId>& share() const { return share_; }
  Probed report() const;

  // Where it is tried next, and what is known of who is there.
  std::deque<Endpoint> left;
  std::optional<JobId> resolving;
  std::optional<ConnId> conn;
  std::optional<Endpoint> endpoint;
  std::optional<PeerId> peer;

 private:
  std::uint64_t number_;
  std::optional<ShareId> share_;
  Time began_;
  Time step_began_;
  Step at_ = Step::resolve;
  bool is_done_ = false;
  std::vector<ProbeStep> steps_;
};

// Why it came no further, for people: the connection ended like this in that step.
std::string probe_failure(Probe::Step step, Dialer::Outcome outcome, const std::string& why);

}  // namespace peernet::transfer
