#include "daemon/json.h"

#include <nlohmann/json.hpp>

#include <iterator>
#include <utility>
#include <vector>

namespace peernet::daemon {
namespace {

// Gives the characters of a text and counts the lines that were read, so that the handler below
// knows where a key stands.
class CountingIterator {
 public:
  using difference_type = std::ptrdiff_t;             // NOLINT(readability-identifier-naming)
  using value_type = char;                            // NOLINT(readability-identifier-naming)
  using pointer = const char*;                        // NOLINT(readability-identifier-naming)
  using reference = const char&;                      // NOLINT(readability-identifier-naming)
  using iterator_category = std::input_iterator_tag;  // NOLINT(readability-identifier-naming)

  CountingIterator(const char* place, std::size_t* line) : place_(place), line_(line) {}
  reference operator*() const { return *place_; }
  CountingIterator& operator++() {
    if (*place_ == '\n') ++*line_;
    ++place_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return place_ == other.place_; }
  bool operator!=(const CountingIterator& other) const { return place_ != other.place_; }

 private:
  const char* place_;
  std::size_t* line_;
};

// Builds the value as the parser meets it, and stops the parser at the first breach of a rule.
class Builder {
 public:
  Builder(const JsonRules& rules, const std::size_t* line, JsonLines* lines)
      : rules_(rules), line_(line), lines_(lines) {}

  // The names of these members are nlohmann's.
  bool null() { return put(nullptr) != nullptr; }
  bool boolean(bool value) { return put(value) != nullptr; }
  bool number_integer(std::int64_t value) { return put(value) != nullptr; }
  bool number_unsigned(std::uint64_t value) { return put(value) != nullptr; }
  bool number_float(double value, const std::string& /*text*/) { return put(value) != nullptr; }
  bool string(std::string& value) { return put(std::move(value)) != nullptr; }
  bool binary(Json::binary_t& /*value*/) { return false; }
  bool start_object(std::size_t /*size*/) { return open(Json::object()); }
  bool start_array(std::size_t /*size*/) { return open(Json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    Level& level = levels_.back();
    if (level.value->size() >= rules_.members_max) {
      return fail(Errc::too_large,
                  "an object has more than " + std::to_string(rules_.members_max) + " members");
    }
    if (level.value->contains(name)) {
      return fail(Errc::malformed, "the key \"" + name + "\" stands twice" + at_line());
    }
    level.key = std::move(name);
    if (lines_ != nullptr) lines_->emplace(path(), *line_);
    return true;
  }

  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ...": the part for people.
    std::string_view text = error.what();
    const std::size_t bracket = text.find("] ");
    if (bracket != std::string_view::npos) text.remove_prefix(bracket + 2);
    return fail(Errc::malformed, "this is not JSON: " + std::string(text));
  }

  Json take() { return std::move(root_); }
  const std::optional<Error>& error() const { return error_; }

 private:
  struct Level {
    Json* value;
    std::string key;  // of the member being read
  };

  bool fail(Errc code, std::string what) {
    error_ = Error{code, std::move(what), {}};
    return false;
  }
  std::string at_line() const {
    return lines_ == nullptr ? std::string() : " (line " + std::to_string(*line_) + ")";
  }
  std::string path() const {
    std::string text;
    for (const Level& level : levels_) {
      if (!level.value->is_object()) continue;
      if (!text.empty()) text += '.';
      text += level.key;
    }
    return text;
  }

  // A parent's place in memory is stable while its child is read: nothing is added to the parent
  // meanwhile.
  Json* put(Json value) {
    if (levels_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Level& level = levels_.back();
    if (level.value->is_array()) {
      level.value->push_back(std::move(value));
      return &level.value->back();
    }
    Json& place = (*level.value)[level.key];
    place = std::move(value);
    return &place;
  }
  bool open(Json value) {
    if (levels_.size() >= rules_.depth_max) {
      return fail(Errc::too_large,
                  "nested deeper than " + std::to_string(rules_.depth_max) + at_line());
    }
    levels_.push_back(Level{put(std::move(value)), {}});
    return true;
  }
  bool close() {
    levels_.pop_back();
    return true;
  }

  JsonRules rules_;
  const std::size_t* line_;
  JsonLines* lines_;
  Json root_;
  std::vector<Level> levels_;
  std::optional<Error> error_;
};

}  // namespace

Result<Json> parse_json(std::string_view text, const JsonRules& rules, JsonLines* lines) {
  std::size_t line = 1;
  Builder builder(rules, &line, lines);
  const CountingIterator begin(text.data(), &line);
  const CountingIterator end(text.data() + text.size(), &line);
  const bool is_good = Json::sax_parse(begin, end, &builder, Json::input_format_t::json,
                                       /*strict=*/true, rules.are_comments_allowed);
  if (!is_good) {
    return builder.error().value_or(Error{Errc::malformed, "this is not JSON", {}});
  }
  return builder.take();
}

std::string dump_json(const Json& value) {
  return value.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
}

std::string dump_json_pretty(const Json& value) {
  return value.dump(2, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
}

std::string_view json_type_name(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null: return "null";
    case Json::value_t::object: return "an object";
    case Json::value_t::array: return "a list";
    case Json::value_t::string: return "text";
    case Json::value_t::boolean: return "true or false";
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return json_integer(value) ? "a whole number" : "a negative number";
    case Json::value_t::number_float: return "a number that is not whole, or too large";
    case Json::value_t::binary:
    case Json::value_t::discarded: break;
  }
  return "nothing";
}

std::optional<std::uint64_t> json_integer(const Json& value) {
  if (!value.is_number_unsigned()) {
    // A value that was made and not parsed may be a signed one.
    if (!value.is_number_integer()) return std::nullopt;
    const auto number = value.get<std::int64_t>();
    if (number < 0) return std::nullopt;
    return static_cast<std::uint64_t>(number);
  }
  return value.get<std::uint64_t>();
}

std::optional<std::string> json_text(const Json& value) {
  if (!value.is_string()) return std::nullopt;
  return value.get<std::string>();
}

std::optional<bool> json_boolean(const Json& value) {
  if (!value.is_boolean()) return std::nullopt;
  return value.get<bool>();
}

const Json* json_find(const Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto place = object.find(std::string(key));
  return place == object.end() ? nullptr : &*place;
}

}  // namespace peernet::daemon
