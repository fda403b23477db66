#include "core/endpoint.h"

#include <algorithm>

#include "core/codec.h"

namespace peernet {

namespace {

constexpr std::uint16_t kLearntPortMin = 1024;
constexpr std::string_view kDigits = "0123456789abcdef";
constexpr std::size_t kGroupsCount = 8;  // of 16 bits, in an IPv6 address
constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr std::array<std::uint8_t, 12> kNat64Prefix{0, 0x64, 0xff, 0x9b};  // RFC 6052

// A decimal number without sign or leading zeros, taken off the front of the text.
std::optional<std::uint32_t> take_decimal(std::string_view& text, std::uint32_t value_max) {
  std::size_t size = 0;
  std::uint32_t value = 0;
  while (size < text.size() && text[size] >= '0' && text[size] <= '9') {
    value = value * 10 + static_cast<std::uint32_t>(text[size] - '0');
    if (value > value_max) return std::nullopt;
    ++size;
  }
  if (size == 0 || (size > 1 && text.front() == '0')) return std::nullopt;
  text.remove_prefix(size);
  return value;
}

bool take(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

// Four numbers with dots between them, and nothing after them.
std::optional<std::uint32_t> parse_v4(std::string_view text) {
  std::uint32_t address = 0;
  for (int i = 0; i < 4; ++i) {
    if (i > 0 && !take(text, '.')) return std::nullopt;
    const auto number = take_decimal(text, 255);
    if (!number) return std::nullopt;
    address = address << 8U | *number;
  }
  if (!text.empty()) return std::nullopt;
  return address;
}

std::optional<std::uint16_t> take_group(std::string_view& text) {
  std::size_t size = 0;
  std::uint32_t value = 0;
  for (; size < text.size(); ++size) {
    const char digit = text[size];
    std::uint32_t digit_value = 0;
    if (digit >= '0' && digit <= '9') {
      digit_value = static_cast<std::uint32_t>(digit - '0');
    } else if (digit >= 'a' && digit <= 'f') {
      digit_value = static_cast<std::uint32_t>(digit - 'a' + 10);
    } else if (digit >= 'A' && digit <= 'F') {
      digit_value = static_cast<std::uint32_t>(digit - 'A' + 10);
    } else {
      break;
    }
    if (size == 4) return std::nullopt;
    value = value << 4U | digit_value;
  }
  if (size == 0) return std::nullopt;
  text.remove_prefix(size);
  return static_cast<std::uint16_t>(value);
}

// The groups on one side of "::", or all of them. False: not a list of groups. Empty text is an
// empty list. A dotted IPv4 address may be the last two groups when `may_end_in_v4`.
bool parse_groups(std::string_view text, bool may_end_in_v4, Bytes& out) {
  if (text.empty()) return true;
  Writer writer(out);
  while (true) {
    if (may_end_in_v4 && text.find(':') == std::string_view::npos &&
        text.find('.') != std::string_view::npos) {
      const auto v4 = parse_v4(text);
      if (!v4) return false;
      writer.u32(*v4);
      return out.size() <= 2 * kGroupsCount;
    }
    const auto group = take_group(text);
    if (!group || out.size() == 2 * kGroupsCount) return false;
    writer.u16(*group);
    if (text.empty()) return true;
    if (!take(text, ':')) return false;
  }
}

std::optional<std::array<std::uint8_t, 16>> parse_v6(std::string_view text) {
  Bytes head;
  Bytes tail;
  const std::size_t gap = text.find("::");
  if (gap == std::string_view::npos) {
    if (text.empty() || !parse_groups(text, true, head) || head.size() != 16) return std::nullopt;
  } else {
    // "::" stands for at least one group of zeros.
    if (!parse_groups(text.substr(0, gap), false, head) ||
        !parse_groups(text.substr(gap + 2), true, tail) || head.size() + tail.size() > 14) {
      return std::nullopt;
    }
  }
  std::array<std::uint8_t, 16> address{};
  std::copy(head.begin(), head.end(), address.begin());
  std::copy_backward(tail.begin(), tail.end(), address.end());
  return address;
}

// RFC 5952: the longest run of two or more zero groups, the first of equals, becomes "::".
std::string format_v6(const std::array<std::uint8_t, 16>& address) {
  std::array<unsigned, kGroupsCount> groups{};
  for (std::size_t i = 0; i < kGroupsCount; ++i) {
    groups[i] = static_cast<unsigned>(address[2 * i] << 8U | address[2 * i + 1]);
  }
  std::size_t gap_begin = 0;
  std::size_t gap_size = 1;
  for (std::size_t i = 0, run = 0; i < kGroupsCount; ++i) {
    run = groups[i] == 0 ? run + 1 : 0;
    if (run <= gap_size) continue;
    gap_size = run;
    gap_begin = i + 1 - run;
  }
  const bool has_gap = gap_size > 1;

  std::string text;
  for (std::size_t i = 0; i < kGroupsCount; ++i) {
    if (has_gap && i == gap_begin) {
      text += "::";
      i += gap_size - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    bool is_leading = true;
    for (unsigned shift = 16; shift > 0; shift -= 4) {
      const unsigned digit = groups[i] >> (shift - 4) & 15U;
      if (digit == 0 && is_leading && shift > 4) continue;
      is_leading = false;
      text += kDigits[digit];
    }
  }
  return text;
}

std::string format_v4(BytesView address) {
  std::string text;
  for (std::size_t i = 0; i < 4; ++i) {
    if (i > 0) text += '.';
    text += std::to_string(unsigned{address[i]});
  }
  return text;
}

Locality locality_v4(BytesView a) {
  // 0.0.0.0 reaches this machine on Linux.
  if (a[0] == 127 || a[0] == 0) return Locality::loopback;
  const bool is_local = a[0] == 10 || (a[0] == 172 && (a[1] & 0xf0U) == 16) ||
                        (a[0] == 192 && a[1] == 168) || (a[0] == 169 && a[1] == 254) ||
                        (a[0] == 100 && (a[1] & 0xc0U) == 64);
  return is_local ? Locality::local : Locality::global;
}

bool starts_with(BytesView bytes, BytesView prefix) {
  return std::equal(prefix.begin(), prefix.end(), bytes.begin());
}

bool is_all_zero(BytesView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

// ::1, :: and the IPv4-compatible addresses that nobody uses any more.
bool is_v6_compatible(BytesView a) {
  return is_all_zero(a.first(12));
}

}  // namespace

Endpoint Endpoint::v4(std::uint32_t host_order_address, std::uint16_t port) {
  Endpoint endpoint;
  for (std::size_t i = 0; i < 4; ++i) {
    endpoint.address[i] = static_cast<std::uint8_t>(host_order_address >> (8 * (3 - i)));
  }
  endpoint.port = port;
  return endpoint;
}

Endpoint Endpoint::v6(const std::array<std::uint8_t, 16>& address, std::uint16_t port) {
  Endpoint endpoint;
  endpoint.port = port;
  if (starts_with(address, kMappedPrefix)) {
    std::copy(address.begin() + 12, address.end(), endpoint.address.begin());
  } else {
    endpoint.address = address;
    endpoint.is_v6 = true;
  }
  return endpoint;
}

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  std::string_view port_text = text.substr(colon + 1);
  const auto port = take_decimal(port_text, 65'535);
  if (!port || !port_text.empty()) return std::nullopt;
  if (take(host, '[')) {
    if (host.empty() || host.back() != ']') return std::nullopt;
    host.remove_suffix(1);
    const auto address = parse_v6(host);
    if (!address) return std::nullopt;
    return v6(*address, static_cast<std::uint16_t>(*port));
  }
  const auto address = parse_v4(host);
  if (!address) return std::nullopt;
  return v4(*address, static_cast<std::uint16_t>(*port));
}

std::optional<Endpoint> Endpoint::unpack(BytesView compact) {
  Reader reader(compact);
  if (compact.size() == 6) {
    const std::uint32_t address = reader.u32();
    return v4(address, reader.u16());
  }
  if (compact.size() == 18) {
    std::array<std::uint8_t, 16> address{};
    const BytesView bytes = reader.bytes(address.size());
    std::copy(bytes.begin(), bytes.end(), address.begin());
    return v6(address, reader.u16());
  }
  return std::nullopt;
}

void Endpoint::pack(Bytes& out) const {
  Writer writer(out);
  writer.bytes(address_view());
  writer.u16(port);
}

std::string Endpoint::to_string() const {
  const std::string host = address_to_string();
  return (is_v6 ? '[' + host + ']' : host) + ':' + std::to_string(port);
}

std::string Endpoint::address_to_string() const {
  return is_v6 ? format_v6(address) : format_v4(address_view());
}

Locality Endpoint::locality() const {
  const BytesView a = address_view();
  if (!is_v6) return locality_v4(a);
  if (is_v6_compatible(a)) return Locality::loopback;
  // An IPv4 address inside an IPv6 one is as local as it is by itself: NAT64 and 6to4.
  if (starts_with(a, kNat64Prefix)) return locality_v4(a.subspan(12));
  if (a[0] == 0x20 && a[1] == 0x02) return locality_v4(a.subspan(2));
  const bool is_link_or_site_local = a[0] == 0xfe && (a[1] & 0x80U) != 0;
  const bool is_unique_local = (a[0] & 0xfeU) == 0xfc;
  return is_link_or_site_local || is_unique_local ? Locality::local : Locality::global;
}

bool Endpoint::is_usable() const {
  if (port == 0) return false;
  const BytesView a = address_view();
  // 0.0.0.0/8; multicast 224/4; reserved and broadcast 240/4.
  if (!is_v6) return a[0] != 0 && a[0] < 224;
  const bool is_loopback = is_all_zero(a.first(15)) && a[15] == 1;
  return a[0] != 0xff && (is_loopback || !is_v6_compatible(a));
}

Endpoint Endpoint::prefix(unsigned bits) const {
  Endpoint result = *this;
  result.port = 0;
  const std::size_t whole = std::min<std::size_t>(bits / 8, result.address.size());
  std::fill(result.address.begin() + whole, result.address.end(), std::uint8_t{0});
  if (whole < result.address.size()) {
    const auto mask = static_cast<std::uint8_t>(0xff00U >> bits % 8);
    result.address[whole] = address[whole] & mask;
  }
  return result;
}

bool may_learn(const Endpoint& learnt, const Endpoint& source, bool special_use_is_global) {
  if (learnt.port < kLearntPortMin || !learnt.is_usable()) return false;
  return special_use_is_global || learnt.locality() >= source.locality();
}

}  // namespace peernet
