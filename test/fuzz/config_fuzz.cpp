// Any text: it is a config or an error in one line, and a config survives being written and read
// once more.

#include <cstddef>
#include <cstdint>

#include "core/bytes.h"
#include "core/check.h"
#include "daemon/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto config = peernet::daemon::parse_config(peernet::as_text({data, size}));
  if (!config) {
    PN_CHECK(!config.error().what.empty());
    return 0;
  }
  const std::string text = peernet::daemon::config_to_json(*config);
  const auto again = peernet::daemon::parse_config(text);
  PN_CHECK(again.has_value());
  PN_CHECK(peernet::daemon::config_to_json(*again) == text);
  return 0;
}
