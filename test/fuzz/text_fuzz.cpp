// Everything that is read from a person's or a peer's text: what reads must print back as it was,
// and what is escaped must be safe to show.

#include <string>

#include "core/bytes.h"
#include "core/check.h"
#include "core/endpoint.h"
#include "core/escape.h"
#include "core/identity.h"

namespace {

using peernet::Endpoint;

void check_escape(std::string_view text) {
  const std::string shown = peernet::escape({text});
  PN_CHECK(peernet::is_valid_utf8(shown));
  std::string_view rest = shown;
  while (!rest.empty()) PN_CHECK(!peernet::is_dangerous(peernet::next_code_point(rest)));

  bool is_valid = true;
  for (rest = text; !rest.empty();) {
    const std::size_t before = rest.size();
    const char32_t code_point = peernet::next_code_point(rest);
    PN_CHECK(rest.size() < before);
    if (code_point == 0xfffd && before - rest.size() == 1) is_valid = false;
  }
  PN_CHECK(is_valid == peernet::is_valid_utf8(text));
}

void check_endpoint(std::string_view text) {
  const auto endpoint = Endpoint::parse(text);
  if (!endpoint) return;
  PN_CHECK(Endpoint::parse(endpoint->to_string()) == endpoint);
  peernet::Bytes packed;
  endpoint->pack(packed);
  PN_CHECK(Endpoint::unpack(packed) == endpoint);
  static_cast<void>(endpoint->is_usable());
  PN_CHECK(endpoint->prefix(128).address == endpoint->address);
  PN_CHECK(endpoint->locality() <= peernet::Locality::global);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const peernet::BytesView bytes{data, size};
  const std::string_view text = peernet::as_text(bytes);
  check_escape(text);
  check_endpoint(text);
  if (const auto endpoint = Endpoint::unpack(bytes)) check_endpoint(endpoint->to_string());
  if (const auto id = peernet::parse_share_id(text)) PN_CHECK(peernet::to_text(*id) == text);
  if (const auto id = peernet::parse_peer_id(text)) PN_CHECK(peernet::to_text(*id) == text);
  if (const auto read = peernet::from_base32(text)) PN_CHECK(peernet::to_base32(*read) == text);
  if (const auto read = peernet::from_hex(text)) {
    PN_CHECK(peernet::from_hex(peernet::to_hex(*read)) == read);
  }
  PN_CHECK(peernet::from_base32(peernet::to_base32(bytes)) == peernet::to_bytes(bytes));
  PN_CHECK(peernet::from_hex(peernet::to_hex(bytes)) == peernet::to_bytes(bytes));
  return 0;
}
