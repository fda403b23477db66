#pragma once

// Bencode (BEP 3) as an iterative reader over views, and a writer. decode() checks the whole input
// against its limits before anyone looks at a value; a Document borrows the input, which must
// outlive it. Integers: no leading zeros, no -0, in the range of int64. In canonical mode (what is
// hashed or signed) dictionary keys are sorted and unique; otherwise the first of two equal keys
// counts (real DHT nodes send unsorted dictionaries).

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/result.h"

namespace peernet::bencode {

struct Limits {
  std::size_t depth_max = 16;          // lists and dictionaries open at once
  std::size_t tokens_max = 1'000'000;  // values, dictionary keys included
  bool canonical = true;
};

// A value's place, and no more: kind, number and text are read from the input when asked for, so
// that a million values cost 12 MB.
struct Token {
  std::uint32_t begin = 0;  // offset of the encoded value
  std::uint32_t end = 0;    // one past it
  std::uint32_t next = 0;   // index of the token after this value and all inside it
};

class Document;

// A place in a Document. Empty when something looked for is absent; asking an empty Value, or one
// of another kind, gives empty answers, so that a decoder reads straight down and checks at the
// end.
class Value {
 public:
  Value() = default;

  bool exists() const { return document_ != nullptr; }
  bool is_dict() const;
  bool is_list() const;
  std::optional<std::int64_t> integer() const;
  std::optional<BytesView> string() const;
  BytesView encoded() const;  // the original bytes of this value, for hashing

  // Dictionaries.
  Value find(std::string_view key) const;
  // Lists and dictionaries: a dictionary's children are key, value, key, value...
  Value first_child() const;
  Value next_sibling() const;  // empty after the last

 private:
  friend class Document;
  Value(const Document* document, std::uint32_t index, std::uint32_t end)
      : document_(document), index_(index), end_(end) {}
  const Token* token() const;

  const Document* document_ = nullptr;
  std::uint32_t index_ = 0;
  std::uint32_t end_ = 0;  // index at which the enclosing container ends
};

class Document {
 public:
  Value root() const;

 private:
  friend class Value;
  friend Result<void> decode(BytesView input, const Limits& limits, Document& into);
  BytesView input_;
  std::vector<Token> tokens_;
};

// The whole input must be one value. Errors: malformed, too_large.
Result<Document> decode(BytesView input, const Limits& limits);
// The same into a document used before, whose memory is used again. After an error it is empty.
Result<void> decode(BytesView input, const Limits& limits, Document& into);

// How many bytes a string of `size` bytes becomes.
constexpr std::size_t string_size(std::size_t size) {
  std::size_t head = 2;  // a digit and the colon
  for (std::size_t rest = size; rest >= 10; rest /= 10) ++head;
  return head + size;
}

// Appends to `out`. The caller gives dictionary keys in sorted order.
class Encoder {
 public:
  explicit Encoder(Bytes& out) : out_(out) {}
  Encoder& integer(std::int64_t value);
  Encoder& string(BytesView value);
  Encoder& string(std::string_view value) { return string(as_bytes(value)); }
  // A string whose `size` bytes the caller appends to `out`.
  Encoder& begin_string(std::size_t size);
  Encoder& begin_list();
  Encoder& begin_dict();
  Encoder& end();
  Encoder& raw(BytesView encoded);  // one value already encoded

 private:
  Bytes& out_;
};

}  // namespace peernet::bencode
