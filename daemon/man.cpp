#include "daemon/man.h"

#include <algorithm>
#include <vector>

#include "core/roff.h"
#include "daemon/config.h"
#include "daemon/config_edit.h"
#include "daemon/rpc_table.h"

namespace peernet::daemon {
namespace {

std::string_view type_name(FieldType type) {
  switch (type) {
    case FieldType::text: return "text";
    case FieldType::boolean: return "true or false";
    case FieldType::integer: return "integer";
    case FieldType::number: return "number";
    case FieldType::time: return "time";
    case FieldType::object: return "object";
    case FieldType::list_of_text: return "list of texts";
    case FieldType::list_of_objects: return "list of objects";
    case FieldType::anything: break;
  }
  return "anything";
}

void tell_fields(ManPage& page, std::span<const Field> fields) {
  for (const Field& field : fields) {
    std::string text(field.doc);
    text += " (" + std::string(type_name(field.type));
    if (field.shape != nullptr) text += " " + std::string(field.shape->name);
    if (field.presence == Presence::optional) text += ", may be left out";
    if (field.presence == Presence::nullable) text += ", may be null";
    page.item(field.name, text + ")");
  }
}

// Every shape that is not told with its method: those inside others, each once.
void collect_shapes(const Shape& shape, std::vector<const Shape*>& found) {
  for (const Field& field : shape.fields) {
    if (field.shape == nullptr || std::ranges::find(found, field.shape) != found.end()) continue;
    found.push_back(field.shape);
    collect_shapes(*field.shape, found);
  }
}

void tell_method(ManPage& page, const Method& method) {
  page.subheading(method.name).paragraph(method.doc);
  if (!method.params.empty()) {
    page.paragraph("Parameters:");
    tell_fields(page, method.params);
  }
  if (!method.result->fields.empty()) {
    page.paragraph("Result:");
    tell_fields(page, method.result->fields);
  }
  std::string errors;
  for (const Errc error : method.errors) {
    errors += (errors.empty() ? "Errors: " : ", ") + std::string(error_kind(error)) + " (" +
              std::to_string(-32000 - exit_code(error)) + ")";
  }
  if (!errors.empty()) page.paragraph(errors + ".");
}

}  // namespace

std::string daemon_man_page(std::string_view version, const OptionRows& options) {
  ManPage page("peernetd", 8, version, "the PeerNet daemon");
  page.heading("SYNOPSIS").paragraph("peernetd [OPTIONS]");
  page.heading("DESCRIPTION")
      .paragraph(
          "peernetd shares and fetches files, verified and encrypted, with the peers that it finds "
          "through a DHT. peernet(1) drives it through a Unix socket. Without options it is the "
          "node of this user and stays in the foreground.");
  page.heading("OPTIONS");
  for (const auto& [term, text] : options) page.item(term, text);
  page.heading("SIGNALS")
      .item("SIGTERM, SIGINT", "end cleanly, within 5 seconds; a second one ends at once")
      .item("SIGHUP", "read the config again; the log names what needs a restart");
  page.heading("SERVICES")
      .paragraph(
          "systemctl --user enable --now peernetd.socket makes the first command start the node of "
          "this user. systemctl enable --now peernetd.socket does so for the node of the machine, "
          "which root asks with peernet --system.");
  page.heading("FILES").paragraph(
      "peernetd --print-paths says where config, state, socket and downloads are.");
  page.heading("EXIT STATUS")
      .paragraph(
          "0 after a clean end, 2 wrong usage or config, 8 damaged state, 9 no space, 10 denied, "
          "13 "
          "the port is in use, 1 anything else.");
  page.heading("SEE ALSO").paragraph("peernet(1), peernet-config(5), peernet-rpc(7)");
  return page.text();
}

std::string config_man_page(std::string_view version) {
  ManPage page("peernet-config", 5, version, "the config file of peernetd");
  page.heading("DESCRIPTION")
      .paragraph(
          "config.json is JSON in which // begins a comment. peernetd(8) reads it at the start and "
          "at SIGHUP, and never writes it. Every key may be left out; no file at all is a config "
          "too. A key that does not exist, a wrong type or a wrong range is an error that names "
          "the place. A dot in a name below stands for an object: limits.up is up inside limits.")
      .paragraph(
          "peernet config path shows where the file is, peernet config set changes one value in "
          "it, peernet config show prints every value in force.");
  page.heading("KEYS");
  for (const ConfigKeyRow& row : config_keys()) {
    std::string text(row.meaning);
    if (!row.is_built) text += " (not built yet)";
    page.item(row.key,
              text + ". Value: " + std::string(row.expects) + ". " +
                  (needs_restart(row.key) ? "Counts after a restart." : "Counts at once."));
  }
  page.heading("DEFAULTS").example(config_to_json(DaemonConfig{}));
  page.heading("SEE ALSO").paragraph("peernetd(8), peernet(1), peernet-rpc(7)");
  return page.text();
}

std::string rpc_man_page(std::string_view version) {
  ManPage page("peernet-rpc", 7, version, "the control protocol of peernetd");
  page.heading("DESCRIPTION")
      .paragraph(
          "peernetd(8) answers JSON-RPC 2.0 on a Unix socket, one JSON text a line in both "
          "directions. The socket is 0600 in a directory that is 0700, and the kernel is asked "
          "who connects: only the user of the daemon and root are served. Parameters are given by "
          "name. Sizes are bytes, rates bytes a second, times RFC 3339. The code of an error is "
          "-32000 "
          "minus the exit status of peernet(1); its data has kind and hint. rpc.discover gives all "
          "of this as an OpenRPC document.");
  page.example(
      "> {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"share.list\"}\n"
      "< {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"shares\":[],\"count\":0}}");
  page.heading("METHODS");
  std::vector<const Shape*> inner;
  for (const Method& method : methods()) {
    tell_method(page, method);
    collect_shapes(*method.result, inner);
  }
  page.heading("EVENTS").paragraph(
      "After events.subscribe they come as notifications named event, with seq, time and kind "
      "beside these members.");
  for (const EventRow& row : event_rows()) {
    page.subheading(row.name).paragraph(
        std::string(row.doc) +
        (row.is_kept ? ". Kept, and sent again after since." : ". Not kept."));
    tell_fields(page, row.shape->fields);
    collect_shapes(*row.shape, inner);
  }
  page.heading("OBJECTS");
  for (const Shape* shape : inner) {
    page.subheading(shape->name);
    tell_fields(page, shape->fields);
  }
  page.heading("SEE ALSO").paragraph("peernet(1), peernetd(8), peernet-config(5)");
  return page.text();
}

}  // namespace peernet::daemon
