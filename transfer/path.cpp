#include "transfer/path.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <utility>

#include "core/escape.h"

namespace peernet::transfer {
namespace {

constexpr std::string_view kUnportableCharacters = ":*?\"<>|\\";
constexpr std::string_view kUnportableHint =
    "rename it where it is shared, or leave it out there with --exclude GLOB; --allow-unportable, "
    "on "
    "both ends, takes it as it is";

// Names that Windows gives to devices, with any extension. The last six are COM and LPT with
// superscript digits, which it takes for the digits.
constexpr std::array<std::string_view, 30> kReservedNames{
    "con",         "prn",         "aux",         "nul",         "conin$",      "conout$",
    "com1",        "com2",        "com3",        "com4",        "com5",        "com6",
    "com7",        "com8",        "com9",        "lpt1",        "lpt2",        "lpt3",
    "lpt4",        "lpt5",        "lpt6",        "lpt7",        "lpt8",        "lpt9",
    "com\xc2\xb9", "com\xc2\xb2", "com\xc2\xb3", "lpt\xc2\xb9", "lpt\xc2\xb2", "lpt\xc2\xb3"};

// The lower-case composed letters of Latin-1 and Latin Extended-A by their combining mark, as pairs
// of composed letter and base letter (UnicodeData, canonical decompositions).
struct Composed {
  char32_t mark;
  std::u32string_view pairs;
};
constexpr std::array<Composed, 13> kComposed{{
    {0x300, U"\u00e0a\u00e8e\u00eci\u00f2o\u00f9u"},
    {0x301,
     U"\u00e1a\u00e9e\u00edi\u00f3o\u00fau\u00fdy\u0107c\u013al\u0144n\u0155r\u015bs\u017az"},
    {0x302,
     U"\u00e2a\u00eae\u00eei\u00f4o\u00fbu\u0109c\u011dg\u0125h\u0135j\u015ds\u0175w\u0177y"},
    {0x303, U"\u00e3a\u00f1n\u00f5o\u0129i\u0169u"},
    {0x304, U"\u0101a\u0113e\u012bi\u014do\u016bu"},
    {0x306, U"\u0103a\u0115e\u011fg\u012di\u014fo\u016du"},
    {0x307, U"\u010bc\u0117e\u0121g\u017cz"},
    {0x308, U"\u00e4a\u00ebe\u00efi\u00f6o\u00fcu\u00ffy"},
    {0x30a, U"\u00e5a\u016fu"},
    {0x30b, U"\u0151o\u0171u"},
    {0x30c, U"\u010dc\u010fd\u011be\u013el\u0148n\u0159r\u0161s\u0165t\u017ez"},
    {0x327, U"\u00e7c\u0123g\u0137k\u013cl\u0146n\u0157r\u015fs\u0163t"},
    {0x328, U"\u0105a\u0119e\u012fi\u0173u"},
}};

Error refused(std::string_view name, std::string_view why, std::string_view hint = {}) {
  return {Errc::refused, "the name \"" + std::string(name) + "\" " + std::string(why),
          std::string(hint)};
}

std::string_view take_component(std::string_view& rest) {
  const std::size_t slash = rest.find('/');
  const std::string_view component = rest.substr(0, slash);
  rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
  return component;
}

char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_reserved(std::string_view component) {
  std::string_view base = component.substr(0, component.find('.'));
  while (!base.empty() && base.back() == ' ') base.remove_suffix(1);
  if (base.size() < 3 || base.size() > 7) return false;  // as most names are
  std::string lower(base);
  std::transform(lower.begin(), lower.end(), lower.begin(), ascii_lower);
  return std::find(kReservedNames.begin(), kReservedNames.end(), lower) != kReservedNames.end();
}

Result<void> check_dangerous(std::string_view component) {
  if (component.empty()) return Error{Errc::refused, "a path has an empty name in it", ""};
  if (component == "." || component == "..") {
    return refused(component, "would lead to another directory");
  }
  if (component.size() > kComponentSizeMax) {
    return Error{Errc::too_large,
                 "a name is longer than 255 bytes: " + std::string(component.substr(0, 40)) + "...",
                 ""};
  }
  if (!is_valid_utf8(component)) return refused(component, "is not valid UTF-8");
  if (component.find('/') != std::string_view::npos) return refused(component, "has a slash in it");
  std::string_view rest = component;
  while (!rest.empty()) {
    if (is_dangerous(next_code_point(rest))) {
      return refused(component, "has a control or invisible character in it");
    }
  }
  return {};
}

Result<void> check_portable(std::string_view component) {
  if (component.find_first_of(kUnportableCharacters) != std::string_view::npos) {
    return refused(component, "has one of : * ? \" < > | \\ in it", kUnportableHint);
  }
  if (component.back() == '.' || component.back() == ' ') {
    return refused(component, "ends with a dot or a space", kUnportableHint);
  }
  if (is_reserved(component)) {
    return refused(component, "names a device on some systems", kUnportableHint);
  }
  return {};
}

Result<void> check_component(std::string_view component, const PathRules& rules) {
  auto checked = check_dangerous(component);
  if (!checked || rules.allow_unportable) return checked;
  return check_portable(component);
}

// Ranges of UnicodeData in which case goes by a fixed distance, or by even and odd.
char32_t fold_case(char32_t c) {
  const auto within = [c](char32_t first, char32_t last) { return c >= first && c <= last; };
  if (within('A', 'Z') || (within(0xc0, 0xde) && c != 0xd7)) return c + 0x20;
  if (c < 0x100) return c == 0xb5 ? 0x3bc : c;  // micro sign: Greek mu
  if (within(0x100, 0x12f) || within(0x132, 0x137) || within(0x14a, 0x177)) return c | 1U;
  if (within(0x139, 0x148) || within(0x179, 0x17e)) return c + (c & 1U);
  if (c == 0x178) return 0xff;
  if (c == 0x17f) return 's';  // long s
  // Greek.
  if (within(0x391, 0x3ab)) return c + 0x20;
  if (c == 0x3c2) return 0x3c3;  // final sigma
  if (c == 0x386) return 0x3ac;
  if (within(0x388, 0x38a)) return c + 0x25;
  if (c == 0x38c) return 0x3cc;
  if (within(0x38e, 0x38f)) return c + 0x3f;
  // Cyrillic.
  if (within(0x400, 0x40f)) return c + 0x50;
  if (within(0x410, 0x42f)) return c + 0x20;
  if (within(0x460, 0x481) || within(0x48a, 0x4bf) || within(0x4d0, 0x52f)) return c | 1U;
  if (c == 0x4c0) return 0x4cf;
  if (within(0x4c1, 0x4ce)) return c + (c & 1U);
  return c;
}

void append_code_point(char32_t c, std::string& out) {
  const auto continuation = [&out, c](unsigned shift) {
    out += static_cast<char>(0x80U | ((c >> shift) & 0x3fU));
  };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0U | (c >> 6U));
    continuation(0);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0U | (c >> 12U));
    continuation(6);
    continuation(0);
  } else {
    out += static_cast<char>(0xf0U | (c >> 18U));
    continuation(12);
    continuation(6);
    continuation(0);
  }
}

void append_decomposed(char32_t c, std::string& out) {
  if (c >= 0xe0 && c < 0x180) {
    for (const Composed& composed : kComposed) {
      for (std::size_t i = 0; i < composed.pairs.size(); i += 2) {
        if (composed.pairs[i] != c) continue;
        append_code_point(composed.pairs[i + 1], out);
        append_code_point(composed.mark, out);
        return;
      }
    }
  }
  append_code_point(c, out);
}

// Two neighbours in folded order: do they, component by component, stay the same name or become
// different ones?
Result<void> check_neighbours(std::string_view a, std::string_view b, const PathRules& rules) {
  const std::string_view whole_a = a;
  const std::string_view whole_b = b;
  while (true) {
    const std::string_view name_a = take_component(a);
    const std::string_view name_b = take_component(b);
    if (name_a != name_b) {
      if (rules.allow_unportable || fold_name(name_a) != fold_name(name_b)) return {};
      return Error{Errc::refused,
                   "\"" + std::string(whole_a) + "\" and \"" + std::string(whole_b) +
                       "\" are one name on some systems",
                   std::string(kUnportableHint)};
    }
    if (!a.empty() && !b.empty()) continue;
    if (a.empty() && b.empty()) {
      return Error{Errc::refused, "the path \"" + std::string(whole_a) + "\" is there twice", ""};
    }
    return Error{
        Errc::refused,
        "\"" + std::string(a.empty() ? whole_a : whole_b) + "\" is a file and also a directory",
        ""};
  }
}

}  // namespace

Result<ValidatedPath> ValidatedPath::parse(std::string_view relative, const PathRules& rules) {
  if (relative.size() > kPathSizeMax) {
    return Error{Errc::too_large,
                 "a path is longer than 1024 bytes: " + std::string(relative.substr(0, 40)) + "...",
                 ""};
  }
  const auto slashes = std::count(relative.begin(), relative.end(), '/');
  if (static_cast<std::size_t>(slashes) >= kPathDepthMax) {
    return Error{Errc::too_large, "a path is deeper than 64 directories", ""};
  }
  std::string_view rest = relative;
  for (auto left = slashes + 1; left > 0; --left) {
    const auto checked = check_component(take_component(rest), rules);
    if (!checked) return checked.error();
  }
  return ValidatedPath(relative);
}

Result<ValidatedPath> ValidatedPath::parse_name(std::string_view name, const PathRules& rules) {
  const auto checked = check_component(name, rules);
  if (!checked) return checked.error();
  return ValidatedPath(name);
}

std::vector<std::string_view> ValidatedPath::components() const {
  std::vector<std::string_view> components;
  std::string_view rest = path_;
  while (!rest.empty()) components.push_back(take_component(rest));
  return components;
}

bool is_before_in_tree(std::string_view a, std::string_view b) {
  // As if '/' were the lowest byte: no name has a NUL in it.
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto rank = [](char c) { return c == '/' ? 0 : int{static_cast<unsigned char>(c)}; };
    return rank(x) < rank(y);
  });
}

std::string fold_name(std::string_view name) {
  std::string folded;
  folded.reserve(name.size());
  while (!name.empty()) {
    if (static_cast<unsigned char>(name.front()) < 0x80) {
      folded += ascii_lower(name.front());
      name.remove_prefix(1);
    } else {
      append_decomposed(fold_case(next_code_point(name)), folded);
    }
  }
  return folded;
}

Result<void> check_tree(std::span<const std::string_view> paths, const PathRules& rules) {
  // Names that are one when folded stand next to each other in folded order, together with all that
  // is below them. No name has a byte 1 in it: in the place of '/' it makes the order of strings
  // that of the tree.
  std::vector<std::string> folded;
  folded.reserve(paths.size());
  for (const std::string_view path : paths) {
    folded.push_back(rules.allow_unportable ? std::string(path) : fold_name(path));
    std::replace(folded.back().begin(), folded.back().end(), '/', '\x01');
  }
  std::vector<std::size_t> order(paths.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const int compared = folded[a].compare(folded[b]);
    return compared != 0 ? compared < 0 : paths[a] < paths[b];
  });
  for (std::size_t i = 1; i < order.size(); ++i) {
    auto checked = check_neighbours(paths[order[i - 1]], paths[order[i]], rules);
    if (!checked) return checked;
  }
  return {};
}

}  // namespace peernet::transfer
