#include "transfer/link.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/endpoint.h"
#include "core/identity.h"

namespace peernet::transfer {
namespace {

constexpr std::string_view kScheme = "peernet:";
constexpr std::string_view kHexDigits = "0123456789ABCDEF";
constexpr std::string_view kLinkForm = "a link looks like peernet:s…?dn=NAME&xl=SIZE&pe=HOST:PORT";

Error malformed_link(std::string what, std::string hint = std::string(kLinkForm)) {
  return {Errc::malformed, std::move(what), std::move(hint)};
}

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

bool starts_with_nocase(std::string_view text, std::string_view lower_case_prefix) {
  if (text.size() < lower_case_prefix.size()) return false;
  for (std::size_t i = 0; i < lower_case_prefix.size(); ++i) {
    const char c = text[i];
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (lower != lower_case_prefix[i]) return false;
  }
  return true;
}

// Everything up to the separator; `text` is left with what follows it.
std::string_view take_until(std::string_view& text, char separator) {
  const std::size_t at = text.find(separator);
  const std::string_view taken = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view{} : text.substr(at + 1);
  return taken;
}

Result<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const auto byte = from_hex(text.substr(i + 1, 2));
    if (!byte || byte->size() != 1) {
      return malformed_link("the link has a % that is not followed by two hex digits");
    }
    decoded += static_cast<char>(byte->front());
    i += 2;
  }
  return decoded;
}

void percent_encode(std::string_view text, std::string& out) {
  for (const char c : text) {
    if (is_letter(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~') {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kHexDigits[byte >> 4U];
      out += kHexDigits[byte & 15U];
    }
  }
}

bool is_host_name(std::string_view host) {
  return !host.empty() && host.size() <= kLinkHostSizeMax && host.front() != '-' &&
         std::all_of(host.begin(), host.end(), [](char c) {
           return is_letter(c) || is_digit(c) || c == '-' || c == '.' || c == '_';
         });
}

Result<PeerHint> parse_peer(std::string_view text) {
  const Error wrong =
      malformed_link("the link has a peer that is not HOST:PORT",
                     "pe=192.0.2.1:7341, pe=[2001:db8::1]:7341 or pe=host.example:7341");
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);

  PeerHint hint;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), hint.port);
  if (error != std::errc{} || end != port.data() + port.size() || hint.port == 0) return wrong;
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    const auto endpoint = Endpoint::parse(text);
    if (!endpoint) return wrong;
    host = host.substr(1, host.size() - 2);
  } else if (!is_host_name(host)) {
    return wrong;
  }
  hint.host = host;
  return hint;
}

Result<void> read_parameter(std::string_view parameter, Link& link) {
  const std::string_view key = take_until(parameter, '=');
  if (key != "dn" && key != "xl" && key != "pe") return {};
  auto value = percent_decode(parameter);
  if (!value) return value.error();
  if (key == "dn") {
    link.name_hint = *std::move(value);
  } else if (key == "xl") {
    std::uint64_t size = 0;
    const char* const last = value->data() + value->size();
    const auto [end, error] = std::from_chars(value->data(), last, size);
    if (error != std::errc{} || end != last) {
      return malformed_link("the link's size (xl) is not a number of bytes");
    }
    link.size_hint = size;
  } else {
    if (link.peers.size() == kLinkPeersMax) {
      return Error{Errc::too_large, "the link names more than 16 peers", "remove some pe="};
    }
    auto peer = parse_peer(*value);
    if (!peer) return peer.error();
    link.peers.push_back(*std::move(peer));
  }
  return {};
}

// Says what a text is that is no link to a share; nullopt if it may be one.
std::optional<Error> other_kind(std::string_view id_text) {
  if (id_text.size() != kIdTextSize) return std::nullopt;
  if (id_text.front() == 'p') {
    return malformed_link("this is the id of a peer, not of a share",
                          "the id of a share begins with s");
  }
  if (id_text.front() == 'f') {
    return malformed_link("this is the id of a feed, not of a share",
                          "the id of a share begins with s");
  }
  return std::nullopt;
}

}  // namespace

Result<Link> parse_link(std::string_view text) {
  text = trimmed(text);
  if (text.size() > kLinkSizeMax) {
    return Error{Errc::too_large, "the link is longer than 4096 characters", ""};
  }
  if (text.empty()) return malformed_link("the link is empty");
  if (starts_with_nocase(text, "magnet:")) {
    return malformed_link("this is a BitTorrent magnet link, not a PeerNet link",
                          "fetch it with a BitTorrent client; PeerNet links begin with peernet:");
  }
  const bool has_scheme = starts_with_nocase(text, kScheme);
  if (has_scheme) {
    text.remove_prefix(kScheme.size());
  } else if (text.find(':') < text.find('?')) {
    return malformed_link("the link does not begin with peernet:");
  }

  const std::string_view id_text = take_until(text, '?');
  if (auto error = other_kind(id_text)) return *std::move(error);
  auto id = parse_share_id(id_text);
  if (!id) return id.error();
  Link link;
  link.id = *id;
  while (!text.empty()) {
    const auto read = read_parameter(take_until(text, '&'), link);
    if (!read) return read.error();
  }
  return link;
}

std::string format_link(const Link& link) {
  std::string text(kScheme);
  text += to_text(link.id);
  char separator = '?';
  const auto add = [&](std::string_view key, std::string_view value) {
    if (text.size() + 1 + key.size() + value.size() > kLinkSizeMax) return;
    text += separator;
    text += key;
    text += value;
    separator = '&';
  };
  if (!link.name_hint.empty()) {
    std::string name;
    percent_encode(link.name_hint, name);
    add("dn=", name);
  }
  if (link.size_hint) add("xl=", std::to_string(*link.size_hint));
  const std::size_t peers_count = std::min(link.peers.size(), kLinkPeersMax);
  for (std::size_t i = 0; i < peers_count; ++i) {
    const PeerHint& peer = link.peers[i];
    const bool is_v6 = peer.host.find(':') != std::string::npos;
    add("pe=", (is_v6 ? "[" + peer.host + "]" : peer.host) + ":" + std::to_string(peer.port));
  }
  return text;
}

}  // namespace peernet::transfer
