#include "test/sim/swarm_day.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <span>

#include "test/sim/strategies.h"

namespace peernet::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kPatience = std::chrono::minutes(30);
constexpr std::uint32_t kSybilNetwork = 99U << 24U | 7U << 16U | 7U << 8U;

double median_of(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double jain_of(const std::vector<double>& values) {
  double sum = 0;
  double squares = 0;
  for (const double value : values) {
    sum += value;
    squares += value * value;
  }
  return squares == 0 ? 0 : sum * sum / (static_cast<double>(values.size()) * squares);
}

// A transfer that saturates each uplink, or the seed's, or each downlink.
double fluid_bound(const SwarmDay& day, std::uint32_t takers, std::uint32_t givers) {
  const auto bytes = static_cast<double>(day.size);
  const auto up = static_cast<double>(day.seed_up) + givers * static_cast<double>(day.up);
  return std::max({bytes / static_cast<double>(day.seed_up), bytes / static_cast<double>(day.down),
                   takers * bytes / up});
}

class Day {
 public:
  Day(World& world, const SwarmDay& day) : world_(world), day_(day) {
    world_.network.options.round_trip = day_.round_trip;
    world_.network.options.window = day_.window;
  }

  SwarmFigures run() {
    SwarmFigures figures;
    const auto honest_count = day_.leechers_count - day_.hostile_count;
    const bool do_all_give = day_.hostile == Hostile::tyrant;
    figures.bound =
        fluid_bound(day_, day_.leechers_count, do_all_give ? day_.leechers_count : honest_count);
    figures.bound_honest =
        do_all_give ? figures.bound : fluid_bound(day_, honest_count, honest_count);
    if (!populate()) return figures;
    const std::uint64_t seed_before = world_.network.bytes_up(seed_);
    const std::uint64_t before = sent();
    const Time start = world_.timeline.now();
    begin_fetching();
    if (!wait_for(honest_, honest_.size() / 2 + 1, kPatience)) {
      world_.fail("half of the honest do not complete");
      return figures;
    }
    figures.uplinks_used =
        static_cast<double>(sent() - before) / (peernet::seconds(world_.timeline.now() - start) *
                                                static_cast<double>(day_.up) * honest_count);
    std::vector<double> had;
    for (const HostIndex host : hostile_) had.push_back(world_.done(host, *content_));
    figures.hostile_had = median_of(had);
    if (!wait_for(honest_, honest_.size(), kPatience)) {
      world_.fail("not all of the honest complete");
      return figures;
    }
    figures.copies = static_cast<double>(world_.network.bytes_up(seed_) - seed_before) /
                     static_cast<double>(day_.size);
    std::vector<double> ratios;
    std::vector<double> times;
    for (const HostIndex host : honest_) {
      ratios.push_back(given_.contains(host) ? given_.at(host) : given_by(host));
      times.push_back(time_of(host));
    }
    figures.jain = jain_of(ratios);
    figures.gave = median_of(ratios);
    figures.median = median_of(times);
    figures.last = *std::max_element(times.begin(), times.end());
    // They have to finish too, after the others.
    if (!hostile_.empty() && wait_for(hostile_, hostile_.size() / 2 + 1, kPatience)) {
      std::vector<double> late;
      for (const HostIndex host : hostile_) late.push_back(time_of(host));
      figures.hostile_median = median_of(late);
    }
    return figures;
  }

 private:
  bool populate() {
    begin(world_);
    seed_ = join(world_, 1, with_policy(newcomer(day_.seed_up, day_.down)), seconds(1)).front();
    const auto spread = milliseconds(std::min(100 * day_.leechers_count, 20'000U));
    // Spread evenly among the rest, so that nobody is first because of what it is.
    std::uint32_t hostile = 0;
    for (std::uint32_t i = 0; i < day_.leechers_count; ++i) {
      const bool is_hostile = (i + 1) * day_.hostile_count / day_.leechers_count > hostile;
      HostOptions options = newcomer(day_.up, day_.down);
      if (is_hostile) {
        options = hostile_options(hostile++);
      } else {
        options = with_policy(options);
      }
      const HostIndex host = join(world_, 1, options, spread / day_.leechers_count).front();
      (is_hostile ? hostile_ : honest_).push_back(host);
    }
    world_.run_for(seconds(10));
    content_ = &world_.keep(make_file(world_.rng.next(), "film", day_.size, day_.piece_length));
    if (!offer(world_, seed_, *content_)) return false;
    world_.run_for(seconds(10));
    return !world_.has_failed();
  }

  HostOptions with_policy(HostOptions options) const {
    switch (day_.policy) {
      case Policy::product: break;
      case Policy::tit_for_tat: options.transfer.chooser = tit_for_tat(); break;
      case Policy::credit: options.transfer.chooser = credit(); break;
      case Policy::prop_share: options.transfer.chooser = prop_share(); break;
    }
    return options;
  }

  HostOptions hostile_options(std::uint32_t number) const {
    HostOptions options = newcomer(day_.up, day_.down);
    options.transfer.connections_max = 4096;
    switch (day_.hostile) {
      case Hostile::rider:
      case Hostile::large_view: options.transfer.chooser = free_ride(); break;
      case Hostile::tyrant: options.transfer.chooser = tyrant(day_.up); break;
      case Hostile::sybil:
        options.address = Endpoint::v4(kSybilNetwork + 1 + number, kPort);
        options.transfer.chooser = sybil(*options.address);
        break;
    }
    return options;
  }

  void begin_fetching() {
    Hosts all = honest_;
    all.insert(all.end(), hostile_.begin(), hostile_.end());
    world_.rng.shuffle(std::span(all));
    Duration at{0};
    for (const HostIndex host : all) {
      if (day_.arrivals <= 0) {
        fetch(host);
        continue;
      }
      at += draw(1 / day_.arrivals);
      world_.timeline.after(at, [this, host] { fetch(host); });
    }
  }

  void fetch(HostIndex host) {
    const bool is_hostile = std::find(hostile_.begin(), hostile_.end(), host) != hostile_.end();
    Hosts view{seed_};
    if (is_hostile && day_.hostile == Hostile::large_view) {
      view.insert(view.end(), honest_.begin(), honest_.end());
    }
    world_.fetch(host, *content_, view);
  }

  // Exponential, with this mean.
  Duration draw(double mean) {
    const double taken = -std::log(1 - world_.rng.unit()) * mean;
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(taken));
  }

  // Until so many of the hosts are complete, seeing off those that stay no longer.
  bool wait_for(const Hosts& hosts, std::size_t count, Duration limit) {
    return world_.run_until(
        [&] {
          if (day_.stay > 0) see_off();
          const auto complete = std::count_if(hosts.begin(), hosts.end(), [&](HostIndex host) {
            return world_.is_complete(host, *content_);
          });
          return static_cast<std::size_t>(complete) >= count;
        },
        limit);
  }

  void see_off() {
    for (const HostIndex host : honest_) {
      if (!world_.is_complete(host, *content_) || given_.contains(host)) continue;
      given_[host] = 0;
      world_.timeline.after(draw(day_.stay), [this, host] {
        given_[host] = given_by(host);
        world_.stop(host);
      });
    }
  }

  double given_by(HostIndex host) {
    const auto status = world_.host(host).node->share(world_.timeline.now(), id());
    return static_cast<double>(status->uploaded) /
           static_cast<double>(std::max<std::uint64_t>(status->downloaded, 1));
  }

  std::uint64_t sent() const {
    std::uint64_t sum = 0;
    for (const HostIndex host : honest_) sum += world_.network.bytes_up(host);
    return sum;
  }

  ShareId id() const { return world_.share_id(*content_).value_or(ShareId{}); }

  double time_of(HostIndex host) const {
    const ShareFacts& facts = world_.host(host).shares[id()];
    if (!facts.completed) return std::numeric_limits<double>::infinity();
    return peernet::seconds(*facts.completed - facts.fetched.value_or(kWorldStart));
  }

  World& world_;
  const SwarmDay& day_;
  const Content* content_ = nullptr;
  HostIndex seed_ = 0;
  Hosts honest_;
  Hosts hostile_;
  std::map<HostIndex, double> given_;  // gave / got, of those that left
};

}  // namespace

SwarmFigures run_swarm(World& world, const SwarmDay& day) {
  return Day(world, day).run();
}

std::string describe(const SwarmDay& day, const SwarmFigures& figures) {
  std::string text = fmt::format(
      "median {:.1f} s ({:.2f} of the bound {:.1f} s), last {:.1f} s ({:.2f}), seed sent {:.2f} "
      "copies, uplinks {:.0f} %, Jain {:.3f}, gave/got {:.2f}",
      figures.median, figures.median / figures.bound_honest, figures.bound_honest, figures.last,
      figures.last / figures.bound_honest, figures.copies, 100 * figures.uplinks_used, figures.jain,
      figures.gave);
  if (day.hostile_count > 0) {
    text += fmt::format("; the hostile had {:.2f} then, median {:.1f} s (bound with them {:.1f} s)",
                        figures.hostile_had, figures.hostile_median, figures.bound);
  }
  return text;
}

}  // namespace peernet::sim
