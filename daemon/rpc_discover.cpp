#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "core/nearest.h"
#include "daemon/rpc_table.h"

namespace peernet::daemon {
namespace {

struct ErrcRow {
  Errc code;
  std::string_view kind;
  int exit_code;
  std::string_view usual_hint;
};

constexpr std::array kErrors{
    ErrcRow{Errc::malformed, "malformed", 2,
            "compare it with what was given to you, letter by letter"},
    ErrcRow{Errc::too_large, "too_large", 1,
            "daemon/README.md and transfer/README.md list the limits"},
    ErrcRow{Errc::refused, "refused", 1,
            "there is no way around it but to change what is asked for"},
    ErrcRow{Errc::timed_out, "timed_out", 5, "try again"},
    ErrcRow{Errc::closed, "closed", 6, "try again"},
    ErrcRow{Errc::corrupt, "corrupt", 8,
            "the data has changed or the disk fails; try again when nothing writes to it"},
    ErrcRow{Errc::not_found, "not_found", 3, "is the name right, and is it still there?"},
    ErrcRow{Errc::exists, "exists", 13,
            "move away what stands there, then: peernet resume ID; or peernet rm ID, and fetch "
            "into another directory with -o"},
    ErrcRow{Errc::no_space, "no_space", 9, "make room; to go on at once: peernet resume ID"},
    ErrcRow{Errc::denied, "denied", 10, "the user who runs peernetd needs the permission"},
    ErrcRow{Errc::unavailable, "unavailable", 6, "try again later"},
    ErrcRow{Errc::cancelled, "cancelled", 7, "ask for it again"},
    ErrcRow{Errc::io, "io", 1, "the log of peernetd may say more"},
};

const ErrcRow& row_of(Errc code) {
  const auto* const row = std::find_if(kErrors.begin(), kErrors.end(),
                                       [&](const ErrcRow& r) { return r.code == code; });
  return row == kErrors.end() ? kErrors.back() : *row;
}

std::string_view type_words(FieldType type) {
  switch (type) {
    case FieldType::text:
    case FieldType::time: return "text";
    case FieldType::boolean: return "true or false";
    case FieldType::integer: return "a whole number";
    case FieldType::number: return "a number";
    case FieldType::object: return "an object";
    case FieldType::list_of_text: return "a list of texts";
    case FieldType::list_of_objects: return "a list of objects";
    case FieldType::anything: break;
  }
  return "anything";
}

bool is_of_type(const Json& value, FieldType type) {
  switch (type) {
    case FieldType::text:
    case FieldType::time: return value.is_string();
    case FieldType::boolean: return value.is_boolean();
    case FieldType::integer: return json_integer(value).has_value();
    case FieldType::number: return value.is_number();
    case FieldType::object: return value.is_object();
    case FieldType::list_of_text:
      return value.is_array() &&
             std::all_of(value.begin(), value.end(), [](const Json& v) { return v.is_string(); });
    case FieldType::list_of_objects:
      return value.is_array() &&
             std::all_of(value.begin(), value.end(), [](const Json& v) { return v.is_object(); });
    case FieldType::anything: break;
  }
  return true;
}

Result<void> check_param(const Field& field, const Json& value) {
  const std::string name(field.name);
  if (!is_of_type(value, field.type)) {
    return Error{Errc::malformed,
                 "the parameter \"" + name + "\" must be " + std::string(type_words(field.type)) +
                     ", not " + std::string(json_type_name(value)),
                 std::string(field.doc)};
  }
  if (field.type == FieldType::integer) {
    const std::uint64_t number = json_integer(value).value_or(0);
    if (number < field.min || number > field.max) {
      return Error{Errc::malformed,
                   "the parameter \"" + name + "\" must be from " + std::to_string(field.min) +
                       " to " + std::to_string(field.max),
                   std::string(field.doc)};
    }
  }
  return {};
}

// The rows of an answer that is a list; nullptr: it is none.
const Field* list_of(const Method& method) {
  const auto fields = method.result->fields;
  const auto place = std::find_if(fields.begin(), fields.end(), [](const Field& field) {
    return field.type == FieldType::list_of_objects;
  });
  return place == fields.end() ? nullptr : &*place;
}

// `fields` names members that there are.
Result<void> check_fields(const Method& method, const Json& params) {
  const bool is_taken = std::any_of(method.params.begin(), method.params.end(),
                                    [](const Field& field) { return field.name == "fields"; });
  const Json* fields = json_find(params, "fields");
  if (!is_taken || fields == nullptr || fields->is_null()) return {};
  const Field* const list = list_of(method);
  const Shape& shape = list == nullptr ? *method.result : *list->shape;
  std::vector<std::string_view> names;
  names.reserve(shape.fields.size());
  for (const Field& field : shape.fields) names.push_back(field.name);
  for (const Json& field : *fields) {
    const std::string name = json_text(field).value_or(std::string());
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    std::string all;
    for (const std::string_view one : names) all.append(all.empty() ? "" : ", ").append(one);
    return Error{Errc::malformed, "there is no field \"" + name.substr(0, 64) + "\"",
                 "did you mean \"" + std::string(nearest(name, names)) + "\"? There are " + all};
  }
  return {};
}

// ---- JSON schemas ----

Json schema_of(const Shape& shape);

Json schema_of(const Field& field) {
  Json schema = Json::object();
  switch (field.type) {
    case FieldType::text: schema["type"] = "string"; break;
    case FieldType::boolean: schema["type"] = "boolean"; break;
    case FieldType::integer:
      schema["type"] = "integer";
      schema["minimum"] = field.min;
      schema["maximum"] = field.max;
      break;
    case FieldType::number: schema["type"] = "number"; break;
    case FieldType::time:
      schema["type"] = "string";
      schema["format"] = "date-time";
      break;
    case FieldType::object: schema = schema_of(*field.shape); break;
    case FieldType::list_of_text:
      schema["type"] = "array";
      schema["items"]["type"] = "string";
      break;
    case FieldType::list_of_objects:
      schema["type"] = "array";
      schema["items"] = schema_of(*field.shape);
      break;
    case FieldType::anything: break;
  }
  if (field.presence == Presence::nullable && schema.contains("type")) {
    schema["type"] = Json::array({schema["type"], "null"});
  }
  schema["description"] = field.doc;
  return schema;
}

// An error's code is negative: the one integer that is.
void allow_negative_code(Json& schema) {
  schema["properties"]["code"]["minimum"] = -32768;
  schema["properties"]["code"]["maximum"] = 0;
}

Json schema_of(const Shape& shape) {
  Json schema = Json::object({{"type", "object"}, {"title", shape.name}});
  if (shape.fields.empty()) return schema;
  Json properties = Json::object();
  Json names = Json::array();
  for (const Field& field : shape.fields) {
    properties[std::string(field.name)] = schema_of(field);
    if (field.presence != Presence::optional) names.push_back(field.name);
  }
  schema["properties"] = std::move(properties);
  schema["required"] = std::move(names);
  if (shape.name == "error") allow_negative_code(schema);
  return schema;
}

Json describe(const Method& method) {
  Json params = Json::array();
  for (const Field& field : method.params) {
    Json schema = schema_of(field);
    schema.erase("description");
    params.push_back(Json::object({{"name", field.name},
                                   {"description", field.doc},
                                   {"required", field.presence == Presence::required},
                                   {"schema", std::move(schema)}}));
  }
  Json errors = Json::array();
  for (const Errc code : method.errors) {
    errors.push_back(
        Json::object({{"code", -32000 - exit_code(code)}, {"message", error_kind(code)}}));
  }
  return Json::object({{"name", method.name},
                       {"summary", method.doc},
                       {"paramStructure", "by-name"},
                       {"params", std::move(params)},
                       {"result", Json::object({{"name", method.result->name},
                                                {"schema", schema_of(*method.result)}})},
                       {"errors", std::move(errors)}});
}

}  // namespace

int exit_code(Errc code) {
  return row_of(code).exit_code;
}

std::string_view error_kind(Errc code) {
  return row_of(code).kind;
}

std::string_view usual_hint(Errc code) {
  return row_of(code).usual_hint;
}

const Method* find_method(std::string_view name) {
  const auto all = methods();
  const auto place =
      std::find_if(all.begin(), all.end(), [&](const Method& m) { return m.name == name; });
  return place == all.end() ? nullptr : &*place;
}

std::string_view nearest_method(std::string_view name) {
  std::vector<std::string_view> names;
  names.reserve(methods().size());
  for (const Method& method : methods()) names.push_back(method.name);
  return nearest(name, names);
}

std::optional<EventKind> find_event_kind(std::string_view name) {
  for (const EventRow& row : event_rows()) {
    if (row.name == name) return row.kind;
  }
  return std::nullopt;
}

Result<void> check_params(const Method& method, const Json& params) {
  for (const auto& item : params.items()) {
    const std::string& name = item.key();
    const Json& value = item.value();
    const auto field = std::find_if(method.params.begin(), method.params.end(),
                                    [&](const Field& f) { return f.name == name; });
    if (field == method.params.end()) {
      std::vector<std::string_view> names;
      names.reserve(method.params.size());
      for (const Field& known : method.params) names.push_back(known.name);
      return Error{Errc::malformed, std::string(method.name) + " has no parameter \"" + name + "\"",
                   names.empty() ? "it takes no parameters"
                                 : "did you mean \"" + std::string(nearest(name, names)) + "\"?"};
    }
    // null says the same as leaving an optional parameter out.
    if (value.is_null() && field->presence != Presence::required) continue;
    if (auto checked = check_param(*field, value); !checked) return checked.error();
  }
  for (const Field& field : method.params) {
    if (field.presence == Presence::required && !params.contains(std::string(field.name))) {
      return Error{
          Errc::malformed,
          std::string(method.name) + " needs the parameter \"" + std::string(field.name) + "\"",
          std::string(field.doc)};
    }
  }
  return check_fields(method, params);
}

Json discover(std::string_view version) {
  Json list = Json::array();
  for (const Method& method : methods()) list.push_back(describe(method));
  Json events = Json::array();
  for (const EventRow& row : event_rows()) {
    events.push_back(Json::object({{"kind", row.name},
                                   {"summary", row.doc},
                                   {"is_kept", row.is_kept},
                                   {"schema", schema_of(*row.shape)}}));
  }
  return Json::object({{"openrpc", "1.2.6"},
                       {"info", Json::object({{"title", "PeerNet"}, {"version", version}})},
                       {"methods", std::move(list)},
                       {"x-events", std::move(events)}});
}

}  // namespace peernet::daemon
