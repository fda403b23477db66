#include "transfer/why.h"

#include <catch2/catch.hpp>

#include <set>
#include <string>

namespace peernet::transfer {
namespace {

Reason of(Cause cause, std::uint64_t count = 0) {
  Reason reason;
  reason.cause = cause;
  reason.count = count;
  return reason;
}

TEST_CASE("every cause but none and paused has a phrase of its own, and all have words",
          "[transfer]") {
  std::set<std::string> phrases;
  std::set<std::string_view> words;
  for (int i = 0; i <= static_cast<int>(Cause::unknown); ++i) {
    const auto cause = static_cast<Cause>(i);
    Reason reason = of(cause, 3);
    reason.what = cause == Cause::disk_full     ? "no space"
                  : cause == Cause::quarantined ? "found it"
                                                : "a fault";
    words.insert(word(cause));
    const std::string text = phrase(reason);
    CAPTURE(i, text);
    CHECK(text.empty() == (cause == Cause::none || cause == Cause::paused));
    if (!text.empty()) phrases.insert(text);
  }
  CHECK(words.size() == static_cast<std::size_t>(Cause::unknown) + 1);
  CHECK(phrases.size() == static_cast<std::size_t>(Cause::unknown) - 1);
}

TEST_CASE("every outcome of a dial has a word and a sentence", "[transfer]") {
  std::set<std::string_view> words;
  std::set<std::string_view> sentences;
  for (int i = 0; i <= static_cast<int>(Dialer::Outcome::other); ++i) {
    words.insert(word(static_cast<Dialer::Outcome>(i)));
    sentences.insert(sentence(static_cast<Dialer::Outcome>(i)));
  }
  CHECK(words.size() == static_cast<std::size_t>(Dialer::Outcome::other) + 1);
  CHECK(sentences.size() == words.size());
}

TEST_CASE("a phrase counts in words, and says whom the last dial concerned", "[transfer]") {
  CHECK(phrase(of(Cause::choked, 1)) == "the one connected peer chokes us");
  CHECK(phrase(of(Cause::choked, 3)) == "all 3 peers choke us");
  CHECK(phrase(of(Cause::no_holder, 1)) == "1 piece has no connected holder");
  CHECK(phrase(of(Cause::no_holder, 4)) == "4 pieces have no connected holder");
  Reason reason = of(Cause::dials_fail, 2);
  reason.at = Endpoint::v4(0x01020304, 5000);
  reason.outcome = Dialer::Outcome::refused;
  CHECK(phrase(reason) ==
        "2 providers known, none connected (last: 1.2.3.4:5000: it refused the connection: nothing "
        "listens on that port)");
}

TEST_CASE("a limit is told in binary units", "[transfer]") {
  Reason reason = of(Cause::limited);
  CHECK(phrase(reason) == "held back by the download limit");
  reason.rate = 1000;
  CHECK(phrase(reason) == "held back by the download limit of 1000 B/s");
  reason.rate = 8U << 20U;
  CHECK(phrase(reason) == "held back by the download limit of 8.0 MiB/s");
  reason.cause = Cause::peer_limited;
  CHECK(phrase(reason) == "held back by limits.peer_down, 8.0 MiB/s from each peer");
}

}  // namespace
}  // namespace peernet::transfer
