#include "dht/guard.h"

#include <algorithm>
#include <bit>

#include "core/codec.h"
#include "dht/krpc.h"

namespace peernet::dht {

namespace {

// So many that 30,000 hosts may ask five times a second each, and hardly two meet in both rows.
constexpr std::size_t kUnprovenCells = 32'768;
constexpr std::size_t kProvenCells = 8'192;
constexpr std::size_t kRegionsOfHosts = 4;  // cells for hosts on one for regions

// SipHash-2-4 (Aumasson, Bernstein 2012) of two words.
std::uint64_t siphash(const std::array<std::uint64_t, 2>& key, std::array<std::uint64_t, 2> words) {
  std::uint64_t v0 = key[0] ^ 0x736f6d6570736575U;
  std::uint64_t v1 = key[1] ^ 0x646f72616e646f6dU;
  std::uint64_t v2 = key[0] ^ 0x6c7967656e657261U;
  std::uint64_t v3 = key[1] ^ 0x7465646279746573U;
  const auto round = [&] {
    v0 += v1;
    v2 += v3;
    v1 = std::rotl(v1, 13) ^ v0;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 = std::rotl(v0, 32);
    v2 += v1;
    v0 += v3;
    v1 = std::rotl(v1, 17) ^ v2;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 = std::rotl(v2, 32);
  };
  const std::uint64_t length_word = std::uint64_t{sizeof(words)} << 56U;
  for (const std::uint64_t word : {words[0], words[1], length_word}) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
  v2 ^= 0xffU;
  for (int i = 0; i < 4; ++i) round();
  return v0 ^ v1 ^ v2 ^ v3;
}

}  // namespace

DebtTable::DebtTable(std::size_t cells_count, std::uint32_t rate, std::uint32_t burst)
    : cells_count_(cells_count),
      fractions_(kDebtMax / burst),
      burst_(burst * fractions_),
      rate_(rate * fractions_) {}

std::uint32_t DebtTable::room(Time now, std::uint64_t hash) {
  if (rows_[0].empty()) return burst_ / fractions_;
  const std::uint32_t debt = std::min(cell(now, 0, hash).debt, cell(now, 1, hash).debt);
  return debt >= burst_ ? 0 : (burst_ - debt) / fractions_;
}

void DebtTable::owe(Time now, std::uint64_t hash, std::uint32_t units) {
  for (std::size_t row = 0; row < kRows; ++row) {
    if (rows_[row].empty()) rows_[row].resize(cells_count_);
    std::uint16_t& debt = cell(now, row, hash).debt;
    debt = static_cast<std::uint16_t>(
        std::min<std::uint64_t>(debt + std::uint64_t{units} * fractions_, burst_));
  }
}

void DebtTable::pay(Time now, std::uint64_t hash, std::uint32_t units) {
  if (rows_[0].empty()) return;
  for (std::size_t row = 0; row < kRows; ++row) {
    std::uint16_t& debt = cell(now, row, hash).debt;
    const std::uint64_t paid = std::uint64_t{units} * fractions_;
    debt = static_cast<std::uint16_t>(debt - std::min<std::uint64_t>(debt, paid));
  }
}

DebtTable::Cell& DebtTable::cell(Time now, std::size_t row, std::uint64_t hash) {
  const std::uint64_t half = row == 0 ? hash & 0xffffffffU : hash >> 32U;
  Cell& cell = rows_[row][half & (cells_count_ - 1)];
  const auto tick = static_cast<std::uint16_t>(now.time_since_epoch() / kTick);
  const auto passed = static_cast<std::uint16_t>(tick - cell.at);
  if (passed == 0) return cell;
  const std::uint64_t paid = std::uint64_t{passed} * rate_ * kTick.count() / 1'000'000;
  cell.debt = static_cast<std::uint16_t>(cell.debt - std::min<std::uint64_t>(cell.debt, paid));
  cell.at = tick;
  return cell;
}

Guard::Budget::Budget(std::size_t cells_count)
    : hosts(cells_count, kRepliesPerSecond, kRepliesBurst),
      networks(cells_count / 2, kRepliesPerSecond * kNetworkFactor, kRepliesBurst * kNetworkFactor),
      regions(cells_count / kRegionsOfHosts, kRepliesPerSecond * kRegionFactor,
              kRepliesBurst * kRegionFactor) {}

Guard::Guard(bool special_use_is_global, bool is_limiting, Rng& rng)
    : special_use_is_global_(special_use_is_global),
      is_limiting_(is_limiting),
      secret_{rng.next(), rng.next()},
      budgets_{Budget(kUnprovenCells), Budget(kProvenCells)},
      unproven_bytes_(kUnprovenCells, kUnprovenBytesPerSecond, kUnprovenBytesBurst),
      // Two at once, one more every 5 s: counted in tenths of an answer.
      large_answers_(kUnprovenCells / 2, 2, 20) {}

bool Guard::admit(Time now, const Endpoint& from) {
  if (is_exempt(from)) return true;
  Budget& budget = budgets_[is_proven(now, from) ? 1 : 0];
  const std::uint64_t host = hash(host_of(from));
  const std::uint64_t network = hash(network_of(from));
  const std::uint64_t region = hash(region_of(from));
  if (budget.hosts.room(now, host) == 0 || budget.networks.room(now, network) == 0 ||
      budget.regions.room(now, region) == 0) {
    return false;
  }
  budget.hosts.owe(now, host, 1);
  budget.networks.owe(now, network, 1);
  budget.regions.owe(now, region, 1);
  return true;
}

std::size_t Guard::answer_size_max(Time now, const Endpoint& from, std::size_t query_size,
                                   std::size_t also_sent) {
  if (is_proven(now, from)) return kDatagramOutMax;
  const std::uint64_t host = hash(host_of(from));
  unproven_bytes_.pay(now, host, static_cast<std::uint32_t>(query_size * 3 / 4));
  const std::size_t floor = query_size + kAnswerSurplus;
  std::size_t result = std::min(query_size * kAmplificationNumerator / kAmplificationDenominator,
                                std::max<std::size_t>(unproven_bytes_.room(now, host), floor));
  result = result > also_sent ? result - also_sent : 0;
  if (large_answers_.room(now, hash(network_of(from))) < 10) {
    result = std::min(result, kLargeAnswer);
  }
  return std::min(std::max(result, floor), kDatagramOutMax);
}

void Guard::on_answered(Time now, const Endpoint& to, std::size_t answer_size) {
  if (is_proven(now, to)) return;
  unproven_bytes_.owe(now, hash(host_of(to)), static_cast<std::uint32_t>(answer_size));
  if (answer_size > kLargeAnswer) large_answers_.owe(now, hash(network_of(to)), 10);
}

void Guard::prove(Time now, const Endpoint& from) {
  if (!is_exempt(from)) proven_.prove(now, hash(host_of(from)));
}

bool Guard::is_proven(Time now, const Endpoint& from) const {
  return is_exempt(from) || proven_.contains(now, hash(host_of(from)));
}

std::uint64_t Guard::hash(const Endpoint& prefix) const {
  // A prefix is at most 64 bits long.
  Reader reader(prefix.address);
  return siphash(secret_, {reader.u64(), prefix.is_v6 ? 1U : 0U});
}

}  // namespace peernet::dht
