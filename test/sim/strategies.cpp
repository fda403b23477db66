#include "test/sim/strategies.h"

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <tuple>

namespace peernet::sim {
namespace {

using transfer::ChokeCandidate;
using transfer::ChokeDecision;
using transfer::ChokeRound;

constexpr Duration kTyrantRound = std::chrono::seconds(5);
constexpr double kTyrantRaise = 1.2;  // when it gives nothing back
constexpr double kTyrantLower = 0.9;  // when it has given back for kTyrantPatience rounds
constexpr int kTyrantPatience = 3;
constexpr std::uint64_t kStrangersShare = 5;  // of so many slots one

class Tyrant {
 public:
  explicit Tyrant(std::uint64_t up) : up_(static_cast<double>(up)) {}

  ChokeDecision choose(std::span<const ChokeCandidate> candidates, const ChokeRound& round,
                       Time now) {
    if (round.is_seeding) return {};  // it has what it came for
    if (now - round_at_ >= kTyrantRound) begin_round(candidates, now);
    ChokeDecision decision;
    for (const ChokeCandidate& candidate : candidates) {
      const auto found = books_.find(candidate.conn);
      if (found == books_.end() || !found->second.is_chosen || !candidate.is_interested) continue;
      if (candidate.sent_total >= found->second.sent_until) continue;
      decision.unchoked.push_back(candidate.conn);
    }
    std::sort(decision.unchoked.begin(), decision.unchoked.end());
    return decision;
  }

 private:
  struct Book {
    double price = 0;  // bytes a second that we give for it
    double worth = 0;  // bytes a second that it gives
    std::uint64_t received = 0;
    std::uint64_t sent_until = 0;
    int rounds_good = 0;
    bool is_chosen = false;
  };

  void begin_round(std::span<const ChokeCandidate> candidates, Time now) {
    const double elapsed = seconds(std::min<Duration>(now - round_at_, 2 * kTyrantRound));
    round_at_ = now;
    std::map<ConnId, Book> books;
    std::vector<std::tuple<double, ConnId>> ranked;
    for (const ChokeCandidate& candidate : candidates) {
      const auto found = books_.find(candidate.conn);
      const bool is_new = found == books_.end();
      Book book = is_new ? Book{.price = up_ / 16, .worth = up_ / 16} : found->second;
      const auto got = static_cast<double>(candidate.received_total - book.received) / elapsed;
      book.received = candidate.received_total;
      if (got > 0) {
        book.worth = got;
        if (++book.rounds_good >= kTyrantPatience) book.price *= kTyrantLower;
      } else if (!is_new && book.is_chosen) {
        book.rounds_good = 0;
        book.price *= kTyrantRaise;
      }
      book.is_chosen = false;
      books[candidate.conn] = book;
      if (candidate.is_interested) ranked.emplace_back(-book.worth / book.price, candidate.conn);
    }
    books_ = std::move(books);
    std::sort(ranked.begin(), ranked.end());
    double left = up_;
    for (const auto& entry : ranked) {
      const ConnId conn = std::get<ConnId>(entry);
      Book& book = books_.at(conn);
      if (book.price > left) break;
      left -= book.price;
      book.is_chosen = true;
      const auto candidate = std::find_if(candidates.begin(), candidates.end(),
                                          [&](const auto& c) { return c.conn == conn; });
      book.sent_until =
          candidate->sent_total + static_cast<std::uint64_t>(book.price * seconds(kTyrantRound));
    }
  }

  double up_;
  Time round_at_{};
  std::map<ConnId, Book> books_;
};

}  // namespace

transfer::Chooser free_ride() {
  return [](auto, const auto&, Time, Rng&) { return ChokeDecision{}; };
}

transfer::Chooser tyrant(std::uint64_t up) {
  return
      [state = std::make_shared<Tyrant>(up)](auto candidates, const auto& round, Time now, Rng&) {
        return state->choose(candidates, round, now);
      };
}

transfer::Chooser sybil(const Endpoint& own) {
  return [own](auto candidates, const auto&, Time, Rng&) {
    ChokeDecision decision;
    for (const ChokeCandidate& candidate : candidates) {
      const bool is_own = candidate.network == transfer::network_of(own, candidate.conn, true);
      if (is_own && candidate.is_interested) decision.unchoked.push_back(candidate.conn);
    }
    std::sort(decision.unchoked.begin(), decision.unchoked.end());
    return decision;
  };
}

transfer::Chooser tit_for_tat() {
  return [](auto candidates, auto round, Time now, Rng& rng) {
    std::vector<ChokeCandidate> trusted(candidates.begin(), candidates.end());
    for (ChokeCandidate& candidate : trusted) {
      candidate.allowance = std::numeric_limits<std::uint64_t>::max() / 2;
    }
    return choose(trusted, round, now, rng);
  };
}

transfer::Chooser credit() {
  return [](auto candidates, const auto& round, Time now, Rng& rng) {
    std::vector<ChokeCandidate> remembered(candidates.begin(), candidates.end());
    for (ChokeCandidate& candidate : remembered) {
      candidate.received = candidate.received_total + candidate.credit;
    }
    return tit_for_tat()(remembered, round, now, rng);
  };
}

transfer::Chooser prop_share() {
  return [](auto candidates, const auto& round, Time now, Rng& rng) {
    if (round.is_seeding) return tit_for_tat()(candidates, round, now, rng);
    std::vector<const ChokeCandidate*> rest;
    for (const ChokeCandidate& candidate : candidates) {
      if (candidate.is_interested) rest.push_back(&candidate);
    }
    ChokeDecision decision;
    while (!rest.empty() && decision.unchoked.size() < round.slots) {
      std::uint64_t given = 0;
      for (const ChokeCandidate* candidate : rest) given += candidate->received;
      std::size_t chosen = rng.below(rest.size());
      if (given > 0 && rng.below(kStrangersShare) != 0) {
        std::uint64_t at = rng.below(given);
        chosen = 0;
        while (at >= rest[chosen]->received) at -= rest[chosen++]->received;
      }
      decision.unchoked.push_back(rest[chosen]->conn);
      rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(chosen));
    }
    std::sort(decision.unchoked.begin(), decision.unchoked.end());
    return decision;
  };
}

}  // namespace peernet::sim
