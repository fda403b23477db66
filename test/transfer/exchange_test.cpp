// What goes on between a share and those it fetches from, with seeds and a disk that the test
// plays.

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/merkle.h"
#include "core/rng.h"
#include "test/transfer/engine.h"

namespace peernet::transfer {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint32_t kPieceLength = 4 * kBlockSize;

// One file, of pieces of four blocks each. Nobody hashes its data, so it has none.
struct Content {
  std::vector<std::vector<Hash>> leaves;  // of each piece
  Bytes layers;
  Manifest manifest;
};

Content make_content(std::uint32_t pieces_count) {
  Rng rng(pieces_count);
  std::vector<std::vector<Hash>> leaves(pieces_count, std::vector<Hash>(4));
  std::vector<Hash> nodes;
  Bytes layers;
  for (std::vector<Hash>& of_piece : leaves) {
    for (Hash& leaf : of_piece) leaf = rng.tagged<Hash>();
    nodes.push_back(merkle::piece_node(of_piece, 4, pieces_count == 1));
    append(layers, nodes.back().view());
  }
  const Hash root = pieces_count == 1 ? nodes.front() : merkle::root_of_layer(nodes, 4);
  auto manifest =
      Manifest::build("film", kPieceLength,
                      {{"", std::uint64_t{pieces_count} * kPieceLength, false, root}}, PathRules{});
  REQUIRE(manifest);
  return {std::move(leaves), std::move(layers), *std::move(manifest)};
}

// Tells all that it was asked to tell, and keeps what it was asked to send until the test says so.
class Seed : public Visitor {
 public:
  Seed(Fixture& fixture, const Content& content, std::uint8_t number)
      : Visitor(fixture, "198.51." + std::to_string(number) + ".1:4000",
                static_cast<std::uint8_t>(10 + number)),
        content_(content) {
    begin();
  }
  // One that was dialled.
  Seed(Fixture& fixture, const Content& content, Time now, ConnId dialled, std::uint8_t number)
      : Visitor(fixture, now, dialled, static_cast<std::uint8_t>(10 + number)), content_(content) {
    begin();
  }

  // Whether it had something to say.
  bool answer(Time now) {
    const std::vector<Bytes> records = hear();
    for (const Bytes& record : records) on(*wire::decode(record));
    deliver(now);
    return !records.empty();
  }
  void send(Time now, const wire::BlockRun& run) {
    for (std::uint16_t i = 0; i < run.count; ++i) {
      const auto header =
          wire::piece_header(kChannel, run.piece, static_cast<std::uint16_t>(run.first_block + i));
      Bytes plain(header.begin(), header.end());
      plain.resize(plain.size() + kBlockSize);
      add_plain(plain);
    }
    deliver(now);
  }

  static constexpr wire::ShareChannel kChannel = 5;
  std::optional<Bitfield> has;  // nullopt: everything
  std::vector<wire::BlockRun> asked;
  std::vector<wire::BlockRun> cancelled;
  std::vector<wire::BlockRun> heard;     // by have_blocks
  std::vector<wire::BlockRun> rejected;  // of what it asked
  std::vector<std::uint32_t> haves;      // what the other has

 private:
  void on(const wire::Message& message) {
    std::visit(Overloaded{
                   [](const auto&) {},
                   [&](const wire::ManifestRequest& m) {
                     const Bytes& whole = content_.manifest.encoded();
                     const auto size = std::min<std::size_t>(m.size, whole.size() - m.offset);
                     add(wire::ManifestData{kChannel, static_cast<std::uint32_t>(whole.size()),
                                            m.offset, BytesView(whole).subspan(m.offset, size)});
                   },
                   [&](const wire::HashRequest& m) { add(hashes(m.span)); },
                   [&](const wire::ShareOpen& m) {
                     if ((m.flags & wire::kShareHasManifest) != 0) say_has();
                   },
                   [&](const wire::ManifestHave&) { say_has(); },
                   [&](const wire::Interested&) { add(wire::Unchoke{}); },
                   [&](const wire::Request& m) { asked.push_back(m.run); },
                   [&](const wire::Cancel& m) { cancelled.push_back(m.run); },
                   [&](const wire::HaveBlocks& m) { heard.push_back(m.run); },
                   [&](const wire::Reject& m) { rejected.push_back(m.run); },
                   [&](const wire::Have& m) { haves.push_back(m.piece); },
               },
               message);
  }
  void say_has() {
    std::vector<Bytes> messages;
    Bitfield all(static_cast<std::uint32_t>(content_.leaves.size()));
    all.set_all();
    wire::encode_have_state(kChannel, has.value_or(all), messages);
    for (const Bytes& plain : messages) add_plain(plain);
  }
  wire::Hashes hashes(const wire::HashSpan& span) const {
    wire::Hashes told{kChannel, span, {}};
    if (span.kind == wire::HashKind::leaves) {
      told.hashes = content_.leaves.at(span.first);
      return told;
    }
    for (std::size_t i = 0; i < span.count; ++i) {
      told.hashes.push_back(*Hash::from(
          BytesView(content_.layers).subspan((span.first + i) * Hash::kSize, Hash::kSize)));
    }
    return told;
  }

  void begin() {
    wire::ShareOpen open = opening(kChannel, content_.manifest.id());
    open.flags = wire::kShareHasManifest;
    add(open);
  }

  const Content& content_;
};

// One share that is fetched to a disk on which everything goes well, unless the test says more.
struct Exchange : Fixture {
  explicit Exchange(const Content& wanted, Config config = {})
      : Fixture(std::move(config)), content(wanted) {
    FetchRequest request;
    request.link.id = content.manifest.id();
    request.directory = "/downloads";
    REQUIRE(engine.fetch(now, request, out));
  }
  // The process ended, and another one begins with what its store and its disk had.
  Exchange(const Exchange& before)
      : Fixture(Config{}, before.saved), content(before.content), file_size(before.file_size) {}

  // Until nobody has anything to say.
  void settle(const std::vector<Seed*>& seeds) {
    bool is_busy = true;
    while (is_busy) {
      is_busy = carry_out();
      for (Seed* seed : seeds) is_busy = seed->answer(now) || is_busy;
    }
  }
  void pass(Duration time, const std::vector<Seed*>& seeds) {
    const Time end = now + time;
    while (now < end) {
      now += milliseconds(500);
      if (engine.deadline() <= now) engine.on_time(now, out);
      settle(seeds);
    }
  }
  bool carry_out() {
    Effects effects;
    std::swap(effects, out);
    // What was written stays before what answers to the rest make the engine write.
    const auto rest = std::stable_partition(effects.begin(), effects.end(), [](const auto& effect) {
      return std::holds_alternative<Write>(effect) || std::holds_alternative<Close>(effect);
    });
    out.assign(std::move_iterator(effects.begin()), std::move_iterator(rest));
    for (auto at = rest; at != effects.end(); ++at) {
      std::visit([this](const auto& e) { answer(e); }, *at);
    }
    return rest != effects.end();
  }
  std::uint32_t requests_out(const Seed& seed) {
    for (const PeerStatus& peer : engine.peers(now)) {
      if (peer.id == seed.id()) return peer.requests_out;
    }
    return 0;
  }

  ShareStatus status() const { return engine.share(now, content.manifest.id()).value(); }

  const Content& content;
  Time now = kNow;
  Saved saved;                  // what the store has
  std::uint64_t file_size = 0;  // as it is found when the storage is opened
  std::optional<Errc> leaves_error;
  std::vector<ConnId> dialled;
  std::vector<JobId> saves;  // that wait, while is_store_slow
  bool is_store_slow = false;
  std::vector<JobId> leaves_written;  // that wait, while are_leaves_slow
  bool are_leaves_slow = false;
  std::vector<JobId> blocks_written;  // that wait, while is_disk_slow
  bool is_disk_slow = false;
  bool is_disk_corrupt = false;  // whatever is read

 private:
  template <class E>
  void answer(const E&) {}
  void answer(const Connect& e) { dialled.push_back(e.conn); }
  void answer(const OpenStorage& e) {
    StorageOpened opened;
    opened.free_bytes = std::uint64_t{1} << 40U;
    opened.file_sizes.assign(e.files.size(), file_size);
    engine.on_file(now, e.job, FileOutcome{std::move(opened)}, out);
  }
  void answer(const WriteBlocks& e) {
    for (const BlockToWrite& block : e.blocks) {
      file_size = std::max(file_size, block.offset + block.size);
    }
    if (is_disk_slow) {
      blocks_written.push_back(e.job);
    } else {
      engine.on_file(now, e.job, FileOutcome{BlocksWritten{}}, out);
    }
  }
  void answer(const WriteLeaves& e) {
    if (are_leaves_slow) {
      leaves_written.push_back(e.job);
    } else {
      engine.on_file(now, e.job, FileOutcome{FileDone{}}, out);
    }
  }
  void answer(const ReadLeaves& e) {
    if (leaves_error) {
      engine.on_file(now, e.job, Error{*leaves_error, "none are there", ""}, out);
      return;
    }
    LeavesRead read;
    for (std::uint64_t i = e.first; i < e.first + e.count; ++i) {
      read.leaves.push_back(content.leaves.at(i / 4).at(i % 4));
    }
    engine.on_file(now, e.job, FileOutcome{std::move(read)}, out);
  }
  void answer(const Sync& e) { engine.on_file(now, e.job, FileOutcome{FileDone{}}, out); }
  void answer(const ReadBlocks& e) {
    if (is_disk_corrupt) {
      engine.on_file(now, e.job, Error{Errc::corrupt, "it is not what was shared", ""}, out);
    } else {
      engine.on_file(now, e.job, FileOutcome{BlocksRead{Bytes(e.size), false}}, out);
    }
  }
  void answer(const Save& e) {
    if (is_store_slow) {
      saves.push_back(e.job);
    } else {
      if (const auto* share = std::get_if<ShareRecord>(&e.record)) saved.shares = {*share};
      if (const auto* done = std::get_if<ProgressRecord>(&e.record)) saved.progress = {*done};
      engine.on_saved(now, e.job, {}, out);
    }
  }
};

bool is_asked(const Seed& seed, std::uint32_t piece, std::uint16_t block) {
  return std::ranges::any_of(seed.asked, [&](const wire::BlockRun& run) {
    return run.piece == piece && run.first_block <= block && block < run.first_block + run.count;
  });
}

std::uint32_t count_of(const std::vector<wire::BlockRun>& runs) {
  std::uint32_t count = 0;
  for (const wire::BlockRun& run : runs) count += run.count;
  return count;
}

// A share of two pieces of which a seed has sent these blocks; they are durable.
struct Begun {
  explicit Begun(const std::vector<wire::BlockRun>& sent) {
    exchange.settle({&seed});
    for (const wire::BlockRun& run : sent) seed.send(exchange.now, run);
    exchange.pass(seconds(2), {&seed});
  }

  Content content = make_content(2);
  Exchange exchange{content};
  Seed seed{exchange, content, 1};
};

}  // namespace

TEST_CASE("what a late peer was asked for is cancelled there and asked of another", "[transfer]") {
  const Content content = make_content(2);
  Exchange exchange(content);
  Seed late(exchange, content, 1);
  exchange.settle({&late});
  REQUIRE(count_of(late.asked) == 8);
  SECTION("who has all of it") {}
  Seed other(exchange, content, 2);
  const auto none = Bitfield(2);
  SECTION("who has all of one piece") {
    other.has = none;
    other.has->set(0);
  }
  SECTION("who has a part of one piece") {
    other.has = none;
    exchange.settle({&late, &other});
    other.add(wire::HaveBlocks{Seed::kChannel, {0, 1, 2}});
  }
  exchange.settle({&late, &other});
  CHECK(late.cancelled.empty());
  const std::uint32_t had_there = !other.has ? 8 : (other.has->none() ? 2 : 4);
  exchange.pass(seconds(12), {&late, &other});
  CHECK(count_of(late.cancelled) == had_there);
  CHECK(count_of(other.asked) == had_there);
}

TEST_CASE("what others were quicker with does not count as asked for a second later",
          "[transfer]") {
  const Content content = make_content(1);
  Exchange exchange(content);
  Seed slow(exchange, content, 1);
  exchange.settle({&slow});
  REQUIRE(count_of(slow.asked) == 4);
  Seed quick(exchange, content, 2);
  exchange.settle({&slow, &quick});
  REQUIRE(count_of(quick.asked) == 4);  // the endgame
  for (const wire::BlockRun& run : quick.asked) {
    quick.send(exchange.now, {run.piece, run.first_block, 1});
  }
  exchange.settle({&slow, &quick});
  REQUIRE(count_of(slow.cancelled) == quick.asked.size());
  // A cancel may go unanswered where the block had gone already.
  exchange.pass(seconds(2), {&slow, &quick});
  CHECK(exchange.requests_out(slow) == 4 - quick.asked.size());
}

TEST_CASE("no more is asked of all peers together than memory holds, until all of it has come",
          "[transfer]") {
  constexpr std::uint32_t blocks_held = 12;
  const Content content = make_content(8);
  Config config;
  config.memory_max = blocks_held * kBlockSize;
  Exchange exchange(content, config);
  Seed one(exchange, content, 1);
  Seed other(exchange, content, 2);
  exchange.settle({&one, &other});
  CHECK(count_of(one.asked) + count_of(other.asked) == blocks_held);
  std::uint32_t rounds_count = 0;
  while (exchange.engine.share(exchange.now, content.manifest.id())->done < 8 * kPieceLength) {
    REQUIRE(++rounds_count < 100);
    for (Seed* seed : {&one, &other}) {
      for (const wire::BlockRun& run : std::exchange(seed->asked, {}))
        seed->send(exchange.now, run);
      exchange.settle({&one, &other});
      CHECK(exchange.requests_out(one) + exchange.requests_out(other) <= blocks_held);
      CHECK(exchange.engine.stats().block_bytes_held <= config.memory_max);
    }
  }
}

TEST_CASE("while 2 MiB of a share wait for the disk nothing more is asked for, but over a pause",
          "[transfer]") {
  constexpr std::size_t waiting_max = (2U << 20U) / kBlockSize;
  const Content content = make_content(256);
  Exchange exchange(content);
  Seed seed(exchange, content, 1);
  exchange.is_disk_slow = true;
  exchange.settle({&seed});
  const auto send_all = [&] {
    const std::size_t count = count_of(seed.asked);
    for (const wire::BlockRun& run : std::exchange(seed.asked, {})) seed.send(exchange.now, run);
    exchange.settle({&seed});
    return count;
  };
  std::size_t sent = 0;
  while (!seed.asked.empty()) {
    REQUIRE(sent < 2 * waiting_max);
    sent += send_all();
  }
  CHECK(sent >= waiting_max);
  CHECK(exchange.requests_out(seed) == 0);

  // It reports, and less waits.
  REQUIRE(exchange.blocks_written.size() > 1);
  for (const JobId job : std::exchange(exchange.blocks_written, {})) {
    exchange.now += milliseconds(10);
    exchange.engine.on_file(exchange.now, job, FileOutcome{BlocksWritten{}}, exchange.out);
  }
  CHECK(exchange.requests_out(seed) > 0);
  exchange.settle({&seed});
  for (sent = 0; !seed.asked.empty();) sent += send_all();
  CHECK(sent >= waiting_max);

  // It reports of little, and in time.
  const auto pass = [&](milliseconds time) {
    exchange.now += time;
    exchange.engine.on_time(exchange.now, exchange.out);
  };
  REQUIRE(exchange.blocks_written.size() > 1);
  pass(milliseconds(60));
  exchange.engine.on_file(exchange.now, exchange.blocks_written.back(),
                          FileOutcome{BlocksWritten{}}, exchange.out);
  exchange.blocks_written.pop_back();
  pass(milliseconds(60));
  CHECK(exchange.requests_out(seed) == 0);

  // It makes a pause.
  pass(milliseconds(39));
  CHECK(exchange.requests_out(seed) == 0);
  CHECK(exchange.engine.deadline() <= exchange.now + milliseconds(1));
  pass(milliseconds(1));
  CHECK(exchange.requests_out(seed) > 0);
}

TEST_CASE("while none of twenty has a piece some more are dialled, and in time all", "[transfer]") {
  const Content content = make_content(2);
  Exchange exchange(content);
  std::vector<Endpoint> known;
  for (std::uint32_t i = 0; i < 60; ++i) {
    known.push_back(Endpoint::v4(0x08000000U + (i << 8U), 7341));
  }
  exchange.engine.add_peers(exchange.now, dht_key(content.manifest.id()), known, exchange.out);
  std::vector<std::unique_ptr<Seed>> those;
  const auto pass = [&](Duration time) {
    for (const Time end = exchange.now + time; exchange.now < end;) {
      exchange.now += milliseconds(100);
      exchange.engine.on_time(exchange.now, exchange.out);
      exchange.carry_out();
      for (const ConnId conn : std::exchange(exchange.dialled, {})) {
        const auto number = static_cast<std::uint8_t>(those.size());
        those.push_back(std::make_unique<Seed>(exchange, content, exchange.now, conn, number));
        those.back()->has = Bitfield(2);
        those.back()->has->set(0);
      }
      std::vector<Seed*> seeds;
      seeds.reserve(those.size());
      for (const auto& one : those) seeds.push_back(one.get());
      exchange.settle(seeds);
    }
  };
  pass(seconds(8));
  CHECK(those.size() >= kDialledEnough + 3);
  CHECK(those.size() <= kDialledEnough + Dialer::kDialBurst + 5);
  // None of them has given us anything.
  pass(seconds(80));
  CHECK(those.size() == known.size());
}

TEST_CASE("a piece that is lost while it is being saved is not durable when it is saved",
          "[transfer]") {
  const bool is_lost = GENERATE(true, false);
  const Content content = make_content(2);
  Exchange exchange(content);
  Seed seed(exchange, content, 1);
  exchange.settle({&seed});
  exchange.is_store_slow = true;
  seed.send(exchange.now, {0, 0, 4});
  exchange.pass(seconds(2), {&seed});  // written, synced, and given to the store
  REQUIRE_FALSE(exchange.saves.empty());
  if (is_lost) {
    exchange.is_disk_corrupt = true;
    ReadRequest read;
    read.id = content.manifest.id();
    read.reader = ReaderId{1};
    read.size = kBlockSize;
    REQUIRE(exchange.engine.read(exchange.now, read, exchange.out));
    exchange.settle({&seed});
  }
  for (const JobId job : exchange.saves)
    exchange.engine.on_saved(exchange.now, job, {}, exchange.out);
  CHECK(exchange.engine.stats().pieces_durable == (is_lost ? 0 : 1));
}

TEST_CASE("blocks of a piece that is not whole are durable, and never asked for again",
          "[transfer]") {
  Begun begun({{0, 1, 2}});
  Exchange& exchange = begun.exchange;
  const Content& content = begun.content;
  CHECK(exchange.status().durable == 2 * kBlockSize);

  Exchange again(exchange);
  again.settle({});
  CHECK(again.status().durable == 2 * kBlockSize);
  CHECK(again.status().done == 2 * kBlockSize);
  Seed other(again, content, 2);
  again.settle({&other});
  CHECK(count_of(other.asked) == 6);
  CHECK_FALSE(is_asked(other, 0, 1));
  CHECK_FALSE(is_asked(other, 0, 2));
  other.send(again.now, {0, 0, 1});
  other.send(again.now, {0, 3, 1});
  again.pass(seconds(2), {&other});
  CHECK(again.status().pieces_done == 1);
  CHECK(again.status().durable == kPieceLength);
  CHECK(again.engine.stats().pieces_durable == 1);
}

TEST_CASE("no block is durable before the leaf hashes of its piece are written", "[transfer]") {
  const Content content = make_content(2);
  Exchange exchange(content);
  exchange.are_leaves_slow = true;
  Seed seed(exchange, content, 1);
  exchange.settle({&seed});
  seed.send(exchange.now, {0, 0, 2});
  exchange.pass(seconds(3), {&seed});
  CHECK(exchange.status().done == 2 * kBlockSize);
  CHECK(exchange.status().durable == 0);
  for (const JobId job : exchange.leaves_written) {
    exchange.engine.on_file(exchange.now, job, FileOutcome{FileDone{}}, exchange.out);
  }
  exchange.pass(seconds(2), {&seed});
  CHECK(exchange.status().durable == 2 * kBlockSize);
}

TEST_CASE("what of a piece that is not whole cannot be believed is asked for again", "[transfer]") {
  Begun begun({{0, 0, 1}, {0, 2, 1}});
  Exchange& exchange = begun.exchange;
  const Content& content = begun.content;
  REQUIRE(exchange.status().durable == 2 * kBlockSize);
  std::uint32_t lost = 2;
  SECTION("the file ends before one of them") {
    exchange.file_size = kBlockSize;
    lost = 1;
  }
  SECTION("the file is gone") {
    exchange.file_size = 0;
  }
  SECTION("the record is cut short") {
    exchange.saved.progress.at(0).parts.pop_back();
  }
  SECTION("the record names a piece that there is not") {
    exchange.saved.progress.at(0).parts.at(3) = 7;
  }
  Exchange again(exchange);
  SECTION("its leaf hashes are gone") {
    again.leaves_error = Errc::not_found;
  }
  SECTION("its leaf hashes are damaged") {
    again.leaves_error = Errc::corrupt;
  }
  again.settle({});
  CHECK(again.status().durable == (2 - lost) * kBlockSize);
  Seed other(again, content, 2);
  again.settle({&other});
  CHECK(count_of(other.asked) == 6 + lost);
}

TEST_CASE(
    "a passing fault of the disk takes nothing of a piece that is not whole, a lasting one all",
    "[transfer]") {
  const bool is_lasting = GENERATE(false, true);
  Begun begun({{0, 0, 2}});
  Exchange& exchange = begun.exchange;
  const Content& content = begun.content;
  Exchange again(exchange);
  again.leaves_error = Errc::io;
  again.settle({});
  CHECK(again.status().state == ShareState::failed);
  if (!is_lasting) again.leaves_error.reset();
  again.pass(seconds(10), {});
  Seed other(again, content, 2);
  again.settle({&other});
  CHECK(count_of(other.asked) == (is_lasting ? 8 : 6));
}

TEST_CASE("of a resumed piece others are told, and what is wrong of it is lost", "[transfer]") {
  const bool is_wrong = GENERATE(true, false);
  Begun begun({{0, 0, 2}});
  Exchange& exchange = begun.exchange;
  const Content& content = begun.content;

  Exchange again(exchange);
  again.settle({});
  again.is_disk_corrupt = is_wrong;
  Seed leecher(again, content, 3);
  leecher.has = Bitfield(2);
  again.settle({&leecher});
  CHECK(leecher.heard == std::vector<wire::BlockRun>{{0, 0, 2}});
  leecher.add(wire::Interested{Seed::kChannel});
  again.pass(seconds(11), {&leecher});  // until it is unchoked
  leecher.add(wire::Request{Seed::kChannel, {0, 1, 1}});
  again.pass(seconds(1), {&leecher});
  CHECK(leecher.rejected.size() == (is_wrong ? 1 : 0));
  CHECK(again.status().durable == (is_wrong ? 0 : 2 * kBlockSize));
  CHECK(again.status().done == again.status().durable);
  CHECK(again.status().reread == (is_wrong ? 0 : kBlockSize));  // hashed before it was served
}

TEST_CASE("who lacks nothing is told of a piece within a second, who lacks something at once",
          "[transfer]") {
  const bool is_seed = GENERATE(true, false);
  const Content content = make_content(2);
  Exchange exchange(content);
  Seed giver(exchange, content, 1);
  Seed other(exchange, content, 2);
  if (!is_seed) other.has = Bitfield(2);
  exchange.settle({&giver, &other});
  const std::vector<wire::BlockRun> asked = is_seed ? other.asked : giver.asked;
  REQUIRE_FALSE(asked.empty());
  (is_seed ? other : giver).send(exchange.now, {asked.front().piece, 0, 4});
  exchange.settle({&giver});
  exchange.settle({&other});
  const std::vector<std::uint32_t> whole{asked.front().piece};
  CHECK((other.haves == whole) == !is_seed);
  exchange.pass(seconds(1), {&giver, &other});
  CHECK(other.haves == whole);
}

}  // namespace peernet::transfer
