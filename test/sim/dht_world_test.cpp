// Networks of DHT nodes, measured in virtual time: what is demanded here is looser than what was
// seen (dht/README.md), and the same on every machine.

#include <catch2/catch.hpp>

#include "test/sim/dht_scenarios.h"

namespace peernet::dht_sim {

namespace {

// Attackers hide nothing that is announced or put, nor make it cost more than three times as much.
void check_attack(const Setting& setting, Attack kind, std::size_t hostile) {
  for (const Stored stored : {Stored::peers, Stored::items}) {
    const AttackReport report = attack(setting, kind, hostile, stored);
    CHECK(report.before.found == report.before.asked);
    CHECK(report.stores.acknowledged == report.stores.asked);
    CHECK(report.stores.queries.mean <= report.stores_before.queries.mean * 3);
    CHECK(report.stores.sent_mean <= report.stores_before.sent_mean * 3);
    CHECK(report.under.asked * 4 >= report.before.asked * 3);
    CHECK(report.under.found * 100 >= report.under.asked * 99);
    CHECK(report.under.queries.mean <= report.before.queries.mean * 3);
    CHECK(report.after.found * 100 >= report.after.asked * 99);
  }
}

}  // namespace

TEST_CASE("in a hundred nodes everything announced is found, also right after 30 % have died",
          "[sim][days]") {
  Setting setting;
  const SteadyReport report = steady(setting);
  CHECK(report.announces.acknowledged == report.announces.asked);
  CHECK(report.announces.acknowledged_ms.p50 <= 450);
  CHECK(report.announces.acknowledged_ms.p95 <= 1'200);
  CHECK(report.hits.asked == setting.keys * setting.seekers);
  CHECK(report.hits.found == report.hits.asked);
  CHECK(report.hits.first_peer_ms.p50 <= 60);
  CHECK(report.hits.first_peer_ms.p95 <= 110);
  CHECK(report.hits.queries.mean <= 14);
  CHECK(report.misses.ended == report.misses.asked);
  CHECK(report.misses.complete_ms.p50 <= 265);
  CHECK(report.misses.complete_ms.p95 <= 700);
  CHECK(report.misses.queries.max <= 22);
  CHECK(report.hits_after_kill.found == report.hits_after_kill.asked);
  CHECK(report.hits_after_kill.first_peer_ms.p50 <= 70);
  CHECK(report.hits_after_kill.first_peer_ms.p95 <= 150);
  CHECK(report.misses_after_kill.ended == report.misses_after_kill.asked);
  CHECK(report.misses_after_kill.complete_ms.p50 <= 1'000);
  CHECK(report.misses_after_kill.complete_ms.p95 <= 2'000);
}

TEST_CASE("a DHT world is the same for the same seed, and another for another", "[sim]") {
  Setting setting;
  setting.nodes = 30;
  setting.keys = 5;
  const auto digest = steady(setting).digest;
  CHECK(steady(setting).digest == digest);
  setting.seed = 2;
  CHECK(steady(setting).digest != digest);
}

TEST_CASE("a newcomer is usable within 0.6 s of its first query, however it starts",
          "[sim][days]") {
  for (const Start how : {Start::bootstrap, Start::saved, Start::late_bootstrap}) {
    const StartsReport report = starts({}, how, 30);
    CHECK(report.usable == report.starts);
    // A late one counts from the first attempt that it could answer.
    const bool is_late = how == Start::late_bootstrap;
    const Spread& usable_ms = is_late ? report.usable_after_query_ms : report.usable_ms;
    CHECK(usable_ms.p50 <= 300);
    CHECK(usable_ms.max <= 600);
    CHECK(report.usable_ms.max <= 1'500);
  }
}

TEST_CASE("a table soon holds nearly all of a small network, and then costs little",
          "[sim][days]") {
  const IdleReport report = idle({});
  CHECK(report.table_percent.p50 >= 90);
  CHECK(report.queries.max <= 0.2);
  CHECK(report.bytes.mean <= 80);
}

TEST_CASE("sybils around a key do not hide what is announced or put there", "[sim][days]") {
  for (const Attack kind : {Attack::sybils, Attack::sybils_bep42}) {
    for (const std::size_t hostile : {std::size_t{20}, std::size_t{60}}) {
      Setting setting;
      setting.nodes = 60;
      setting.keys = 1;
      setting.seekers = 30;
      check_attack(setting, kind, hostile);
    }
  }
}

TEST_CASE("30 % of colluders that invent nearer nodes do not hide what is announced or put",
          "[sim][days]") {
  for (const Attack kind : {Attack::colluders, Attack::colluders_alive, Attack::colluders_dead}) {
    Setting setting;
    setting.nodes = 70;
    setting.keys = 20;
    check_attack(setting, kind, 30);
  }
}

TEST_CASE("a node that sybils surround finds what is announced or put all the same",
          "[sim][days]") {
  Setting setting;
  setting.nodes = 60;
  setting.keys = 40;
  check_attack(setting, Attack::eclipse, 60);
}

TEST_CASE("a flood starves nobody: one source no one, four hundred no proven node", "[sim]") {
  Setting setting;
  setting.nodes = 40;
  const FloodReport one = flood(setting, 1);
  CHECK(one.proven_served_percent >= 95);
  CHECK(one.newcomers_served_percent >= 95);
  CHECK(one.amplification <= 1.5);
  const FloodReport many = flood(setting, 400);
  CHECK(many.proven_served_percent >= 95);
  CHECK(many.amplification <= 1.5);
}

TEST_CASE("a third of the nodes behind address translation breaks no lookup", "[sim]") {
  Setting setting;
  setting.natted_percent = 33;
  const SteadyReport report = steady(setting, false);
  CHECK(report.hits.found * 100 >= report.hits.asked * 99);
  CHECK(report.misses.ended == report.misses.asked);
}

TEST_CASE("where nodes stay ten minutes what is announced is found", "[sim]") {
  Setting setting;
  const ChurnReport report = churn(setting, std::chrono::minutes(10), std::chrono::minutes(10));
  CHECK(report.hits.found * 100 >= report.hits.asked * 98);
  CHECK(report.misses.ended == report.misses.asked);
}

}  // namespace peernet::dht_sim
