#include <nlohmann/json.hpp>

#include <algorithm>

#include "cli/commands.h"
#include "cli/render.h"
#include "cli/text.h"

// `peernet why ID`: the chain behind a share's state, a line for each link of it. Every word is the
// daemon's; here they are only put in order.

namespace peernet::cli {

constexpr std::size_t kLabelWidth = 10;
constexpr std::size_t kTextBegin = 2 + kLabelWidth + 2;  // column
constexpr std::size_t kDialsShownMax = 5;
constexpr std::size_t kPeersShownMax = 5;

namespace {

std::string short_endpoint(const Json& object) {
  return shown(text_at(object, "endpoint"));
}

class Chain {
 public:
  explicit Chain(std::size_t width) : folding_{width, kTextBegin, kTextBegin + 2} {}
  void add(const std::string& label, const std::string& text) {
    lines_ += "  " + pad_right(label, kLabelWidth) + "  " + folded(text, folding_) + "\n";
  }
  const std::string& text() const { return lines_; }

 private:
  Folding folding_;
  std::string lines_;
};

std::string clock_of(const std::string& rfc3339) {
  return rfc3339.size() < 19 ? shown(rfc3339) : shown(rfc3339.substr(11, 8)) + " UTC";
}

void add_lookup(Chain& chain, const Json& why) {
  const Json& lookup = at(at(why, "share"), "lookup");
  if (!flag_at(why, "has_lookups")) {
    chain.add("lookup", "off      discovery.dht is false");
    return;
  }
  std::string text;
  if (!lookup.is_object()) {
    text = "none     no lookup has ended yet";
  } else {
    const std::uint64_t found = count_at(lookup, "peers_found");
    // Who fetches announces itself: the lookup finds us too.
    const bool is_useless = found > 0 && count_at(why, "dials_count") == 0;
    text = (found > 0 && !is_useless ? "ok       " : "nobody   ") +
           plural(count_at(lookup, "nodes_asked"), "node") + " asked, " + std::to_string(found) +
           (found == 1 ? " address found" : " addresses found") +
           (is_useless ? ", our own or not to be dialled" : "") + " (" +
           clock_of(text_at(lookup, "time")) + ")";
  }
  chain.add("lookup", text);
}

bool is_in_vain(const Json& dial) {
  const std::string outcome = text_at(dial, "outcome");
  return outcome == "share_unknown" || (text_at(dial, "state") != "connected" && !outcome.empty());
}

void add_dials(Chain& chain, const Json& why) {
  std::uint64_t connected = 0;
  std::uint64_t failed = 0;
  std::uint64_t open = 0;
  for (const Json& dial : at(why, "dials")) {
    const std::string state = text_at(dial, "state");
    if (is_in_vain(dial)) {
      ++failed;
    } else if (state == "connected") {
      ++connected;
    } else {
      ++open;
    }
  }
  const std::uint64_t total = count_at(why, "dials_count");
  if (total == 0) {
    chain.add("dial", "none     no address is known");
    return;
  }
  std::string text = std::to_string(connected) + " ok     " + std::to_string(failed) + " failed";
  if (open > 0) text += ", " + std::to_string(open) + " not tried yet or under way";
  chain.add("dial", text);
  std::size_t told = 0;
  for (const Json& dial : at(why, "dials")) {
    if (!is_in_vain(dial)) continue;
    if (told++ == kDialsShownMax) break;
    std::string line = short_endpoint(dial) + " (" + shown(text_at(dial, "found_by")) + ")  " +
                       shown(text_at(dial, "meaning"));
    const std::string message = text_at(dial, "message");
    if (text_at(dial, "outcome") == "other" || text_at(dial, "outcome") == "handshake") {
      line += ": " + shown(message);
    }
    if (const std::string next = text_at(dial, "next"); !next.empty()) {
      line += "; again " + clock_of(next);
    }
    chain.add("", line);
  }
  if (failed > kDialsShownMax) {
    chain.add("", "and " + std::to_string(failed - kDialsShownMax) + " more");
  }
}

std::string peer_words(const Json& peer) {
  std::string text = short_id(text_at(peer, "id")) + " " + short_endpoint(peer) + "  ";
  if (!flag_at(peer, "has_said_state")) {
    return text + (flag_at(peer, "has_manifest") ? "has the manifest, has not said what it has"
                                                 : "has not said yet that it has the manifest");
  }
  const double done = number_at(peer, "done").value_or(0);
  text += "has " + std::to_string(static_cast<unsigned>(std::clamp(done, 0.0, 1.0) * 100)) + "%";
  if (!flag_at(peer, "is_interesting")) return text + ", nothing of it that we miss";
  const std::string age = age_text(count_at(peer, "choke_age"));
  if (flag_at(peer, "is_choking")) {
    return text + ", chokes us for " + age + " (why is unknown: a peer does not say)";
  }
  text += ", serves us for " + age + ": " + plural(count_at(peer, "requests_out"), "block") +
          " asked for, last one " + age_text(count_at(peer, "quiet")) + " ago";
  if (flag_at(peer, "is_snubbed")) text += ", snubbed";
  return text;
}

void add_peers(Chain& chain, const Json& why) {
  const std::uint64_t total = count_at(why, "peers_count");
  chain.add("peers", total == 0 ? "none     nobody is connected for this share"
                                : plural(total, "peer") + " connected");
  std::size_t told = 0;
  for (const Json& peer : at(why, "peers")) {
    if (told++ == kPeersShownMax) break;
    chain.add("", peer_words(peer));
  }
  if (total > kPeersShownMax)
    chain.add("", "and " + std::to_string(total - kPeersShownMax) + " more");
  for (const Json& ban : at(why, "bans")) {
    chain.add("banned", short_id(text_at(ban, "peer")) + " " + short_endpoint(ban) + "  " +
                            shown(text_at(ban, "reason")) + " (" + clock_of(text_at(ban, "time")) +
                            ")");
  }
}

void add_pieces(Chain& chain, const Json& why) {
  const Json& share = at(why, "share");
  const std::uint64_t pieces = count_at(share, "pieces_count");
  if (pieces == 0) return;
  std::string text =
      std::to_string(count_at(share, "pieces_done")) + " of " + plural(pieces, "piece") + " here";
  const Json& lost = at(why, "lost");
  if (const std::uint64_t number = count_at(lost, "count"); number > 0) {
    text += ", " + std::to_string(number) + " without a connected holder (" +
            plural(count_at(lost, "files_count"), "file") + "):";
    for (const Json& piece : at(lost, "pieces")) {
      if (piece.is_number_unsigned()) text += " " + std::to_string(piece.get<std::uint64_t>());
    }
    if (number > at(lost, "pieces").size()) text += " ...";
  }
  chain.add("have", text);
}

void add_machine(Chain& chain, const Json& why) {
  const Json& limits = at(why, "limits");
  if (flag_at(limits, "is_limited")) {
    const auto rate = integer_at(limits, "down");
    const bool is_of_peer = text_at(at(why, "share"), "cause") == "peer_limited";
    chain.add("limit", std::string(is_of_peer ? "limits.peer_down" : "a download limit") +
                           (rate ? " of " + rate_text(*rate) : std::string()) +
                           " holds requests back now");
  }
  if (flag_at(limits, "is_memory_short")) {
    chain.add("memory", "limits.memory holds requests back now");
  }
  const Json& error = at(at(why, "share"), "error");
  const Json& disk = at(why, "disk");
  if (error.is_object()) {
    chain.add(text_at(error, "kind") == "no_space" ? "disk" : "fault",
              shown(text_at(error, "message")));
  } else if (count_at(disk, "writes") > 0 || flag_at(disk, "is_syncing")) {
    chain.add("disk", plural(count_at(disk, "writes"), "write") + " under way" +
                          (flag_at(disk, "is_syncing") ? ", syncing" : ""));
  }
}

std::string hint_for(const Json& share) {
  const std::string cause = text_at(share, "cause");
  const std::string id = short_id(text_at(share, "id"));
  if (const std::string hint = text_at(at(share, "error"), "hint"); !hint.empty()) {
    return shown(hint);
  }
  if (cause == "paused") return "peernet resume " + id;
  if (cause == "damaged") return "peernet verify --repair " + id;
  if (cause == "dht_empty")
    return "peernet doctor; bootstrap of the config names nodes to join through";
  if (cause == "lookups_off") return "a link with an address (pe=HOST:PORT), or discovery.dht";
  if (cause == "no_provider") return "peernet doctor; is it shared anywhere, by a node that runs?";
  if (cause == "limited") return "peernet limit";
  if (cause == "peer_limited") return "peernet config set limits.peer_down null";
  if (cause == "memory_short") return "peernet config set limits.memory 512MiB";
  if (cause == "dials_fail")
    return "peernet doctor; is peernetd running there, and is its port open?";
  return {};
}

}  // namespace

std::string render_why(const Json& why, std::optional<std::uint64_t> since_seconds,
                       const Look& look) {
  const Json& share = at(why, "share");
  const std::string state = text_at(share, "state");
  std::string head = shown(state);
  if (since_seconds && !is_done_state(state)) head += " for " + age_text(*since_seconds);
  std::string reason = shown(text_at(share, "reason"));
  if (reason.empty()) {
    reason = state == "seeding"   ? "it is complete; nothing is in the way"
             : state == "partial" ? "all that is wanted of it is here; nothing is in the way"
             : state == "paused"  ? "paused by you"
                                  : "nothing is in the way";
  }
  const std::string name = text_at(share, "name");
  const std::string first = folded(head + ": " + reason, {look.width, 0, 2});
  std::string text = colored(first, Color::bold, look) + "\n";
  Chain chain(look.width);
  chain.add("share", short_id(text_at(share, "id")) + (name.empty() ? "" : "  " + shown(name)));
  if (!is_done_state(state)) {
    add_lookup(chain, why);
    add_dials(chain, why);
  }
  if (state != "paused" && state != "failed" && state != "quarantined") add_peers(chain, why);
  add_pieces(chain, why);
  add_machine(chain, why);
  text += chain.text();
  // Not folded: what is to be typed can be copied.
  std::string tail;
  const std::string next = text_at(why, "next_retry");
  if (!next.empty() && !is_done_state(state)) tail = "next retry " + clock_of(next);
  if (const std::string hint = hint_for(share); !hint.empty()) {
    tail += (tail.empty() ? "Try: " : ". Try: ") + called(hint, look.node);
  }
  if (!tail.empty()) text += tail + "\n";
  return text;
}

int why(Session& session, const std::string& id) {
  Screen& screen = session.screen();
  const auto answer = session.call("transfer.why", Json::object({{"id", id}}));
  if (const auto* failure = std::get_if<Failure>(&answer)) return screen.fail(*failure);
  const Json& facts = std::get<Json>(answer);
  if (screen.is_json()) {
    screen.answer_json(facts);
  } else {
    screen.answer(render_why(facts, integer_at(facts, "age"), screen.out_look()));
  }
  return kExitDone;
}

}  // namespace peernet::cli
