// Which files of a share are wanted, and fetching more of it when it is at its place already: what
// is added stands apart until it is whole, and what was there goes on being served.

#include <algorithm>
#include <utility>

#include "core/identity.h"
#include "transfer/selection.h"
#include "transfer/swarm.h"

namespace peernet::transfer {

void Swarm::select_files() {
  const Manifest& manifest = metadata_.manifest();
  wanted_files_ = selected_files(record_.selections, manifest);
  wanted_ = pieces_of(wanted_files_, manifest.layout());
  wanted_bytes_ = bytes_of(wanted_);
}

Result<void> Swarm::widen(Turn& turn, const Selection& selection) {
  std::vector<Selection>& selections = record_.selections;
  if (selections.empty() || std::ranges::find(selections, selection) != selections.end()) return {};
  if (record_.stage == ShareStage::complete) {
    const bool is_ready = picker_ && is_open_ && !verification_ && !is_repairing_;
    if (!is_ready || !holds_wanted(served_)) {
      return Error{Errc::refused, "no more of this share can be fetched as it is now",
                   "peernet why " + to_short_text(record_.id) + " says how it is"};
    }
  }
  if (metadata_.is_complete() &&
      std::ranges::count(selected_files({selection}, metadata_.manifest()), true) == 0) {
    return Error{Errc::not_found, "no file of this share is named by what was asked for",
                 "peernet ls " + to_short_text(record_.id) + " shows the files"};
  }
  if (selection == Selection{}) {
    selections.clear();
  } else if (selections.size() < kSelectionsMax) {
    selections.push_back(selection);
  } else {
    return Error{Errc::too_large, "this share has as many selections as it can hold",
                 "peernet fetch without --only and --skip fetches all of it"};
  }
  if (metadata_.is_complete() && record_.stage == ShareStage::complete) {
    const std::vector<bool> placed = wanted_files_;
    select_files();
    if (wanted_files_ != placed) {
      extend(turn);
      return {};
    }
  }
  save_record(turn, SaveKind::record);
  if (metadata_.is_complete() && record_.stage == ShareStage::fetching) {
    select_files();
    if (picker_) want(turn, wanted_);
    // What comes now is scanned too.
    is_scanned_ = false;
    if (scan_) {
      scan_.reset();
      if (picker_) {
        on_all_durable(turn);
      } else {
        begin_exchange(turn);
      }
      tell_state(turn);
    }
  }
  return {};
}

// The storage is opened anew, to be written to where it stands.
void Swarm::extend(Turn& turn) {
  record_.stage = ShareStage::extending;
  is_scanned_ = false;
  started_ = turn.now;
  save_record(turn, SaveKind::record);
  if (is_open_) reopen_storage(turn);
  tell_state(turn);
}

void Swarm::want(Turn& turn, const Bitfield& pieces) {
  picker_->set_wanted(pieces);
  update_urgent();
  for (const ConnId conn : members_) {
    Peer& peer = turn.peers.at(conn);
    update_interest(peer, *peer.find_share(record_.id));
    peer.flush(turn.out);
  }
}

bool Swarm::is_whole(std::uint32_t file_index, const Bitfield& pieces) const {
  const Layout::File& file = metadata_.manifest().layout().file(file_index);
  const auto missing = pieces.next_unset(file.first_piece);
  return file.pieces_count == 0 || !missing || *missing >= file.first_piece + file.pieces_count;
}

std::vector<FileSpec> Swarm::file_specs() const {
  using enum FileSpec::Standing;
  std::vector<FileSpec> files = metadata_.manifest().file_specs();
  // Under the name of an unfinished share all files may come yet, and none has to be there.
  const bool is_placed =
      record_.stage == ShareStage::complete || record_.stage == ShareStage::extending;
  for (std::uint32_t i = 0; i < files.size() && is_placed; ++i) {
    FileSpec& file = files[i];
    if (!wanted_files_[i]) file.standing = left_out;
    if (!wanted_files_[i] || record_.stage != ShareStage::extending) continue;
    const std::size_t slash = file.path.rfind('/');
    if (slash != std::string::npos) file.apart = file.path.substr(0, slash + 1);
    file.apart += "." + to_text(record_.id) + "." + std::to_string(i) + ".part";
    file.standing = is_whole(i, durable_.pieces) ? moved : apart;
  }
  return files;
}

// Files that were added to what is wanted meanwhile are not there yet, and come afterwards.
void Swarm::finish_storage(Turn& turn) {
  FinishStorage finish{add_job(turn, FinishJob{}), record_.storage, record_.name, {}};
  for (const bool is_wanted : wanted_files_) finish.is_left_out.push_back(!is_wanted);
  turn.out.push_back(std::move(finish));
}

}  // namespace peernet::transfer
