// Reading a share's files in order while it is fetched: what each read waits for, and what it gets.
// Bytes are given of pieces that are had only, and by the same verified reads as to peers.

#include <algorithm>
#include <utility>

#include "core/identity.h"
#include "transfer/swarm.h"

namespace peernet::transfer {

bool Swarm::read_file(Turn& turn, ReadId id, Readers::Read read) {
  if (!readers_.add(id, std::move(read))) return false;
  serve_reads(turn);
  return true;
}

void Swarm::forget_reader(ReaderId reader) {
  readers_.remove(reader);
  update_urgent();
}

void Swarm::update_urgent() {
  if (!picker_) return;
  std::vector<std::uint32_t> urgent = readers_.urgent(picker_->lacking());
  if (is_sequential_) {
    const std::uint32_t count = window_pieces(metadata_.manifest().layout());
    std::uint32_t taken = 0;
    for (auto piece = picker_->lacking().next_set(0); piece && taken < count; ++taken) {
      if (std::ranges::find(urgent, *piece) == urgent.end()) urgent.push_back(*piece);
      piece = picker_->lacking().next_set(*piece + 1);
    }
  }
  picker_->set_urgent(std::move(urgent));
}

void Swarm::set_sequential(bool is_sequential) {
  is_sequential_ = is_sequential;
  update_urgent();
}

Result<std::uint32_t> Swarm::find_file(const std::string& path) const {
  const auto& files = metadata_.manifest().files();
  const bool is_single_file = metadata_.manifest().is_single_file();
  if (is_single_file && path.empty()) return 0U;
  bool is_directory = path.empty();
  for (std::uint32_t i = 0; i < files.size() && !is_single_file; ++i) {
    if (files[i].path == path) return i;
    is_directory = is_directory || files[i].path.starts_with(path + "/");
  }
  const std::string hint = "peernet ls " + to_short_text(record_.id) + " shows the files";
  if (is_directory) return Error{Errc::refused, "that is a directory: name one file in it", hint};
  return Error{Errc::not_found, "the share has no such file", hint};
}

// Why the read cannot be answered with bytes, now or later.
std::optional<Error> Swarm::read_error(const Readers::Read& read) const {
  if (is_listing_) return Error{Errc::refused, "only the list of files is fetched", {}};
  if (is_removing_) return Error{Errc::cancelled, "the share was removed", {}};
  if (error_) return error_;
  if (picker_ && read.file_index) {
    const std::uint32_t piece =
        metadata_.manifest().layout().piece_at(*read.file_index, read.offset);
    if (!served_.test(piece) && wanted_files_[*read.file_index] &&
        record_.stage == ShareStage::complete && !is_repairing_) {
      return Error{Errc::corrupt, "this part of the file is damaged",
                   "peernet verify --repair " + to_short_text(record_.id) + " fetches it again"};
    }
  }
  if (picker_ && read.file_index && !wanted_files_[*read.file_index] &&
      !served_.test(metadata_.manifest().layout().piece_at(*read.file_index, read.offset))) {
    return Error{Errc::refused, "this file was not asked for",
                 "fetch it too: peernet fetch --only PATH and the share's link"};
  }
  const bool is_there =
      picker_ && read.file_index &&
      served_.test(metadata_.manifest().layout().piece_at(*read.file_index, read.offset));
  if (record_.is_paused && !is_there) {
    return Error{Errc::unavailable, "this part is not here yet, and the share is paused",
                 "go on with: peernet resume " + to_short_text(record_.id)};
  }
  return std::nullopt;
}

void Swarm::serve_reads(Turn& turn) {
  auto& reads = readers_.reads();
  for (auto at = reads.begin(); at != reads.end();) {
    const ReadId id = at->first;
    Readers::Read& read = at->second;
    ++at;  // an answer erases it
    if (read.is_at_disk) continue;
    if (!read.file_index && metadata_.is_complete()) {
      const auto file = find_file(read.path);
      if (!file) {
        answer_read(turn, id, file.error());
        continue;
      }
      read.file_index = *file;
      const Layout& layout = metadata_.manifest().layout();
      const std::uint64_t file_size = layout.file(*file).size;
      if (read.offset >= file_size) {
        answer_read(turn, id, FileBytes{{}, file_size});
        continue;
      }
      readers_.place(read.reader, layout, *file, read.offset);
      update_urgent();
    }
    if (auto error = read_error(read)) {
      answer_read(turn, id, *std::move(error));
    } else if (picker_ && is_open_ && read.file_index) {
      start_read(turn, id, read);
    }
  }
}

// As many bytes as are there without a gap, of whole blocks as the disk wants it.
void Swarm::start_read(Turn& turn, ReadId id, Readers::Read& read) {
  const Layout& layout = metadata_.manifest().layout();
  const Layout::File& file = layout.file(*read.file_index);
  const std::uint64_t begin = read.offset - read.offset % kBlockSize;
  const std::uint64_t wanted_end = std::min(file.size, read.offset + read.size);
  std::uint32_t piece = layout.piece_at(*read.file_index, read.offset);
  std::uint64_t end = begin;
  for (; end < wanted_end && served_.test(piece); ++piece) {
    end = layout.piece(piece).offset + layout.piece_size(piece);
    const bool is_last = piece + 1 == file.first_piece + file.pieces_count;
    if (is_last || read.is_one_piece) break;
  }
  end = std::min(end, wanted_end);
  if (end <= read.offset) return;
  read.is_at_disk = true;
  ReadJob job;
  job.read = id;
  job.skipped = static_cast<std::uint32_t>(read.offset - begin);
  job.file_index = *read.file_index;
  job.offset = begin;
  job.size = static_cast<std::uint32_t>(end - begin);
  job.first_leaf = file.first_leaf + begin / kBlockSize;
  job.is_verified = true;
  const std::uint64_t last_leaf = file.first_leaf + (end - 1) / kBlockSize;
  for (std::uint64_t leaf = job.first_leaf; leaf <= last_leaf; ++leaf) {
    job.is_verified = job.is_verified && verified_.test(static_cast<std::uint32_t>(leaf));
  }
  issue_read(turn, turn.next_job(record_.id), std::move(job));
}

void Swarm::answer_read(Turn& turn, ReadId id, Result<FileBytes> result) {
  if (!readers_.reads().contains(id)) return;  // its reader is gone
  readers_.on_answered(id);
  turn.events.emplace_back(FileRead{id, std::move(result)});
}

}  // namespace peernet::transfer
