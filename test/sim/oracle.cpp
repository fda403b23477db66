#include "test/sim/oracle.h"

#include <algorithm>
#include <array>
#include <variant>

#include "core/hash.h"
#include "core/merkle.h"
#include "transfer/selection.h"

namespace peernet::sim {
namespace {

// SECURITY.md 1.4: counted here by hand, so that a limit which is raised by mistake shows.
constexpr std::size_t kDatagramSizeMax = 1200;
constexpr std::size_t kUnprovenMax = 1024;
constexpr std::size_t kHalfOpenMax = 64;
constexpr std::size_t kOutboundMax = 256;
constexpr std::uint32_t kBlocksOutMax = 1024;
constexpr std::size_t kSendQueueMax = 512 * 1024;   // 100 ms of a fast link
constexpr std::size_t kSendQueueSlack = 64 * 1024;  // control records, which are never held back
constexpr std::uint32_t kWakesPerSecondMax = 1000;  // a clock of milliseconds, at full speed

std::string text(const BlockPlace& block) {
  return "the block at " + std::to_string(block.place.offset) + " in piece " +
         std::to_string(block.piece);
}

}  // namespace

void Oracle::fail(const std::string& what) {
  if (!failure_) failure_ = what;
}

void Oracle::fail(const Host& host, const std::string& what) {
  char stamp[64];
  std::snprintf(stamp, sizeof(stamp),
                "at %.6f s, host %u: ", seconds(timeline_.now() - kWorldStart), host.index);
  fail(stamp + what);
}

// ---- Effects
// -------------------------------------------------------------------------------------

void Oracle::on_effect(Host& host, const Effect& effect) {
  std::visit(Overloaded{
                 [&](const SendDatagram& send) {
                   if (send.bytes.size() > kDatagramSizeMax)
                     fail(host, "a datagram over 1,200 bytes");
                   if (!send.to.is_usable()) fail(host, "a datagram to " + send.to.to_string());
                 },
                 [&](const SendMulticast& send) {
                   if (send.bytes.size() > kDatagramSizeMax)
                     fail(host, "a datagram over 1,200 bytes");
                 },
                 [&](const Connect& connect) {
                   if (!connect.to.is_usable()) fail(host, "dials " + connect.to.to_string());
                 },
                 [&](const Write& write) {
                   if (write.bytes.empty()) fail(host, "writes nothing");
                   if (network_.unsent(host.index, write.conn) + write.bytes.size() >
                       kSendQueueMax + kSendQueueSlack) {
                     fail(host, "queues " +
                                    std::to_string(network_.unsent(host.index, write.conn) +
                                                   write.bytes.size()) +
                                    " bytes for one peer");
                   }
                 },
                 [&](const Resolve& job) { check_job(host, job.job); },
                 [&](const RunHook& job) { check_job(host, job.job); },
                 [&](const OpenStorage& job) {
                   check_job(host, job.job);
                   Holding& holding = host.holdings[job.storage];
                   holding.spec = job;
                   holding.is_opened = true;
                   recount(host, holding);
                 },
                 [&](const CloseStorage& job) { check_storage(host, job.storage, effect); },
                 [&](const WriteBlocks& job) {
                   check_job(host, job.job);
                   check_storage(host, job.storage, effect);
                   check_write(host, job);
                 },
                 [&](const FinishStorage& job) {
                   check_job(host, job.job);
                   check_storage(host, job.storage, effect);
                   host.holdings[job.storage].target = job.name;
                   host.finishes[job.job] = job;
                 },
                 [&](const DeleteStorage& job) {
                   check_job(host, job.job);
                   host.holdings.erase(job.storage);
                 },
                 [&](const ListTree& job) { check_job(host, job.job); },
                 [&](const Save& job) {
                   check_job(host, job.job);
                   if (const auto* share = std::get_if<ShareRecord>(&job.record)) {
                     check_share(host, *share);
                   }
                   if (const auto* progress = std::get_if<ProgressRecord>(&job.record)) {
                     check_progress(host, *progress);
                   }
                 },
                 [&](const auto& other) {
                   if constexpr (requires { other.job; }) check_job(host, other.job);
                   if constexpr (requires { other.storage; })
                     check_storage(host, other.storage, effect);
                 },
             },
             effect);
}

void Oracle::check_job(Host& host, JobId job) {
  JobId& last = host.last_job[static_cast<std::size_t>(JobIds::owner(job))];
  if (job <= last) fail(host, "a job number is used twice");
  last = job;
}

void Oracle::check_storage(Host& host, StorageId storage, const Effect& effect) {
  static constexpr std::array<const char*, std::variant_size_v<Effect>> names = {
      "SendDatagram", "SendMulticast", "Connect",       "Write",         "Close",
      "PauseReading", "ResumeReading", "Resolve",       "OpenStorage",   "CloseStorage",
      "WriteBlocks",  "ReadBlocks",    "ReadLeaves",    "WriteLeaves",   "ListTree",
      "HashRange",    "Sync",          "FinishStorage", "DeleteStorage", "Save",
      "RunHook"};
  if (host.disk.is_known(storage)) return;
  fail(host, std::string(names.at(effect.index())) + " names a storage that is not open");
}

void Oracle::check_write(Host& host, const WriteBlocks& job) {
  const auto found = host.holdings.find(job.storage);
  if (found == host.holdings.end()) return;
  const Holding& holding = found->second;
  WriteBlocks outline;
  outline.job = job.job;
  outline.storage = job.storage;
  outline.file_index = job.file_index;
  std::uint64_t size = 0;
  for (const BlockToWrite& block : job.blocks) {
    outline.blocks.push_back({block.offset, {}, 0, block.size, block.leaf});
    size += block.size;
    check_block(host, holding, job, block);
  }
  host.fetched_bytes += size;
  if (job.blocks.empty()) fail(host, "writes no blocks");
  if (holding.share && !host.is_tampered) {
    const auto saved = host.store.progress().find(*holding.share);
    const Content* const truth = content(holding);
    if (saved != host.store.progress().end() && truth != nullptr) {
      const auto places = place_pieces(holding.spec.files, truth->piece_length);
      const auto touches = [&](const PiecePlace& place) {
        return place.file_index == job.file_index &&
               std::any_of(job.blocks.begin(), job.blocks.end(), [&](const BlockToWrite& block) {
                 return place.offset < block.offset + block.size &&
                        block.offset < place.offset + place.size;
               });
      };
      for (std::size_t i = 0; i < places.size(); ++i) {
        if (has_bit(saved->second.durable, i) && touches(places[i])) {
          fail(host, "piece " + std::to_string(i) + " is durable and is fetched again");
        }
      }
      for (const BlockPlace& block :
           place_parts(saved->second.parts, places).value_or(std::vector<BlockPlace>())) {
        if (touches(block.place)) fail(host, text(block) + " is durable and is fetched again");
      }
    }
  }
  host.write_jobs[job.job] = job.storage;
  host.writes[job.job] = std::move(outline);
}

void Oracle::check_block(Host& host, const Holding& holding, const WriteBlocks& job,
                         const BlockToWrite& block) {
  const Content* const truth = content(holding);
  if (truth == nullptr) return;
  const ContentFile* const file = truth->find(file_path(holding, job.file_index));
  if (file == nullptr || block.offset + block.size > file->bytes.size()) {
    fail(host, "writes a block where there is none");
    return;
  }
  const BytesView right = BytesView(file->bytes).subspan(block.offset, block.size);
  const BytesView got = BytesView(block.record).subspan(block.data_begin, block.size);
  const std::string where =
      " of file " + std::to_string(job.file_index) + " at " + std::to_string(block.offset);
  if (file->leaves.at(block.offset / merkle::kBlockSize) != block.leaf)
    fail(host, "expects a wrong leaf for the block" + where);
  if (is_everybody_honest && !std::equal(right.begin(), right.end(), got.begin(), got.end())) {
    fail(host, "was sent wrong bytes for the block" + where);
  }
}

void Oracle::check_share(Host& host, const ShareRecord& record) {
  Holding& holding = host.holdings[record.storage];
  holding.share = record.id;
  const auto known = contents_.find(record.id);
  // More may be wanted while it is renamed.
  if (record.stage != ShareStage::finishing) {
    holding.finishing.reset();
  } else if (!holding.finishing) {
    holding.finishing = record.selections;
  }
  if (known == contents_.end() || record.stage == ShareStage::fetching ||
      record.stage == ShareStage::extending || host.is_tampered) {
    return;
  }
  if (record.parent == kSharedDirectory) return;  // what we shared ourselves
  const Content& truth = *known->second;
  const std::string there = Disk::join(record.parent, record.name, "");
  const std::string making = Disk::join(record.parent, holding.spec.top, "");
  const auto is_all_there = [&](const std::string& top, bool is_finished) {
    return is_whole(host.disk, truth, top, is_finished,
                    holding.finishing.value_or(record.selections));
  };
  const bool is_good =
      record.stage == ShareStage::complete
          ? is_all_there(there, true)
          : is_all_there(there, true) || (holding.is_opened && is_all_there(making, false));
  if (!is_good) fail(host, "a share is recorded as whole and is not on the disk");
}

void Oracle::check_progress(Host& host, const ProgressRecord& record) {
  check_durable(host, record, false);
  const auto saved = host.store.progress().find(record.id);
  if (saved == host.store.progress().end() || host.is_tampered) return;
  for (std::size_t i = 0; i < 8 * saved->second.durable.size(); ++i) {
    if (has_bit(saved->second.durable, i) && !has_bit(record.durable, i)) {
      fail(host, "piece " + std::to_string(i) + " was durable and is forgotten");
    }
  }
  const Holding* const holding = find(host, record.id);
  const Content* const truth = holding == nullptr ? nullptr : content(*holding);
  if (truth == nullptr) return;
  const auto places = place_pieces(holding->spec.files, truth->piece_length);
  std::set<std::pair<std::uint32_t, std::uint64_t>> kept;
  const auto none = std::vector<BlockPlace>();
  for (const BlockPlace& block : place_parts(record.parts, places).value_or(none)) {
    kept.emplace(block.place.file_index, block.place.offset);
  }
  for (const BlockPlace& block : place_parts(saved->second.parts, places).value_or(none)) {
    if (!has_bit(record.durable, block.piece) &&
        !kept.contains({block.place.file_index, block.place.offset})) {
      fail(host, text(block) + " was durable and is forgotten");
    }
  }
}

// ---- Claims
// --------------------------------------------------------------------------------------

const Content* Oracle::content(const Holding& holding) const {
  if (!holding.share || !holding.is_opened) return nullptr;
  const auto found = contents_.find(*holding.share);
  return found == contents_.end() ? nullptr : found->second;
}

Holding* Oracle::find(Host& host, const ShareId& id) {
  for (auto& [storage, holding] : host.holdings) {
    if (holding.share == id && holding.is_opened) return &holding;
  }
  return nullptr;
}

const std::string& Oracle::file_path(const Holding& holding, std::uint32_t file_index) {
  return holding.spec.files[file_index].path;
}

// Where it is now: a file that stands apart is moved when the share is whole.
std::string Oracle::whole_path(const Disk& disk, const Holding& holding, std::uint32_t file_index) {
  const OpenStorage& spec = holding.spec;
  const FileSpec& file = spec.files[file_index];
  if (!file.apart.empty()) {
    std::string made = Disk::join(spec.parent, spec.top, file.apart);
    if (disk.exists(made)) return made;
  }
  return Disk::join(spec.parent, spec.top, spec.is_single_file ? "" : file.path);
}

bool Oracle::is_right(const Disk& disk, const Holding& holding, const Content& content,
                      const PiecePlace& place) {
  const ContentFile* const truth = content.find(file_path(holding, place.file_index));
  const auto there = disk.bytes(whole_path(disk, holding, place.file_index));
  if (truth == nullptr || !there || place.offset + place.size > there->size() ||
      place.offset + place.size > truth->bytes.size()) {
    return false;
  }
  const auto begin = static_cast<std::ptrdiff_t>(place.offset);
  return std::equal(truth->bytes.begin() + begin,
                    truth->bytes.begin() + begin + static_cast<std::ptrdiff_t>(place.size),
                    there->begin() + begin);
}

void Oracle::check_durable(Host& host, const ProgressRecord& record, bool after_crash) {
  Holding* const holding = find(host, record.id);
  if (holding == nullptr || host.is_tampered || holding->spec.parent == kSharedDirectory) return;
  const Content* const truth = content(*holding);
  if (truth == nullptr) return;
  const auto places = place_pieces(holding->spec.files, truth->piece_length);
  const auto blocks = place_parts(record.parts, places);
  if (record.durable.size() != (places.size() + 7) / 8 || !blocks) {
    fail(host, "progress of the wrong size is saved");
    return;
  }
  holding->claimed.resize(places.size());
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (!has_bit(record.durable, i) || (holding->claimed[i] && !after_crash)) continue;
    check_claim(host, *holding, *truth, places[i], after_crash, "piece " + std::to_string(i));
    holding->claimed[i] = true;
  }
  for (const BlockPlace& block : *blocks) {
    const bool is_new =
        holding->claimed_blocks.emplace(block.place.file_index, block.place.offset).second;
    if (!is_new && !after_crash) continue;
    check_claim(host, *holding, *truth, block.place, after_crash, text(block));
  }
}

// Its bytes, and the leaf hashes by which they are checked before they are served.
void Oracle::check_claim(Host& host, const Holding& holding, const Content& content,
                         const PiecePlace& place, bool after_crash, const std::string& what) {
  std::uint64_t leaf = place.offset / merkle::kBlockSize;
  for (std::uint32_t i = 0; i < place.file_index; ++i) {
    leaf += (holding.spec.files[i].size + merkle::kBlockSize - 1) / merkle::kBlockSize;
  }
  const std::uint64_t leaves_count = (place.size + merkle::kBlockSize - 1) / merkle::kBlockSize;
  const std::string leaves = Disk::leaf_path(holding.spec.storage);
  const bool is_durable =
      after_crash || (host.disk.is_durable(whole_path(host.disk, holding, place.file_index),
                                           place.offset, place.size) &&
                      host.disk.is_durable(leaves, leaf * Hash::kSize, leaves_count * Hash::kSize));
  bool is_good = is_right(host.disk, holding, content, place);
  const ContentFile* const file = content.find(file_path(holding, place.file_index));
  const auto there = host.disk.bytes(leaves).value_or(BytesView());
  for (std::uint64_t i = 0; is_good && i < leaves_count; ++i) {
    const Hash& right = file->leaves.at(place.offset / merkle::kBlockSize + i);
    const std::uint64_t at = (leaf + i) * Hash::kSize;
    is_good =
        at + Hash::kSize <= there.size() && Hash::from(there.subspan(at, Hash::kSize)) == right;
  }
  if (!is_good || !is_durable) {
    fail(host, what + " is said to be durable and is " + (is_durable ? "wrong" : "not synced"));
  }
}

void Oracle::recount(Host& host, Holding& holding) const {
  holding.right_blocks.clear();
  holding.right_bytes = 0;
  const Content* const truth = content(holding);
  if (truth == nullptr) return;
  for (const PiecePlace& block : place_pieces(holding.spec.files, merkle::kBlockSize)) {
    if (!is_right(host.disk, holding, *truth, block)) continue;
    holding.right_blocks.emplace(block.file_index, block.offset);
    holding.right_bytes += block.size;
  }
}

void Oracle::on_report(Host& host, JobId job, const FileResult& result) {
  if (const auto finish = host.finishes.find(job); finish != host.finishes.end()) {
    const auto found = host.holdings.find(finish->second.storage);
    if (result && found != host.holdings.end()) {
      found->second.spec.top = finish->second.name;
      found->second.target.reset();
    }
    host.finishes.erase(finish);
  }
  const auto write = host.writes.find(job);
  if (write == host.writes.end()) return;
  const auto found = host.holdings.find(write->second.storage);
  if (found != host.holdings.end()) {
    Holding& holding = found->second;
    if (const Content* truth = content(holding)) {
      for (const BlockToWrite& block : write->second.blocks) {
        const PiecePlace place{write->second.file_index, block.offset, block.size};
        if (!is_right(host.disk, holding, *truth, place)) continue;
        if (holding.right_blocks.emplace(place.file_index, place.offset).second) {
          holding.right_bytes += block.size;
        }
      }
    }
  }
  host.writes.erase(write);
}

void Oracle::check_done(Host& host, const Holding& holding) {
  if (content(holding) == nullptr || host.is_tampered || host.node == nullptr) return;
  if (holding.spec.parent == kSharedDirectory) return;
  const auto status = host.node->share(timeline_.now(), *holding.share);
  if (status && status->done > holding.right_bytes) {
    fail(host, "claims " + std::to_string(status->done) + " bytes, and only " +
                   std::to_string(holding.right_bytes) + " on its disk are right");
  }
  if (status && status->durable > status->done) fail(host, "more bytes durable than done");
}

// ---- Inputs, events
// ------------------------------------------------------------------------------

void Oracle::on_input(Host& host) {
  if (host.write_jobs.empty()) return;
  // A write has reported since: what the host now claims must be there.
  for (auto at = host.write_jobs.begin(); at != host.write_jobs.end();) {
    if (host.writes.contains(at->first)) {
      ++at;
      continue;
    }
    const auto holding = host.holdings.find(at->second);
    if (holding != host.holdings.end()) check_done(host, holding->second);
    at = host.write_jobs.erase(at);
  }
}

void Oracle::on_time_given(Host& host) {
  on_input(host);
  const std::int64_t second =
      std::chrono::duration_cast<std::chrono::seconds>(timeline_.now() - Time{}).count();
  if (second != host.wakes_second) {
    host.wakes_second = second;
    host.wakes_count = 0;
  }
  if (++host.wakes_count > kWakesPerSecondMax) fail(host, "spins: over 1,000 wake-ups in a second");
  if (host.node->deadline() > timeline_.now()) {
    host.stuck_count = 0;
  } else if (++host.stuck_count > 1) {
    fail(host, "spins: the deadline has passed, and on_time does not move it");
  }
}

void Oracle::on_event(Host& host, const transfer::Event& event) {
  if (const auto* done = std::get_if<transfer::Completed>(&event)) {
    const auto known = contents_.find(done->id);
    Holding* const holding = find(host, done->id);
    if (known == contents_.end() || host.is_tampered) return;
    const std::string top =
        Disk::join(holding != nullptr ? holding->spec.parent : kDownloads, known->second->name, "");
    const ShareRecord* const record = host.store.share(done->id);
    if (!is_whole(host.disk, *known->second, top, true,
                  record != nullptr ? record->selections : std::vector<Selection>())) {
      fail(host, "says that a share is complete, and it is not on the disk");
    }
  }
  if (const auto* durable = std::get_if<transfer::Durable>(&event)) {
    Holding* const holding = find(host, durable->id);
    if (holding != nullptr && content(*holding) != nullptr && !host.is_tampered &&
        holding->spec.parent != kSharedDirectory && durable->bytes > holding->right_bytes) {
      fail(host, "says that more bytes are durable than are right");
    }
  }
  if (const auto* banned = std::get_if<transfer::PeerBanned>(&event)) {
    host.banned.insert(banned->peer);
    if (is_everybody_honest) {
      fail(host, "bans " + to_short_text(banned->peer) + " (" + banned->reason +
                     "), and everybody is honest");
    }
  }
}

void Oracle::on_crash(Host& host) {
  host.write_jobs.clear();
  host.writes.clear();
  host.finishes.clear();
  host.last_job = {};
  host.stuck_count = 0;
  for (auto& [storage, holding] : host.holdings) {
    if (!holding.share || !holding.is_opened) continue;
    if (holding.target) {
      // The rename was under way: it has happened or not.
      Holding renamed = holding;
      renamed.spec.top = *holding.target;
      for (std::uint32_t i = 0; i < holding.spec.files.size(); ++i) {
        if (host.disk.exists(whole_path(host.disk, renamed, i)) &&
            !host.disk.exists(whole_path(host.disk, holding, i))) {
          holding.spec.top = *holding.target;
          break;
        }
      }
      holding.target.reset();
    }
    const auto saved = host.store.progress().find(*holding.share);
    if (saved != host.store.progress().end()) {
      check_durable(host, saved->second, true);
    }
    const ShareRecord* const record = host.store.share(*holding.share);
    if (record != nullptr && record->stage == ShareStage::complete) check_share(host, *record);
    recount(host, holding);
  }
}

void Oracle::look_over(const Host& host) {
  if (host.node == nullptr) return;
  const auto peers = host.node->peers(timeline_.now());
  const std::size_t connections_max = host.options.transfer.connections_max;
  if (peers.size() > connections_max + kOutboundMax) fail(host, "too many peers");
  for (const transfer::PeerStatus& peer : peers) {
    if (peer.requests_out > kBlocksOutMax) fail(host, "too many blocks asked of a peer");
  }
  if (network_.conns_count(host.index) >
      connections_max + kOutboundMax + kUnprovenMax + kHalfOpenMax) {
    fail(host, "too many connections");
  }
  const transfer::Config& config = host.options.transfer;
  if (host.disk.jobs_count() > 4096) fail(host, "over 4,096 disk jobs at a time");
  std::uint64_t held = 0;
  for (const auto& [job, write] : host.writes) {
    for (const BlockToWrite& block : write.blocks) held += block.size;
  }
  if (held > config.memory_max) fail(host, "holds more block data than memory_max");
}

void Oracle::at_rest(const Host& host) {
  if (host.disk.jobs_count() != 0) fail(host, "disk jobs are left over");
  if (host.store.jobs_count() != 0) fail(host, "commits are left over");
}

bool Oracle::is_whole(const Disk& disk, const Content& content, const std::string& top,
                      bool is_finished, const std::vector<Selection>& selections) {
  return std::all_of(content.files.begin(), content.files.end(), [&](const ContentFile& file) {
    if (file.bytes.empty() && !is_finished) return true;
    if (!transfer::is_selected(selections, file.path.empty() ? content.name : file.path))
      return true;
    const std::string path = file.path.empty() ? top : top + "/" + file.path;
    const auto there = disk.bytes(path);
    return there &&
           std::equal(there->begin(), there->end(), file.bytes.begin(), file.bytes.end()) &&
           (!is_finished || disk.is_executable(path) == file.is_executable) &&
           disk.is_durable(path, 0, file.bytes.size());
  });
}

}  // namespace peernet::sim
