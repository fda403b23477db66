#include "core/bencode.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <string>

#include "core/check.h"

namespace peernet::bencode {

namespace {

constexpr std::uint64_t kIntegerMax = std::numeric_limits<std::int64_t>::max();

Error malformed(const char* what) {
  return {Errc::malformed, what, {}};
}
Error too_large(const char* what) {
  return {Errc::too_large, what, {}};
}

bool is_digit(std::uint8_t byte) {
  return byte >= '0' && byte <= '9';
}

// Where the content of the string at the front begins. Requires: a well-formed string is there.
std::size_t content_begin(BytesView encoded) {
  std::size_t at = 0;
  while (encoded[at] != ':') ++at;
  return at + 1;
}

// The scan of one input: offsets only, no copies, no recursion, no memory but the tokens. While a
// container is open its token links to the one around it: `next` is that one's index and one more,
// `end` is twice the index of the last key, and one more while its value is due.
class Scanner {
 public:
  Scanner(BytesView input, const Limits& limits, std::vector<Token>& tokens)
      : input_(input), limits_(limits), tokens_(tokens) {}

  Result<void> run() {
    do {
      auto step = scan_one();
      if (!step) return step;
    } while (open_ > 0);
    if (at_ != input_.size()) return malformed("bytes follow the bencoded value");
    return {};
  }

 private:
  // One value's beginning, or one container's end.
  Result<void> scan_one() {
    if (at_ == input_.size()) return malformed("the bencoded value is cut short");
    const std::uint8_t byte = input_[at_];
    if (byte == 'e' && open_ > 0) return close();
    if (tokens_.size() >= limits_.tokens_max) return too_large("too many bencoded values");

    const bool is_key = open_ > 0 && is_dict_open() && !is_value_due();
    if (is_key && !is_digit(byte)) return malformed("a dictionary key is not a string");
    const auto index = static_cast<std::uint32_t>(tokens_.size());
    tokens_.push_back({static_cast<std::uint32_t>(at_), 0, index + 1});
    if (byte == 'l' || byte == 'd') return open(index);

    auto scanned = byte == 'i' ? scan_integer() : scan_string();
    if (!scanned) return scanned;
    tokens_.back().end = static_cast<std::uint32_t>(at_);
    if (is_key) return take_key(index);
    value_done();
    return {};
  }

  Token& innermost() { return tokens_[open_ - 1]; }
  bool is_dict_open() { return input_[innermost().begin] == 'd'; }
  bool is_value_due() { return (innermost().end & 1U) != 0; }

  Result<void> open(std::uint32_t index) {
    if (depth_ >= limits_.depth_max) return too_large("bencoded values nest too deep");
    ++at_;
    ++depth_;
    tokens_[index].next = open_;
    open_ = index + 1;
    return {};
  }

  Result<void> close() {
    if (is_value_due()) return malformed("a dictionary key has no value");
    ++at_;
    --depth_;
    Token& token = innermost();
    open_ = token.next;
    token.end = static_cast<std::uint32_t>(at_);
    token.next = static_cast<std::uint32_t>(tokens_.size());
    value_done();
    return {};
  }

  void value_done() {
    if (open_ > 0) innermost().end &= ~1U;
  }

  Result<void> take_key(std::uint32_t index) {
    Token& dict = innermost();
    // A dictionary's first key cannot be the first token.
    const std::uint32_t last = dict.end >> 1U;
    if (limits_.canonical && last != 0) {
      const BytesView before =
          input_.subspan(tokens_[last].begin, tokens_[last].end - tokens_[last].begin);
      const BytesView key = before.subspan(content_begin(before));
      if (!std::lexicographical_compare(key.begin(), key.end(), string_.begin(), string_.end())) {
        return malformed("dictionary keys are not sorted and unique");
      }
    }
    dict.end = index << 1U | 1U;
    return {};
  }

  Result<void> scan_integer() {
    ++at_;
    const bool is_negative = at_ < input_.size() && input_[at_] == '-';
    if (is_negative) ++at_;
    // The magnitude of the least int64 is one more than that of the greatest.
    const auto magnitude = scan_digits(is_negative ? kIntegerMax + 1 : kIntegerMax);
    if (!magnitude) return malformed("an integer is not well formed or not in range");
    if (is_negative && *magnitude == 0) return malformed("minus zero is not an integer");
    if (at_ == input_.size() || input_[at_] != 'e') return malformed("an integer does not end");
    ++at_;
    return {};
  }

  Result<void> scan_string() {
    const auto size = scan_digits(input_.size());
    if (!size) return malformed("a value begins with no known letter or length");
    if (at_ == input_.size() || input_[at_] != ':') return malformed("a string has no colon");
    ++at_;
    if (*size > input_.size() - at_) return malformed("a string is longer than the input");
    string_ = input_.subspan(at_, static_cast<std::size_t>(*size));
    at_ += string_.size();
    return {};
  }

  // One or more digits without leading zeros.
  std::optional<std::uint64_t> scan_digits(std::uint64_t value_max) {
    const std::size_t begin = at_;
    std::uint64_t value = 0;
    for (; at_ < input_.size() && is_digit(input_[at_]); ++at_) {
      const auto digit = static_cast<std::uint64_t>(input_[at_] - '0');
      if (value > value_max / 10 || value * 10 > value_max - digit) return std::nullopt;
      value = value * 10 + digit;
    }
    const std::size_t size = at_ - begin;
    if (size == 0 || (size > 1 && input_[begin] == '0')) return std::nullopt;
    return value;
  }

  BytesView input_;
  const Limits& limits_;
  std::vector<Token>& tokens_;
  std::uint32_t open_ = 0;  // the innermost open container's index and one more
  std::size_t depth_ = 0;   // of open containers
  std::size_t at_ = 0;
  BytesView string_;  // the last one scanned
};

}  // namespace

bool Value::is_dict() const {
  return exists() && encoded().front() == 'd';
}

bool Value::is_list() const {
  return exists() && encoded().front() == 'l';
}

std::optional<std::int64_t> Value::integer() const {
  const BytesView bytes = encoded();
  if (bytes.empty() || bytes.front() != 'i') return std::nullopt;
  const std::string_view digits = as_text(bytes.subspan(1, bytes.size() - 2));
  std::int64_t value = 0;
  // Cannot fail: decode() has checked the digits and the range.
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

std::optional<BytesView> Value::string() const {
  const BytesView bytes = encoded();
  if (bytes.empty() || !is_digit(bytes.front())) return std::nullopt;
  return bytes.subspan(content_begin(bytes));
}

BytesView Value::encoded() const {
  if (!exists()) return {};
  return document_->input_.subspan(token()->begin, token()->end - token()->begin);
}

Value Value::find(std::string_view key) const {
  if (!is_dict()) return {};
  // A string ends with its content, and only one of the same size has an encoding as long.
  const std::size_t encoded_size = string_size(key.size());
  const std::uint8_t* const input = document_->input_.data();
  const Token* const tokens = document_->tokens_.data();
  const std::uint32_t end = token()->next;
  for (std::uint32_t at = index_ + 1; at < end; at = tokens[at + 1].next) {
    if (tokens[at].end - tokens[at].begin != encoded_size) continue;
    const BytesView content{input + tokens[at].end - key.size(), key.size()};
    if (as_text(content) == key) return {document_, at + 1, end};
  }
  return {};
}

Value Value::first_child() const {
  if (!is_dict() && !is_list()) return {};
  const std::uint32_t end = token()->next;
  return index_ + 1 < end ? Value(document_, index_ + 1, end) : Value();
}

Value Value::next_sibling() const {
  if (!exists()) return {};
  const std::uint32_t next = token()->next;
  return next < end_ ? Value(document_, next, end_) : Value();
}

const Token* Value::token() const {
  return &document_->tokens_[index_];
}

Value Document::root() const {
  if (tokens_.empty()) return {};
  return {this, 0, static_cast<std::uint32_t>(tokens_.size())};
}

Result<Document> decode(BytesView input, const Limits& limits) {
  Document document;
  auto scanned = decode(input, limits, document);
  if (!scanned) return scanned.error();
  return document;
}

Result<void> decode(BytesView input, const Limits& limits, Document& into) {
  into.tokens_.clear();
  into.input_ = input;
  // An index has one bit less than an offset.
  if (input.size() > std::numeric_limits<std::uint32_t>::max() / 2) {
    return too_large("the bencoded input is too long");
  }
  auto scanned = Scanner(input, limits, into.tokens_).run();
  if (!scanned) into.tokens_.clear();
  return scanned;
}

Encoder& Encoder::integer(std::int64_t value) {
  std::array<char, 20> digits{};
  const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  PN_CHECK(written.ec == std::errc());
  out_.push_back('i');
  append(out_, as_bytes({digits.data(), static_cast<std::size_t>(written.ptr - digits.data())}));
  out_.push_back('e');
  return *this;
}

Encoder& Encoder::string(BytesView value) {
  begin_string(value.size());
  append(out_, value);
  return *this;
}

Encoder& Encoder::begin_string(std::size_t size) {
  std::array<char, 21> head{};
  char* const end = std::to_chars(head.data(), head.data() + head.size() - 1, size).ptr;
  *end = ':';
  append(out_, as_bytes({head.data(), static_cast<std::size_t>(end + 1 - head.data())}));
  return *this;
}

Encoder& Encoder::begin_list() {
  out_.push_back('l');
  return *this;
}

Encoder& Encoder::begin_dict() {
  out_.push_back('d');
  return *this;
}

Encoder& Encoder::end() {
  out_.push_back('e');
  return *this;
}

Encoder& Encoder::raw(BytesView encoded) {
  append(out_, encoded);
  return *this;
}

}  // namespace peernet::bencode
