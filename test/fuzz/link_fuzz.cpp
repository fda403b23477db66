// A link that was read is written as one that is read as the same.

#include <cstddef>
#include <cstdint>

#include "core/bytes.h"
#include "core/check.h"
#include "transfer/link.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace transfer = peernet::transfer;
  const auto link = transfer::parse_link(peernet::as_text({data, size}));
  if (!link) {
    PN_CHECK(!link.error().what.empty());
    return 0;
  }
  PN_CHECK(link->peers.size() <= transfer::kLinkPeersMax);
  const std::string text = transfer::format_link(*link);
  PN_CHECK(text.size() <= transfer::kLinkSizeMax);
  const auto again = transfer::parse_link(text);
  PN_CHECK(again.has_value() && again->id == link->id);
  // Three characters for each byte of a name may be too much; else nothing is left out.
  if (link->name_hint.size() * 3 + size < transfer::kLinkSizeMax) PN_CHECK(*again == *link);
  return 0;
}
