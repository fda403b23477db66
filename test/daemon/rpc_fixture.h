#pragma once

// A node without a world behind it, and an Rpc in front: ask() is one question and its answer. Disk
// and store answer at once and well; the network is silent unless a test plays it.

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <spdlog/sinks/null_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/hash.h"
#include "daemon/config.h"
#include "daemon/rpc.h"
#include "daemon/rpc_table.h"
#include "test/support/support.h"

namespace peernet::test {

using daemon::ClientId;
using daemon::Json;

class RpcFixture {
 public:
  explicit RpcFixture(daemon::NodeConfig config = {})
      : log("test", std::make_shared<spdlog::sinks::null_sink_mt>()),
        node(std::move(config), Identity(Key{}), Rng(1), log),
        rpc({"9.9", paths(), daemon::config_to_json({}), hooks()}) {
    crypto_start();
    rpc.on_wall_clock(now, WallTime{1'700'000'000'000});
    node.start(now, WallTime{1'700'000'000'000}, Saved{}, out);
  }

  // The files there are exist in the answers only.
  static daemon::RpcHooks hooks() {
    daemon::RpcHooks hooks;
    hooks.make_network = [](const std::string&) { return std::string("0123456789abcdef"); };
    return hooks;
  }

  static Paths paths() {
    const auto found = find_paths("/srv/node", [](const char*) { return std::nullopt; });
    return *found;
  }

  void line(const std::string& text, ClientId client = ClientId{1}) {
    rpc.on_line(now, client, text, node, out);
  }

  // What a client was sent since last asked.
  std::vector<Json> sent(ClientId client = ClientId{1}) {
    for (auto& reply : rpc.take_replies()) kept.push_back(std::move(reply));
    std::vector<Json> lines;
    std::vector<daemon::Rpc::Reply> rest;
    for (auto& reply : kept) {
      if (reply.client == client) {
        lines.push_back(Json::parse(reply.line));
      } else {
        rest.push_back(std::move(reply));
      }
    }
    kept = std::move(rest);
    return lines;
  }

  static std::string request(const std::string& method, const Json& params) {
    return Json::object({{"jsonrpc", "2.0"}, {"id", 7}, {"method", method}, {"params", params}})
        .dump();
  }

  Json ask(const std::string& method, const Json& params = Json::object(),
           ClientId client = ClientId{1}) {
    line(request(method, params), client);
    settle();
    for (const Json& reply : sent(client)) {
      if (reply.contains("id")) return reply;
    }
    return Json();
  }

  // Carries out what the node wants of disk and store, and hands its events to the rpc.
  void settle() {
    while (true) {
      while (const auto event = node.next_event()) rpc.on_event(now, *event, node);
      while (const auto event = node.next_dht_event()) rpc.on_dht_event(now, *event);
      if (out.empty()) return;
      for (const Effect& effect : std::exchange(out, {})) carry_out(effect);
    }
  }

  void carry_out(const Effect& effect) {
    const auto file = [&](JobId job, FileOutcome outcome) {
      node.on_file(now, job, FileResult(std::move(outcome)), out);
    };
    std::visit(Overloaded{
                   [&](const ListTree& e) {
                     TreeListed tree;
                     tree.is_single_file = e.top != "tree";
                     tree.entries.push_back({tree.is_single_file ? "" : "a", 5, false});
                     if (!tree.is_single_file) {
                       tree.entries.push_back({"b", 7, true});
                       tree.left_out = {{"link", "symlink"}};
                     }
                     file(e.job, tree);
                   },
                   [&](const OpenStorage& e) { file(e.job, StorageOpened{}); },
                   [&](const HashRange& e) {
                     RangeHashed hashed;
                     for (const FilePart& part : e.parts) {
                       hashed.piece_nodes.push_back(sha256(as_bytes(std::to_string(part.size))));
                     }
                     file(e.job, hashed);
                   },
                   [&](const WriteLeaves& e) { file(e.job, FileDone{}); },
                   [&](const Sync& e) { file(e.job, FileDone{}); },
                   [&](const FinishStorage& e) { file(e.job, FileDone{}); },
                   [&](const DeleteStorage& e) { file(e.job, FileDone{}); },
                   [&](const Save& e) { node.on_saved(now, e.job, {}, out); },
                   [&](const SendDatagram& e) {
                     if (on_send) on_send(e);
                   },
                   [&](const Resolve& e) {
                     if (on_resolve) on_resolve(e);
                   },
                   [](const auto&) {},
               },
               effect);
  }

  std::string add(const std::string& path = "/data/file") {
    const Json answer = ask("share.add", Json::object({{"path", path}}));
    REQUIRE(answer.contains("result"));
    return answer["result"]["id"].get<std::string>();
  }

  // The network, where a test has one.
  std::function<void(const SendDatagram&)> on_send;
  std::function<void(const Resolve&)> on_resolve;
  spdlog::logger log;
  Time now{};
  Effects out;
  daemon::Node node;
  daemon::Rpc rpc;
  std::vector<daemon::Rpc::Reply> kept;
};

// Every member of the shape is there with its type, and nothing else is.
inline void check_shape(const Json& value, const daemon::Shape& shape) {
  CAPTURE(shape.name, value.dump());
  REQUIRE(value.is_object());
  if (shape.fields.empty()) return;
  for (const auto& item : value.items()) {
    const std::string& name = item.key();
    CAPTURE(name);
    CHECK(std::any_of(shape.fields.begin(), shape.fields.end(),
                      [&](const daemon::Field& field) { return field.name == name; }));
  }
  for (const daemon::Field& field : shape.fields) {
    CAPTURE(field.name);
    REQUIRE(value.contains(std::string(field.name)));
    const Json& member = value[std::string(field.name)];
    if (field.presence == daemon::Presence::nullable && member.is_null()) continue;
    switch (field.type) {
      case daemon::FieldType::text:
      case daemon::FieldType::time: CHECK(member.is_string()); break;
      case daemon::FieldType::boolean: CHECK(member.is_boolean()); break;
      case daemon::FieldType::integer: CHECK(member.is_number_integer()); break;
      case daemon::FieldType::number: CHECK(member.is_number()); break;
      case daemon::FieldType::object: check_shape(member, *field.shape); break;
      case daemon::FieldType::list_of_text: CHECK(member.is_array()); break;
      case daemon::FieldType::list_of_objects:
        CHECK(member.is_array());
        for (const Json& item : member) check_shape(item, *field.shape);
        break;
      case daemon::FieldType::anything: break;
    }
  }
}

}  // namespace peernet::test
