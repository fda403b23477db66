#include "cli/render.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "cli/text.h"

namespace peernet::cli {
namespace {

Json share() {
  return Json::parse(R"({
    "id": "s7q2mfx4hwzaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaak3ra", "state": "fetching",
    "reason": "", "error": null, "name": "survey.tar", "path": "/d/survey.tar",
    "is_directory": false, "size": 5261334528, "done": 3006477107, "durable": 2900000000,
    "pieces_count": 2509, "pieces_done": 1433, "files_count": 1, "rate_down": 43201331,
    "rate_up": 6606028, "downloaded": 3006477107, "uploaded": 736586833, "wasted": 16384,
    "reread": 0, "ratio": 0.14, "eta": 52, "peers_connected": 5, "peers_known": 6,
    "lookup": {"time": "2026-11-20T10:17:55.000Z", "nodes_asked": 37, "peers_found": 6},
    "added": "2026-11-20T10:17:54.000Z", "completed": null})");
}

Json stalled() {
  Json json = share();
  json["id"] = "s5ttod2kaaaa";
  json["state"] = "stalled";
  json["reason"] = "4 pieces have no holder";
  json["name"] = "scans";
  json["is_directory"] = true;
  json["size"] = 1'288'490'188U;
  json["done"] = 1'287'000'000U;
  json["rate_down"] = 0U;
  json["rate_up"] = 0U;
  json["eta"] = nullptr;
  json["peers_connected"] = 3U;
  json["peers_known"] = 3U;
  json["ratio"] = 0.4;
  return json;
}

Json node() {
  return Json::parse(R"({"id": "p7wz3kd6aaaa", "name": "lab-1", "uptime": 270000, "port": 7341,
    "dht": {"is_enabled": true, "nodes_count": 184}, "peers_connected": 5,
    "rate_down": 43201331, "rate_up": 6606028, "limit_down": null, "limit_up": 8388608})");
}

TEST_CASE("status shows the node on one line, or on as many as it takes", "[cli]") {
  CHECK(render_node(node(), {}) ==
        "node p7wz3kd6 \"lab-1\"   up 3 d   dht 184 nodes   down 41.2 MiB/s  "
        "up 6.3 MiB/s (limit 8.0 MiB/s)   5 peers   port 7341\n");
  CHECK(render_node(node(), {60, false}) ==
        "node p7wz3kd6 \"lab-1\"   up 3 d   dht 184 nodes\n"
        "  down 41.2 MiB/s  up 6.3 MiB/s (limit 8.0 MiB/s)   5 peers\n"
        "  port 7341\n");
}

TEST_CASE("status shows a share a line, with the reason where one is stuck", "[cli]") {
  CHECK(render_shares({share(), stalled()}, {}) ==
        "ID        STATE     DONE     SIZE        DOWN         UP   ETA  PEERS  RATIO  NAME\n"
        "s7q2mfx4  fetching   57%  4.9 GiB  41.2 MiB/s  6.3 MiB/s  0:52    5/6   0.14  survey.tar\n"
        "s5ttod2k  stalled    99%  1.2 GiB           -          -     -    3/3   0.40  scans/   "
        "why: 4 pieces have no holder\n");
}

TEST_CASE("a status table fits the terminal, whatever its width", "[cli]") {
  for (std::size_t width = 40; width < 140; ++width) {
    const std::string text = render_shares({share(), stalled()}, {width, false});
    std::size_t begin = 0;
    while (begin < text.size()) {
      const std::size_t end = text.find('\n', begin);
      const std::string line = text.substr(begin, end - begin);
      CAPTURE(width, line);
      if (width >= 64) {
        CHECK(width_of(line) <= width);
      }
      begin = end + 1;
    }
  }
}

TEST_CASE("doctor and why go on below their texts on a narrow terminal", "[cli]") {
  const Json checks = Json::parse(R"([{"name": "udp", "level": "warning",
    "text": "the receive buffer is 208 KiB of the 4096 KiB asked for", "fix": "peernet x"}])");
  CHECK(render_checks(checks, {60, false, "--system"}) ==
        "warning  udp          the receive buffer is 208 KiB of the\n"
        "                        4096 KiB asked for\n"
        "                      fix: peernet --system x\n");
  const Json why = Json::parse(R"({"share": {"id": "s7q2mfx4aaaa", "state": "finding",
    "cause": "no_provider", "reason": "no provider found", "name": "a"},
    "has_lookups": true, "dials_count": 0, "peers_count": 0})");
  CHECK(render_why(why, {}, {40, false}) ==
        "finding: no provider found\n"
        "  share       s7q2mfx4  a\n"
        "  lookup      none     no lookup has\n"
        "                ended yet\n"
        "  dial        none     no address is\n"
        "                known\n"
        "  peers       none     nobody is\n"
        "                connected for this share\n"
        "Try: peernet doctor; is it shared anywhere, by a node that runs?\n");
}

TEST_CASE("without shares status says what to do", "[cli]") {
  CHECK(render_shares({}, {}) == "no shares yet: peernet add PATH, or peernet fetch LINK\n");
}

TEST_CASE("the fetch line has a bar that fills the terminal and no more", "[cli]") {
  CHECK(fetch_line(share(), {}, {120, false}) ==
        " 57% [##############............]  2.8/4.9 GiB   41.2 MiB/s  up 6.3 MiB/s   ETA 0:52   "
        "5 peers");
  for (std::size_t width = 20; width < 130; ++width) {
    CAPTURE(width);
    CHECK(width_of(fetch_line(share(), {}, {width, false})) <= width);
  }
}

TEST_CASE("before there is anything to show, the fetch line says what it waits for", "[cli]") {
  Json json = share();
  json["state"] = "finding";
  json["size"] = nullptr;
  CHECK(fetch_line(json, 184, {80, false}) == "looking for peers (DHT: 184 nodes)");
  CHECK(fetch_line(json, std::nullopt, {80, false}) == "looking for peers");
  json["reason"] = "no one has announced it";
  CHECK(fetch_plain(json, 1) == "looking for peers (DHT: 1 node)   no one has announced it");
  json["state"] = "opening";
  CHECK(fetch_plain(json, {}) == "opening");
}

TEST_CASE("a stalled fetch says why where the ETA was", "[cli]") {
  const std::string line = fetch_line(stalled(), {}, {120, false});
  CHECK(line.find("stalled: 4 pieces have no holder") != std::string::npos);
  CHECK(line.find("ETA") == std::string::npos);
}

TEST_CASE("in a log there is no bar", "[cli]") {
  CHECK(fetch_plain(share(), {}) ==
        "57%  2.8/4.9 GiB   41.2 MiB/s  up 6.3 MiB/s   ETA 0:52   5 peers");
  CHECK(fetch_head(share(), {}) ==
        "survey.tar  4.9 GiB   lookup 37 nodes, 6 providers, 5 connected");
}

TEST_CASE("hashing is one line", "[cli]") {
  CHECK(hashing_line("survey.tar", 5'261'334'528, 5'261'334'528, 1'717'986'918, {}) ==
        "hashing   survey.tar   4.9 GiB   1.6 GiB/s   100%");
  for (std::size_t width = 10; width < 120; ++width) {
    CHECK(width_of(hashing_line(std::string(300, 'n'), 1, 2, 1'000'000'000, {width, false})) <=
          width);
  }
}

TEST_CASE("status of one share tells every fact", "[cli]") {
  Json json = share();
  json["state"] = "failed";
  json["error"] = Json::parse(
      R"({"code": -32009, "kind": "no_space", "message": "no space left", "hint": "make room"})");
  CHECK(render_share(json, {}) ==
        "ID        STATE   DONE     SIZE        DOWN         UP   ETA  PEERS  RATIO  NAME\n"
        "s7q2mfx4  failed   57%  4.9 GiB  41.2 MiB/s  6.3 MiB/s  0:52    5/6   0.14  survey.tar   "
        "why: no space left\n"
        "  id        s7q2mfx4hwzaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaak3ra\n"
        "  path      /d/survey.tar\n"
        "  done      2.8 GiB of 4.9 GiB, 1433 of 2509 pieces, 2.7 GiB durable\n"
        "  files     1\n"
        "  received  2.8 GiB, of this session 16.0 KiB wasted\n"
        "  sent      702.5 MiB\n"
        "  peers     5 peers connected, 6 known\n"
        "  lookup    37 nodes asked, 6 peers found, 2026-11-20 10:17:55 UTC\n"
        "  added     2026-11-20 10:17:54 UTC\n"
        "  why       no space left\n"
        "  hint      make room\n");
}

TEST_CASE("files, peers and methods are tables", "[cli]") {
  const std::vector<Json> files{
      Json::parse(
          R"({"path": "bin/run", "size": 2048, "done": 1024, "is_wanted": true, "is_executable": true})"),
      Json::parse(
          R"({"path": "empty", "size": 0, "done": 0, "is_wanted": true, "is_executable": false})")};
  CHECK(render_files(files, "tree", {}) ==
        "DONE     SIZE  NAME\n"
        " 50%  2.0 KiB  bin/run*\n"
        "100%      0 B  empty\n");

  const Json peer = Json::parse(R"({"id": "p7wz3kd6aaaa", "endpoint": "192.0.2.1:7341",
    "is_inbound": false, "is_choked": true, "is_interested": true, "is_choking": false,
    "is_interesting": true, "rate_down": 1048576, "rate_up": 0, "downloaded": 2097152,
    "uploaded": 0, "round_trip": 0.0314, "connected": 75})");
  CHECK(render_peers({peer}, {}) ==
        "PEER      ADDRESS                  DOWN  UP      GOT  GAVE    RTT  FOR  STATE\n"
        "p7wz3kd6  192.0.2.1:7341 out  1.0 MiB/s   -  2.0 MiB   0 B  31 ms  1 m  "
        "serves us, waits for us\n");
  CHECK(render_peers({}, {}) == "no peer is connected\n");

  const Json document = Json::parse(R"({"methods": [{"name": "share.remove",
    "summary": "Forgets a share.", "params": [{"name": "id", "required": true},
    {"name": "delete_data", "required": false}]}]})");
  CHECK(render_methods(document, {}) ==
        "METHOD        PARAMETERS       WHAT IT DOES\n"
        "share.remove  id delete_data?  Forgets a share.\n");
}

TEST_CASE("names and reasons from outside are escaped wherever they are shown", "[cli]") {
  // NOLINTNEXTLINE(misc-misleading-bidirectional): that is what is tested
  const std::string hostile = "x\x1b]0;owned\x07\n\xe2\x80\xaey";
  Json json = share();
  json["name"] = hostile;
  json["reason"] = hostile;
  json["path"] = hostile;
  json["state"] = "stalled";
  Json of_node = node();
  of_node["name"] = hostile;
  const std::vector<Json> files{Json::object({{"path", hostile}, {"size", 1U}, {"done", 1U}})};
  for (const std::string& text :
       {render_shares({json}, {}), render_share(json, {}), render_list({json}, {}),
        render_node(of_node, {}), render_files(files, hostile, {}), fetch_head(json, {}),
        fetch_line(json, 1, {200, false}), fetch_plain(json, 1), hashing_line(hostile, 1, 1, 1, {}),
        render_paths(Json::object({{"config", hostile}}))}) {
    CAPTURE(text);
    for (const char c : text) CHECK((c == '\n' || (c >= ' ' && c <= '~')));
  }
  CHECK(fetch_head(json, {}).find('\n') == std::string::npos);
}

TEST_CASE("an answer with members missing is shown without a fall", "[cli]") {
  const Json empty = Json::object();
  CHECK_FALSE(render_node(empty, {}).empty());
  CHECK_FALSE(render_shares({empty, Json(), Json(7)}, {}).empty());
  CHECK_FALSE(render_share(Json::array(), {}).empty());
  CHECK_FALSE(fetch_line(empty, {}, {80, false}).empty());
  CHECK_FALSE(render_files({empty}, "", {}).empty());
  CHECK_FALSE(render_peers({empty}, {}).empty());
  CHECK_FALSE(render_methods(empty, {}).empty());
}

TEST_CASE("why tells the cause first, then the facts behind it in the order of a fetch", "[cli]") {
  const Json why = Json::parse(R"({
    "share": {"id": "s7q2mfx4aaaa", "state": "stalled", "cause": "no_holder",
      "reason": "1 piece has no connected holder", "error": null, "name": "a\u001b",
      "pieces_count": 7, "pieces_done": 6,
      "lookup": {"time": "2026-11-20T10:17:55.123Z", "nodes_asked": 37, "peers_found": 2}},
    "has_lookups": true, "dials_count": 2, "peers_count": 1,
    "dials": [{"endpoint": "1.2.3.4:5", "found_by": "dht", "state": "waiting", "outcome": "refused",
               "meaning": "nothing listens", "message": "x", "next": "2026-11-20T10:18:00.000Z"},
              {"endpoint": "1.2.3.4:6", "state": "connected", "outcome": null}],
    "peers": [{"id": "pabcdefgh", "endpoint": "1.2.3.4:6", "has_manifest": true,
               "has_said_state": true, "done": 0.857, "is_interesting": false}],
    "lost": {"count": 1, "files_count": 1, "pieces": [3]},
    "bans": [{"peer": "pliarliar", "endpoint": "1.2.3.4:7", "reason": "it lied",
              "time": "2026-11-20T10:17:50.000Z"}],
    "limits": {"is_limited": true, "down": 1024}, "disk": {"writes": 0},
    "next_retry": "2026-11-20T10:18:00.000Z"})");

  CHECK(render_why(why, 62, {}) ==
        "stalled for 1 m: 1 piece has no connected holder\n"
        "  share       s7q2mfx4  a\\x1b\n"
        "  lookup      ok       37 nodes asked, 2 addresses found (10:17:55 UTC)\n"
        "  dial        1 ok     1 failed\n"
        "              1.2.3.4:5 (dht)  nothing listens; again 10:18:00 UTC\n"
        "  peers       1 peer connected\n"
        "              pabcdefg 1.2.3.4:6  has 85%, nothing of it that we miss\n"
        "  banned      pliarlia 1.2.3.4:7  it lied (10:17:50 UTC)\n"
        "  have        6 of 7 pieces here, 1 without a connected holder (1 file): 3\n"
        "  limit       a download limit of 1.0 KiB/s holds requests back now\n"
        "next retry 10:18:00 UTC\n");
}

TEST_CASE("why names the limit of each peer when that is the cause", "[cli]") {
  const Json why = Json::parse(R"({
    "share": {"id": "s7q2mfx4aaaa", "state": "fetching", "cause": "peer_limited"},
    "limits": {"is_limited": true, "down": 1024}})");
  CHECK(render_why(why, std::nullopt, {})
            .find("limits.peer_down of 1.0 KiB/s holds requests back now") != std::string::npos);
}

TEST_CASE("why of a complete share says that nothing is in the way", "[cli]") {
  const Json why = Json::parse(R"({"share": {"id": "s7q2mfx4aaaa", "state": "seeding"}})");
  CHECK(render_why(why, std::nullopt, {}) ==
        "seeding: it is complete; nothing is in the way\n"
        "  share       s7q2mfx4\n"
        "  peers       none     nobody is connected for this share\n");
}

}  // namespace
}  // namespace peernet::cli
