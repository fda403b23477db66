// The user's programs: a scan of a complete share before it goes to its place, and word when it is
// there.

#include <string>

#include "transfer/swarm.h"

namespace peernet::transfer {

void Swarm::start_scan(Turn& turn) {
  scan_ = run_hook(turn, Hook::scan);
  tell_state(turn);
}

JobId Swarm::run_hook(Turn& turn, Hook hook) {
  const JobId job = turn.next_job(record_.id);
  turn.out.push_back(
      RunHook{job, hook, record_.id, record_.name, record_.parent + "/" + top(), wanted_bytes_});
  return job;
}

void Swarm::on_hook(Turn& turn, JobId job, const HookResult& result) {
  // On a program that was told that all is done nothing depends, nor on a scan that was overtaken.
  if (scan_ != job) return;
  scan_.reset();
  if (!result) {
    quarantine(turn, result.error().what);
    return;
  }
  if (result->exit_status != 0) {
    quarantine(turn, "hooks.scan ended with " + std::to_string(result->exit_status) +
                         (result->said.empty() ? "" : ": " + result->said));
    return;
  }
  is_scanned_ = true;
  if (picker_) {
    on_all_durable(turn);
  } else {
    begin_exchange(turn);
  }
  tell_state(turn);
}

// Nothing of it goes to its place or to others before a person says so.
void Swarm::quarantine(Turn& turn, const std::string& why) {
  const std::string id = to_short_text(record_.id);
  fail(turn,
       Error{Errc::denied, why + "; it is kept at " + record_.parent + "/" + top(),
             "peernet resume " + id + " scans it again, peernet accept " + id +
                 " takes it as it is, peernet rm " + id + " deletes it"},
       Failing::quarantined);
}

Result<void> Swarm::accept(Turn& turn) {
  if (!is_quarantined_) {
    return Error{Errc::refused, "hooks.scan has not kept this share back", "peernet status"};
  }
  is_scanned_ = true;
  resume(turn);
  return {};
}

}  // namespace peernet::transfer
