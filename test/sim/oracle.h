#pragma once

// Oracle watches every input and every effect of every host and says when something is not as it
// must be. It knows the true content of each share and looks at the disks directly: a piece that is
// claimed must be there, a piece or a block that is said to be durable must survive a power cut, a
// job or a connection that does not exist may not be named, and no engine may spin.

#include <map>
#include <optional>
#include <string>

#include "core/effects.h"
#include "test/sim/content.h"
#include "test/sim/host.h"

namespace peernet::sim {

class Oracle {
 public:
  Oracle(const Timeline& timeline, const Network& network)
      : timeline_(timeline), network_(network) {}

  // The share with this id holds this content, which must outlive the oracle.
  void learn(const ShareId& id, const Content& content) { contents_[id] = &content; }

  // Before the effect is carried out.
  void on_effect(Host& host, const Effect& effect);
  // The report of a disk job is about to be given to the host.
  void on_report(Host& host, JobId job, const FileResult& result);
  // After any input, with its effects carried out.
  void on_input(Host& host);
  void on_time_given(Host& host);  // likewise, when the input was on_time
  void on_event(Host& host, const transfer::Event& event);
  // After the disk and the store have forgotten what they had to.
  void on_crash(Host& host);
  // Now and then: counts that are too dear to take after each input.
  void look_over(const Host& host);
  // Nothing has been asked of this host for a while: nothing may be left over.
  void at_rest(const Host& host);

  void fail(const Host& host, const std::string& what);
  void fail(const std::string& what);
  const std::optional<std::string>& failure() const { return failure_; }

  // Set where nobody lies and no disk was altered: then nobody may be banned.
  bool is_everybody_honest = true;

  // The content of a share as it stands on a disk: true if every selected file is there, byte for
  // byte, durable, and, unless it is still in the making, with its mode and the empty files too.
  static bool is_whole(const Disk& disk, const Content& content, const std::string& top,
                       bool is_finished, const std::vector<Selection>& selections = {});

 private:
  void check_job(Host& host, JobId job);
  void check_storage(Host& host, StorageId storage, const Effect& effect);
  void check_conn(const Host& host, ConnId conn);
  void check_write(Host& host, const WriteBlocks& job);
  void check_block(Host& host, const Holding& holding, const WriteBlocks& job,
                   const BlockToWrite& block);
  void check_share(Host& host, const ShareRecord& record);
  void check_progress(Host& host, const ProgressRecord& record);
  void check_durable(Host& host, const ProgressRecord& record, bool after_crash);
  void check_claim(Host& host, const Holding& holding, const Content& content,
                   const PiecePlace& place, bool after_crash, const std::string& what);
  void check_done(Host& host, const Holding& holding);
  void recount(Host& host, Holding& holding) const;
  const Content* content(const Holding& holding) const;
  static const std::string& file_path(const Holding& holding, std::uint32_t file_index);
  static std::string whole_path(const Disk& disk, const Holding& holding, std::uint32_t file_index);
  static Holding* find(Host& host, const ShareId& id);
  static bool is_right(const Disk& disk, const Holding& holding, const Content& content,
                       const PiecePlace& place);

  const Timeline& timeline_;
  const Network& network_;
  std::map<ShareId, const Content*> contents_;
  std::optional<std::string> failure_;
};

}  // namespace peernet::sim
