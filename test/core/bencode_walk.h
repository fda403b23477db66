#pragma once

// Walks a decoded document through every query there is and writes it again.

#include <string>

#include "core/bencode.h"
#include "core/bytes.h"
#include "core/check.h"

namespace peernet::test {

// The first of equal keys only, as find() has it.
inline void write_again(const bencode::Value& value, bencode::Encoder& encoder) {
  using bencode::Value;
  if (const auto number = value.integer()) {
    encoder.integer(*number);
  } else if (const auto text = value.string()) {
    encoder.string(*text);
  } else if (value.is_list()) {
    encoder.begin_list();
    for (Value item = value.first_child(); item.exists(); item = item.next_sibling()) {
      write_again(item, encoder);
    }
    encoder.end();
  } else {
    PN_CHECK(value.is_dict());
    encoder.begin_dict();
    for (Value key = value.first_child(); key.exists();) {
      const Value content = key.next_sibling();
      PN_CHECK(content.exists() && key.string().has_value());
      const Value found = value.find(as_text(*key.string()));
      PN_CHECK(found.exists());
      if (found.encoded().data() == content.encoded().data()) {
        encoder.string(*key.string());
        write_again(content, encoder);
      }
      key = content.next_sibling();
    }
    encoder.end();
  }
}

inline std::string written_again(const bencode::Document& document) {
  Bytes out;
  bencode::Encoder encoder(out);
  write_again(document.root(), encoder);
  return std::string(as_text(out));
}

}  // namespace peernet::test
