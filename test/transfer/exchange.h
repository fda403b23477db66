#pragma once

// What goes on between a share and those it fetches from, with seeds and a disk that the test
// plays.

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "core/merkle.h"
#include "core/rng.h"
#include "test/transfer/engine.h"

namespace peernet::transfer {

inline constexpr std::uint32_t kPieceLength = 4 * kBlockSize;

// One file, of pieces of so many blocks each. Nobody hashes its data, so it has none.
struct Content {
  std::uint32_t blocks_per_piece;
  std::vector<std::vector<Hash>> leaves;  // of each piece
  Bytes layers;
  Manifest manifest;
};

inline Content make_content(std::uint32_t pieces_count, std::uint32_t blocks_per_piece = 4) {
  Rng rng(pieces_count);
  std::vector<std::vector<Hash>> leaves(pieces_count, std::vector<Hash>(blocks_per_piece));
  std::vector<Hash> nodes;
  Bytes layers;
  for (std::vector<Hash>& of_piece : leaves) {
    for (Hash& leaf : of_piece) leaf = rng.tagged<Hash>();
    nodes.push_back(merkle::piece_node(of_piece, blocks_per_piece, pieces_count == 1));
    append(layers, nodes.back().view());
  }
  const Hash root =
      pieces_count == 1 ? nodes.front() : merkle::root_of_layer(nodes, blocks_per_piece);
  const std::uint32_t piece_length = blocks_per_piece * kBlockSize;
  auto manifest =
      Manifest::build("film", piece_length,
                      {{"", std::uint64_t{pieces_count} * piece_length, false, root}}, PathRules{});
  REQUIRE(manifest);
  return {blocks_per_piece, std::move(leaves), std::move(layers), *std::move(manifest)};
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
      now += std::chrono::milliseconds(500);
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
  bool is_disk_corrupt = false;        // whatever is read
  std::uint64_t bytes_waited_for = 0;  // of reads that are never answered, while are_reads_lost
  bool are_reads_lost = false;

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
      const std::uint32_t blocks_count = content.blocks_per_piece;
      read.leaves.push_back(content.leaves.at(i / blocks_count).at(i % blocks_count));
    }
    engine.on_file(now, e.job, FileOutcome{std::move(read)}, out);
  }
  void answer(const Sync& e) { engine.on_file(now, e.job, FileOutcome{FileDone{}}, out); }
  void answer(const ReadBlocks& e) {
    if (are_reads_lost) {
      bytes_waited_for += e.size;
    } else if (is_disk_corrupt) {
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

inline bool is_asked(const Seed& seed, std::uint32_t piece, std::uint16_t block) {
  return std::ranges::any_of(seed.asked, [&](const wire::BlockRun& run) {
    return run.piece == piece && run.first_block <= block && block < run.first_block + run.count;
  });
}

inline std::uint32_t count_of(const std::vector<wire::BlockRun>& runs) {
  std::uint32_t count = 0;
  for (const wire::BlockRun& run : runs) count += run.count;
  return count;
}

// A share of two pieces of which a seed has sent these blocks; they are durable.
struct Begun {
  explicit Begun(const std::vector<wire::BlockRun>& sent) {
    exchange.settle({&seed});
    for (const wire::BlockRun& run : sent) seed.send(exchange.now, run);
    exchange.pass(std::chrono::seconds(2), {&seed});
  }

  Content content = make_content(2);
  Exchange exchange{content};
  Seed seed{exchange, content, 1};
};

}  // namespace peernet::transfer
