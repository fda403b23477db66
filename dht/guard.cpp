#include "dht/guard.h"

#include <algorithm>

#include "dht/krpc.h"

namespace peernet::dht {

namespace {

// So many that 30,000 hosts may ask five times a second each, and hardly two meet in both rows.
constexpr std::size_t kUnprovenCells = 32'768;
constexpr std::size_t kProvenCells = 8'192;
constexpr std::size_t kRegionsOfHosts = 4;  // cells for hosts on one for regions
constexpr std::size_t kCellsMin = 64;
constexpr std::size_t kCellsOfDebt = 8;

}  // namespace

DebtTable::DebtTable(std::size_t cells_max, std::uint32_t rate, std::uint32_t burst)
    : cells_max_(cells_max),
      window_(std::chrono::seconds(1) * burst / rate),
      fractions_(kDebtMax / burst),
      burst_(burst * fractions_),
      rate_(rate * fractions_),
      rows_{std::vector<Cell>(kCellsMin), std::vector<Cell>(kCellsMin)} {}

std::uint32_t DebtTable::room(Time now, std::uint64_t hash) {
  const std::uint32_t debt = std::min(cell(now, 0, hash).debt, cell(now, 1, hash).debt);
  return debt >= burst_ ? 0 : (burst_ - debt) / fractions_;
}

void DebtTable::owe(Time now, std::uint64_t hash, std::uint32_t units) {
  grow_if_crowded(now);
  for (std::size_t row = 0; row < kRows; ++row) {
    std::uint16_t& debt = cell(now, row, hash).debt;
    debt = static_cast<std::uint16_t>(
        std::min<std::uint64_t>(debt + std::uint64_t{units} * fractions_, burst_));
  }
}

void DebtTable::pay(Time now, std::uint64_t hash, std::uint32_t units) {
  for (std::size_t row = 0; row < kRows; ++row) {
    std::uint16_t& debt = cell(now, row, hash).debt;
    const std::uint64_t paid = std::uint64_t{units} * fractions_;
    debt = static_cast<std::uint16_t>(debt - std::min<std::uint64_t>(debt, paid));
  }
}

DebtTable::Cell& DebtTable::cell(Time now, std::size_t row, std::uint64_t hash) {
  const std::uint64_t half = row == 0 ? hash & 0xffffffffU : hash >> 32U;
  Cell& cell = rows_[row][half & (cells_count() - 1)];
  const auto tick = static_cast<std::uint16_t>(now.time_since_epoch() / kTick);
  const auto passed = static_cast<std::uint16_t>(tick - cell.at);
  if (passed == 0) return cell;
  const std::uint64_t paid = std::uint64_t{passed} * rate_ * kTick.count() / 1'000'000;
  cell.debt = static_cast<std::uint16_t>(cell.debt - std::min<std::uint64_t>(cell.debt, paid));
  cell.at = tick;
  return cell;
}

void DebtTable::grow_if_crowded(Time now) {
  if (now >= window_ends_) {
    debts_before_ = now < window_ends_ + window_ ? debts_count_ : 0;
    debts_count_ = 0;
    window_ends_ = now + window_;
  }
  ++debts_count_;
  const std::size_t cells_needed = (debts_before_ + debts_count_) * kCellsOfDebt;
  if (cells_count() >= cells_max_ || cells_needed <= cells_count()) return;
  // Both cells that one becomes hold its debts.
  for (std::vector<Cell>& row : rows_) {
    const std::size_t count = row.size();
    row.resize(2 * count);
    std::copy_n(row.begin(), count, row.begin() + static_cast<std::ptrdiff_t>(count));
  }
}

Guard::Budget::Budget(std::size_t cells_count)
    : hosts(cells_count, kRepliesPerSecond, kRepliesBurst),
      networks(cells_count / 2, kRepliesPerSecond * kNetworkFactor, kRepliesBurst * kNetworkFactor),
      regions(cells_count / kRegionsOfHosts, kRepliesPerSecond * kRegionFactor,
              kRepliesBurst * kRegionFactor) {}

Guard::Guard(bool special_use_is_global, bool is_limiting, Rng& rng)
    : special_use_is_global_(special_use_is_global),
      is_limiting_(is_limiting),
      keyed_hash_(rng),
      budgets_{Budget(kUnprovenCells), Budget(kProvenCells)},
      unproven_bytes_(kUnprovenCells, kUnprovenBytesPerSecond, kUnprovenBytesBurst),
      // Two at once, one more every 5 s: counted in tenths of an answer.
      large_answers_(kUnprovenCells / 2, 2, 20) {}

bool Guard::admit(Time now, const Endpoint& source) {
  const Location from = location(source);
  if (is_exempt(from)) return true;
  Budget& budget = budgets_[is_proven(now, from) ? 1 : 0];
  const std::uint64_t host = hash(from.host);
  const std::uint64_t network = hash(from.network);
  const std::uint64_t region = hash(from.region);
  if (budget.hosts.room(now, host) == 0 || budget.networks.room(now, network) == 0 ||
      budget.regions.room(now, region) == 0) {
    return false;
  }
  budget.hosts.owe(now, host, 1);
  budget.networks.owe(now, network, 1);
  budget.regions.owe(now, region, 1);
  return true;
}

std::size_t Guard::answer_size_max(Time now, const Endpoint& source, std::size_t query_size,
                                   std::size_t also_sent) {
  const Location from = location(source);
  if (is_proven(now, from)) return kDatagramOutMax;
  const std::uint64_t host = hash(from.host);
  unproven_bytes_.pay(now, host, static_cast<std::uint32_t>(query_size * 3 / 4));
  const std::size_t floor = query_size + kAnswerSurplus;
  std::size_t result = std::min(query_size * kAmplificationNumerator / kAmplificationDenominator,
                                std::max<std::size_t>(unproven_bytes_.room(now, host), floor));
  result = result > also_sent ? result - also_sent : 0;
  if (large_answers_.room(now, hash(from.network)) < 10) {
    result = std::min(result, kLargeAnswer);
  }
  return std::min(std::max(result, floor), kDatagramOutMax);
}

void Guard::on_answered(Time now, const Endpoint& to, std::size_t answer_size) {
  const Location receiver = location(to);
  if (is_proven(now, receiver)) return;
  unproven_bytes_.owe(now, hash(receiver.host), static_cast<std::uint32_t>(answer_size));
  if (answer_size > kLargeAnswer) large_answers_.owe(now, hash(receiver.network), 10);
}

void Guard::prove(Time now, const Endpoint& source) {
  const Location from = location(source);
  if (!is_exempt(from)) proven_.add(now, hash(from.host));
}

bool Guard::is_proven(Time now, const Endpoint& source) const {
  return is_proven(now, location(source));
}

}  // namespace peernet::dht
