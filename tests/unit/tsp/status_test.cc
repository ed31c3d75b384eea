// SPDX-License-Identifier: BSD-3-Clause
#include "src/tsp/status.h"

#include <doctest/doctest.h>

#include <random>
#include <set>

using namespace sixlink::tsp;

namespace {

constexpr int kCodes[] = {200, 300, 301, 302, 303, 310, 500, 501, 502,
                          506, 507, 509, 518, 520, 521, 522, 530, 1200};

// An independent, slow reading of RFC 3629's table 3-7.
bool is_utf8(std::string_view text) {
  std::size_t at = 0;
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned>(static_cast<unsigned char>(text[i])) : 0U;
  };
  while (at < text.size()) {
    const unsigned lead = byte(at);
    const unsigned size = lead < 0x80       ? 1
                          : lead >> 5 == 6  ? 2
                          : lead >> 4 == 14 ? 3
                          : lead >> 3 == 30 ? 4
                                            : 0;
    if (size == 0) return false;
    unsigned code = size == 1 ? lead : lead & (0x7FU >> size);
    for (unsigned i = 1; i < size; ++i) {
      if (byte(at + i) >> 6 != 2) return false;
      code = code << 6 | (byte(at + i) & 0x3F);
    }
    constexpr unsigned kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kLeast[size] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
    at += size;
  }
  return true;
}

}  // namespace

TEST_CASE("status: every code of the protocol has a wire text and an explanation of its own") {
  std::set<std::string> explanations;
  for (const int code : kCodes) {
    CAPTURE(code);
    CHECK(wire_text(code) != wire_text(999));
    CHECK(wire_text(code).find_first_of("%\r\n<>\"") == std::string_view::npos);
    const auto text = explain_status(code, "ignored \x1b[31m");
    CHECK(text.find(std::to_string(code)) != std::string::npos);
    CHECK(text.find("not known") == std::string::npos);
    CHECK(text.find("ignored") == std::string::npos);
    CHECK(explanations.insert(text.substr(0, text.find('('))).second);
  }
}

TEST_CASE("status: an unknown code is shown with the server's text, made fit for a terminal") {
  const auto text = explain_status(477, "Out of\x1b[2J cheese\x07");
  CHECK(text.find("477") != std::string::npos);
  CHECK(text.find("Out of?[2J cheese") != std::string::npos);
  CHECK(text.find('\x1b') == std::string::npos);
}

TEST_CASE("status: codes above 1000 redirect") {
  CHECK_FALSE(is_redirect(530));
  CHECK_FALSE(is_redirect(1000));
  CHECK(is_redirect(1001));
  CHECK(is_redirect(1200));
}

TEST_CASE("printable: keeps text, replaces control characters, drops line ends at the end") {
  CHECK(printable("Success") == "Success");
  CHECK(printable("200 Success\r\n") == "200 Success");
  CHECK(printable("a\tb\r\nc") == "a?b??c");
  CHECK(printable(std::string_view("a\0b", 3)) == "a?b");
  CHECK(printable("\x7f") == "?");
  CHECK(printable("") == "");
  CHECK(printable("what?") == "what?");
  CHECK(printable("what?\r\n") == "what?");
  CHECK(printable("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7") ==
        "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7");
}

TEST_CASE("printable: bytes that are no UTF-8 and C1 control characters are replaced") {
  CHECK(printable("a\xff"
                  "b") == "a?b");
  CHECK(printable("\xc3") == "?");
  CHECK(printable("\xc3(") == "?(");
  CHECK(printable("\x9b"
                  "31m") == "?31m");  // CSI as one byte
  CHECK(printable("\xc2\x9b"
                  "31m") == "??31m");              // and as UTF-8
  CHECK(printable("\xc0\xaf") == "??");            // overlong
  CHECK(printable("\xed\xa0\x80") == "???");       // a surrogate
  CHECK(printable("\xf4\x90\x80\x80") == "????");  // beyond U+10FFFF
}

TEST_CASE("printable: the limit is in bytes and never cuts a character") {
  CHECK(printable(std::string(1000, 'a')).size() == 200);
  CHECK(printable("abcdef", 3) == "abc");
  CHECK(printable("ab\xc3\xbc", 3) == "ab");
  CHECK(printable("ab\xe2\x82\xac", 4) == "ab");
}

TEST_CASE("printable: whatever the bytes, the result is UTF-8 without control characters") {
  std::mt19937 random(2);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes(random() % 40, '\0');
    for (auto& c : bytes) c = static_cast<char>(random() % 3 == 0 ? random() : 0xC0 + random() % 0x40);
    const auto text = printable(bytes, random() % 40);
    REQUIRE(is_utf8(text));
    for (const char c : text) REQUIRE((static_cast<unsigned char>(c) >= 0x20 && c != 0x7f));
  }
}
