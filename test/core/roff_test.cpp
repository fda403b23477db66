#include "core/roff.h"

#include <catch2/catch.hpp>

using namespace peernet;

TEST_CASE("nothing in a text is a request or an escape of roff", "[core]") {
  CHECK(roff_text("a\\fB b") == "a\\efB b");
  CHECK(roff_text(".so x\n'br\n...") == "\\&.so x\n\\(aqbr\n\\&...");
  CHECK(roff_text("v1.2 --home \"x\" ~^`") == "v1.2 \\-\\-home \\(dqx\\(dq \\(ti\\(ha\\(ga");
}

TEST_CASE("a manual page begins with its name, section and version", "[core]") {
  ManPage page("peernet-x", 5, "1.2", "tells");
  page.heading("KEYS").item("a.b", "what it is").item("c", "");
  CHECK(page.text() ==
        ".TH \"PEERNET\\-X\" 5 \"\" \"PeerNet 1.2\" \"PeerNet\"\n.nh\n.ad l\n.SH NAME\n"
        "peernet\\-x \\- tells\n.SH \"KEYS\"\n.TP\n.B \"a.b\"\nwhat it is\n.TP\n.B \"c\"\n\\&\n");
}
