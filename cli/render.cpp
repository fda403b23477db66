#include "cli/render.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdio>

#include "cli/text.h"

namespace peernet::cli {

constexpr std::size_t kShortIdSize = 8;
constexpr std::size_t kHashingWidth = 10;  // of "hashing   "
constexpr std::size_t kNodeIndent = 2;
constexpr std::size_t kLabelWidthMin = 8;
constexpr std::size_t kBarWidthMin = 6;
constexpr std::size_t kBarWidthMax = 26;
constexpr std::size_t kWidthUnlimited = 100;  // of the moving line where there is no terminal

namespace {

// "only *.pdf docs, skip old", for people.
std::string selection_text(const Json& selection) {
  std::string text;
  for (const char* kind : {"only", "skip"}) {
    const Json& globs = at(selection, kind);
    if (!globs.is_array() || globs.empty()) continue;
    text += (text.empty() ? "" : ", ") + std::string(kind);
    for (const Json& glob : globs)
      text += " " + shown(glob.is_string() ? glob.get<std::string>() : "");
  }
  return text;
}

std::string files_text(const Json& share) {
  const std::uint64_t all = count_at(share, "files_count");
  const std::uint64_t wanted = count_at(share, "files_wanted");
  std::string text = std::to_string(all);
  const Json& selections = at(share, "selections");
  if (!selections.is_array() || selections.empty()) return text;
  if (all > 0) text += ", " + std::to_string(wanted) + " wanted";
  for (std::size_t i = 0; i < selections.size(); ++i) {
    text += (i > 0 ? "; and " : all > 0 ? ": " : "") + selection_text(selections[i]);
  }
  return text;
}

std::string rate_or_dash(std::uint64_t rate) {
  return rate == 0 ? "-" : rate_text(rate);
}

std::string percent_or_dash(const Json& share) {
  const auto value = percent(count_at(share, "done"), wanted_size(share));
  return value ? std::to_string(*value) + "%" : "-";
}

std::string size_or_dash(const Json& share) {
  const auto size = wanted_size(share);
  return size ? size_text(*size) : "-";
}

std::string two_decimals(double value) {
  std::array<char, 32> text{};
  const int size = std::snprintf(text.data(), text.size(), "%.2f", value);
  return {text.data(), static_cast<std::size_t>(std::clamp(size, 0, 31))};
}

// A directory ends with a slash; a share without a name yet goes by its id.
std::string name_of(const Json& share) {
  const std::string name = text_at(share, "name");
  if (name.empty()) return "(" + short_id(text_at(share, "id")) + ")";
  return shown(name) + (flag_at(share, "is_directory") ? "/" : "");
}

Color color_of(const std::string& state) {
  if (state == "seeding" || state == "partial") return Color::green;
  if (state == "failed" || state == "damaged" || state == "quarantined") return Color::red;
  if (state == "stalled" || state == "finding") return Color::yellow;
  if (state == "fetching" || state == "scanning" || state == "finishing" || state == "repairing") {
    return Color::cyan;
  }
  return Color::none;
}

std::string no_shares(const Look& look) {
  return called("no shares yet: peernet add PATH, or peernet fetch LINK\n", look.node);
}

// Why a share is not further, where there is something to say.
std::string why_of(const Json& share) {
  const Json& error = at(share, "error");
  if (error.is_object()) return shown(text_at(error, "message"));
  return shown(text_at(share, "reason"));
}

// "2026-11-20T10:17:55.123Z" as "2026-11-20 10:17:55 UTC".
std::string time_text(const std::string& rfc3339) {
  if (rfc3339.size() < 19) return shown(rfc3339);
  return shown(rfc3339.substr(0, 10) + " " + rfc3339.substr(11, 8) + " UTC");
}

std::string finding_text(std::optional<std::uint64_t> dht_nodes, const Json& share) {
  std::string text = "looking for peers";
  if (dht_nodes) text += " (DHT: " + plural(*dht_nodes, "node") + ")";
  const std::string why = why_of(share);
  return why.empty() ? text : text + "   " + why;
}

std::string bar_text(unsigned percent_done, std::size_t width) {
  const std::size_t full = width * percent_done / 100;
  return "[" + std::string(full, '#') + std::string(width - full, '.') + "]";
}

// What follows the bar.
std::string pace_text(const Json& share) {
  const std::string state = text_at(share, "state");
  std::string text = rate_text(count_at(share, "rate_down"));
  if (const auto up = count_at(share, "rate_up"); up > 0) text += "  up " + rate_text(up);
  if (state == "stalled") return text + "   stalled: " + why_of(share);
  if (const auto eta = integer_at(share, "eta")) text += "   ETA " + countdown_text(*eta);
  return text + "   " + plural(count_at(share, "peers_connected"), "peer");
}

// The states in which there is no pace to show.
std::optional<std::string> still_text(const Json& share, std::optional<std::uint64_t> dht_nodes) {
  const std::string state = text_at(share, "state");
  if (state == "opening") return "opening";
  if (state == "finding" || !integer_at(share, "size")) return finding_text(dht_nodes, share);
  if (state == "finishing") return "100%  syncing to disk and moving into place";
  if (state == "scanning") return "100%  being scanned before it goes to its place";
  if (state == "paused" || state == "failed" || state == "damaged" || state == "quarantined" ||
      is_done_state(state)) {
    const std::string why = why_of(share);
    return percent_or_dash(share) + "  " + state + (why.empty() ? "" : ": " + why);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> wanted_size(const Json& share) {
  const auto wanted = integer_at(share, "wanted");
  return wanted ? wanted : integer_at(share, "size");
}

bool is_done_state(const std::string& state) {
  return state == "seeding" || state == "partial";
}

std::string plural(std::uint64_t number, const std::string& word) {
  return std::to_string(number) + " " + word + (number == 1 ? "" : "s");
}

std::string render_facts(const std::vector<Fact>& facts) {
  std::size_t width = 0;
  for (const Fact& fact : facts) width = std::max(width, fact.name.size());
  std::string text;
  for (const Fact& fact : facts) {
    text += "  " + pad_right(fact.name, width + 2) + fact.value + "\n";
  }
  return text;
}

std::string short_id(const std::string& id) {
  return shown(id.substr(0, kShortIdSize));
}

std::string render_node(const Json& node, const Look& look) {
  std::vector<std::string> parts;
  std::string who = "node " + short_id(text_at(node, "id"));
  if (const std::string name = text_at(node, "name"); !name.empty()) {
    who += " \"" + shown(name) + "\"";
  }
  parts.push_back(who);
  parts.push_back("up " + age_text(count_at(node, "uptime")));
  const Json& dht = at(node, "dht");
  parts.push_back(flag_at(dht, "is_enabled") ? "dht " + plural(count_at(dht, "nodes_count"), "node")
                                             : "dht off");
  const auto with_limit = [&](const char* word, const char* rate, const char* limit) {
    std::string part = std::string(word) + " " + rate_text(count_at(node, rate));
    if (const auto most = integer_at(node, limit)) part += " (limit " + rate_text(*most) + ")";
    return part;
  };
  parts.push_back(with_limit("down", "rate_down", "limit_down") + "  " +
                  with_limit("up", "rate_up", "limit_up"));
  parts.push_back(plural(count_at(node, "peers_connected"), "peer"));
  parts.push_back("port " + std::to_string(count_at(node, "port")));
  if (const std::string network = text_at(node, "network"); !network.empty()) {
    parts.push_back("network " + shown(network));
  }
  for (std::string& part : parts) {
    if (look.width > kNodeIndent) part = cut(part, look.width - kNodeIndent);
  }
  return folded(parts, {look.width, 0, kNodeIndent, "   "}) + "\n";
}

std::string render_shares(const std::vector<Json>& shares, const Look& look) {
  if (shares.empty()) return no_shares(look);
  Table table({{"ID"},
               {"STATE"},
               {"DONE", true},
               {"SIZE", true, 1},
               {"DOWN", true, 2},
               {"UP", true, 5},
               {"ETA", true, 3},
               {"PEERS", true, 4},
               {"RATIO", true, 6},
               {"NAME"}});
  for (const Json& share : shares) {
    const std::string state = text_at(share, "state");
    const auto eta = integer_at(share, "eta");
    const auto ratio = number_at(share, "ratio");
    const std::string why = why_of(share);
    table.add({{short_id(text_at(share, "id"))},
               {shown(state), color_of(state)},
               {percent_or_dash(share)},
               {size_or_dash(share)},
               {rate_or_dash(count_at(share, "rate_down"))},
               {rate_or_dash(count_at(share, "rate_up"))},
               {eta ? countdown_text(*eta) : "-"},
               {std::to_string(count_at(share, "peers_connected")) + "/" +
                std::to_string(count_at(share, "peers_known"))},
               {ratio ? two_decimals(*ratio) : "-"},
               {name_of(share) + (why.empty() ? "" : "   why: " + why)}});
  }
  return table.render(look);
}

std::string render_share(const Json& share, const Look& look) {
  std::vector<Fact> facts{
      {"id", shown(text_at(share, "id"))},
      {"path", shown(text_at(share, "path"))},
      {"done", size_text(count_at(share, "done")) + " of " + size_or_dash(share) + ", " +
                   std::to_string(count_at(share, "pieces_done")) + " of " +
                   plural(count_at(share, "pieces_count"), "piece") + ", " +
                   size_text(count_at(share, "durable")) + " durable"},
      {"files", files_text(share)},
      {"received", size_text(count_at(share, "downloaded")) + ", of this session " +
                       size_text(count_at(share, "wasted")) + " wasted"},
      {"sent", size_text(count_at(share, "uploaded"))},
      {"peers", plural(count_at(share, "peers_connected"), "peer") + " connected, " +
                    std::to_string(count_at(share, "peers_known")) + " known"},
  };
  if (const Json& lookup = at(share, "lookup"); lookup.is_object()) {
    facts.push_back({"lookup", plural(count_at(lookup, "nodes_asked"), "node") + " asked, " +
                                   plural(count_at(lookup, "peers_found"), "peer") + " found, " +
                                   time_text(text_at(lookup, "time"))});
  }
  facts.push_back({"added", time_text(text_at(share, "added"))});
  if (const std::string completed = text_at(share, "completed"); !completed.empty()) {
    facts.push_back({"completed", time_text(completed)});
  }
  if (const Json& run = at(share, "verification"); run.is_object()) {
    const std::uint64_t damaged = count_at(run, "damaged");
    facts.push_back(
        {"verifying",
         std::to_string(percent(count_at(run, "done"), integer_at(run, "total")).value_or(0)) +
             "%" + (damaged > 0 ? ", " + size_text(damaged) + " damaged" : std::string())});
  }
  if (const std::string why = why_of(share); !why.empty()) facts.push_back({"why", why});
  const std::string hint = text_at(at(share, "error"), "hint");
  if (!hint.empty()) facts.push_back({"hint", called(shown(hint), look.node)});
  return render_shares({share}, look) + render_facts(facts);
}

std::string render_list(const std::vector<Json>& shares, const Look& look) {
  if (shares.empty()) return no_shares(look);
  Table table({{"ID"}, {"STATE", false, 1}, {"SIZE", true}, {"FILES", true, 2}, {"NAME"}});
  for (const Json& share : shares) {
    const std::string state = text_at(share, "state");
    const auto files = count_at(share, "files_count");
    table.add({{short_id(text_at(share, "id"))},
               {shown(state), color_of(state)},
               {size_or_dash(share)},
               {files == 0 ? "-" : std::to_string(files)},
               {name_of(share)}});
  }
  return table.render(look);
}

std::string render_files(const std::vector<Json>& files, const std::string& name,
                         const Look& look) {
  Table table({{"DONE", true}, {"SIZE", true}, {"NAME"}});
  for (const Json& file : files) {
    const std::uint64_t size = count_at(file, "size");
    const auto done = size == 0 ? 100 : percent(count_at(file, "done"), size).value_or(0);
    const std::string path = text_at(file, "path");
    table.add({{flag_at(file, "is_wanted") ? std::to_string(done) + "%" : "skipped"},
               {size_text(size)},
               {shown(path.empty() ? name : path) + (flag_at(file, "is_executable") ? "*" : "")}});
  }
  return table.render(look);
}

std::string render_peers(const std::vector<Json>& peers, const Look& look) {
  if (peers.empty()) return "no peer is connected\n";
  Table table({{"PEER"},
               {"ADDRESS"},
               {"DOWN", true},
               {"UP", true},
               {"GOT", true, 3},
               {"GAVE", true, 3},
               {"RTT", true, 2},
               {"FOR", true, 1},
               {"STATE"}});
  for (const Json& peer : peers) {
    // What holds data back in each direction, in words.
    std::string state;
    const auto add = [&](const char* words) {
      if (!state.empty()) state += ", ";
      state += words;
    };
    if (flag_at(peer, "is_interesting")) {
      add(flag_at(peer, "is_choking") ? "waiting for a slot" : "serves us");
    }
    if (flag_at(peer, "is_interested")) {
      add(flag_at(peer, "is_choked") ? "waits for us" : "served");
    }
    if (state.empty()) state = "idle";
    const auto trip = number_at(peer, "round_trip");
    table.add(
        {{short_id(text_at(peer, "id"))},
         {shown(text_at(peer, "endpoint")) + (flag_at(peer, "is_inbound") ? " in" : " out")},
         {rate_or_dash(count_at(peer, "rate_down"))},
         {rate_or_dash(count_at(peer, "rate_up"))},
         {size_text(count_at(peer, "downloaded"))},
         {size_text(count_at(peer, "uploaded"))},
         {trip ? std::to_string(static_cast<int>(std::clamp(*trip, 0.0, 999.0) * 1000)) + " ms"
               : "-"},
         {age_text(count_at(peer, "connected"))},
         {state}});
  }
  return table.render(look);
}

std::string render_paths(const Json& paths) {
  std::vector<Fact> facts;
  if (!paths.is_object()) return {};
  for (const auto& [name, path] : paths.items()) {
    facts.push_back({shown(name), shown(path.is_string() ? path.get<std::string>() : "")});
  }
  std::string text;
  for (const Fact& fact : facts) text += pad_right(fact.name, 11) + fact.value + "\n";
  return text;
}

std::string render_checks(const Json& checks, const Look& look) {
  constexpr std::size_t kLevelWidth = 9;
  constexpr std::size_t kTextBegin = kLevelWidth + 13;
  std::string text;
  for (const Json& check : checks) {
    const std::string level = text_at(check, "level");
    const Color color = level == "ok"        ? Color::green
                        : level == "warning" ? Color::yellow
                                             : Color::red;
    text += colored(pad_right(shown(level), kLevelWidth), color, look) +
            pad_right(shown(text_at(check, "name")), kTextBegin - kLevelWidth) +
            folded(shown(text_at(check, "text")), {look.width, kTextBegin, kTextBegin + 2}) + "\n";
    // Not folded: what is to be typed can be copied.
    if (const std::string fix = text_at(check, "fix"); !fix.empty()) {
      text += std::string(kTextBegin, ' ') + "fix: " + called(shown(fix), look.node) + "\n";
    }
  }
  return text;
}

std::string render_methods(const Json& document, const Look& look) {
  Table table({{"METHOD"}, {"PARAMETERS", false, 1}, {"WHAT IT DOES"}});
  for (const Json& method : at(document, "methods")) {
    std::string params;
    for (const Json& param : at(method, "params")) {
      if (!params.empty()) params += ' ';
      params += shown(text_at(param, "name")) + (flag_at(param, "required") ? "" : "?");
    }
    table.add({{shown(text_at(method, "name"))}, {params}, {shown(text_at(method, "summary"))}});
  }
  return table.render(look);
}

std::string hashing_line(const std::string& name, std::uint64_t done, std::uint64_t total,
                         std::uint64_t rate, const Look& look) {
  const std::string pace =
      "   " + rate_text(rate) + "   " + std::to_string(percent(done, total).value_or(0)) + "%";
  const std::string tail = "   " + size_text(total) + pace;
  const std::string label = shown(name);
  if (look.width == 0) return "hashing   " + label + tail;
  const auto room = [&](const std::string& rest) {
    const std::size_t used = kHashingWidth + width_of(rest) + 1;
    return look.width > used ? look.width - used : 0;
  };
  if (room(tail) >= kLabelWidthMin) return "hashing   " + cut(label, room(tail)) + tail;
  return cut("hashing   " + cut(label, room(pace)) + pace, look.width);
}

std::string fetch_head(const Json& share, const Look& look) {
  std::string text = name_of(share) + "  " + size_or_dash(share) + "   ";
  if (const Json& lookup = at(share, "lookup"); lookup.is_object()) {
    text += "lookup " + plural(count_at(lookup, "nodes_asked"), "node") + ", " +
            plural(count_at(lookup, "peers_found"), "provider") + ", ";
  }
  text += std::to_string(count_at(share, "peers_connected")) + " connected";
  return look.width == 0 ? text : cut(text, look.width);
}

std::string fetch_line(const Json& share, std::optional<std::uint64_t> dht_nodes,
                       const Look& look) {
  const std::size_t width = look.width == 0 ? kWidthUnlimited : look.width;
  if (const auto still = still_text(share, dht_nodes)) return cut(*still, width);
  const std::uint64_t size = wanted_size(share).value_or(0);
  const unsigned done = percent(count_at(share, "done"), size).value_or(0);
  const std::string head = pad_left(std::to_string(done), 3) + "% ";
  const std::string tail =
      "  " + done_text(count_at(share, "done"), size) + "   " + pace_text(share);
  const std::size_t used = width_of(head) + width_of(tail) + 2;
  // Without room for a bar the numbers stand alone.
  if (used + kBarWidthMin > width) return cut(head + tail.substr(2), width);
  return head + bar_text(done, std::min(width - used, kBarWidthMax)) + tail;
}

std::string fetch_plain(const Json& share, std::optional<std::uint64_t> dht_nodes) {
  if (auto still = still_text(share, dht_nodes)) return *std::move(still);
  const std::uint64_t size = wanted_size(share).value_or(0);
  return percent_or_dash(share) + "  " + done_text(count_at(share, "done"), size) + "   " +
         pace_text(share);
}

}  // namespace peernet::cli
