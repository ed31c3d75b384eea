// SPDX-License-Identifier: BSD-3-Clause
#include "src/tsp/message.h"

#include <doctest/doctest.h>

#include "src/tsp/status.h"

using namespace sixlink::tsp;

namespace {

using namespace std::string_literals;

std::vector<std::string> all_of(Framer& framer) {
  std::vector<std::string> messages;
  while (auto message = framer.next()) messages.push_back(*message);
  return messages;
}

}  // namespace

TEST_CASE("message: the capability line has a space after every token") {
  Capabilities capabilities;
  capabilities.tunnels = {"V6V4", "V6UDPV4"};
  capabilities.auths = {"ANONYMOUS", "DIGEST-MD5"};
  CHECK(capabilities.to_string() ==
        "CAPABILITY TUNNEL=V6V4 TUNNEL=V6UDPV4 AUTH=ANONYMOUS AUTH=DIGEST-MD5 \r\n");
}

TEST_CASE("message: capabilities are read in any case, unknown tokens are ignored") {
  const auto found =
      Capabilities::parse("capability tunnel=v6v4 TUNNEL=V6UDPV4 X=1 SECURE auth=Digest-md5\r\n");
  REQUIRE(found);
  CHECK(found->offers_tunnel("V6V4"));
  CHECK(found->offers_tunnel("V6UDPV4"));
  CHECK_FALSE(found->offers_tunnel("V4V6"));
  CHECK(found->offers_auth("DIGEST-MD5"));
  CHECK_FALSE(found->offers_auth("ANONYMOUS"));
  CHECK(Capabilities::parse("CAPABILITY\r\n"));
  CHECK_FALSE(Capabilities::parse("CAPABILITYTUNNEL=V6V4\r\n"));
  CHECK_FALSE(Capabilities::parse("200 Success\r\n"));
  CHECK_FALSE(Capabilities::parse(""));
}

TEST_CASE("message: a flood of capability tokens is cut off") {
  std::string line = "CAPABILITY ";
  for (int i = 0; i < 5000; ++i) line += "AUTH=A" + std::to_string(i) + " ";
  CHECK(Capabilities::parse(line + "\r\n")->auths.size() <= 64);
}

TEST_CASE("message: status lines") {
  const auto status = StatusLine::parse("200 Success\r\n<tunnel/>");
  REQUIRE(status);
  CHECK(status->code == 200);
  CHECK(status->text == "Success");
  CHECK(status->rest == "<tunnel/>");
  CHECK(StatusLine::parse("300")->code == 300);
  CHECK(StatusLine::parse("300")->text.empty());
  CHECK(StatusLine::parse("1200 Redirection\r\n\0"s)->code == 1200);
  for (const auto& text : {""s, "\r\n"s, "Success"s, "20"s, "-200 x"s, "+200 x"s, " 200 x"s,
                           "200Success\r\n"s, "99999 x"s, "99999999999999999999"s, "2 0 0"s}) {
    CAPTURE(text);
    CHECK_FALSE(StatusLine::parse(text));
  }
  CHECK(status_line(200) == "200 Success\r\n");
  CHECK(status_line(300) == "300 Authentication failed\r\n");
}

TEST_CASE("message: Content-length counts everything behind its line") {
  CHECK(with_content_length("<tunnel action=\"accept\"></tunnel>\r\n") ==
        "Content-length: 35\r\n<tunnel action=\"accept\"></tunnel>\r\n");
  const auto content = parse_content("Content-length: 5\r\nhello, and more");
  CHECK(content.state == Content::State::kComplete);
  CHECK(content.body == "hello");
  CHECK(content.message_size == 24);
  CHECK(parse_content("content-LENGTH:5\nhello").body == "hello");
}

TEST_CASE("message: lies in Content-length") {
  using State = Content::State;
  CHECK(parse_content("Content-length: 6\r\nhello").state == State::kIncomplete);
  CHECK(parse_content("Content-length: 4\r\nhello").body == "hell");
  CHECK(parse_content("Content-length: 0\r\nhello").state == State::kComplete);
  CHECK(parse_content("Content-length: 8192\r\n").state == State::kIncomplete);
  for (const char* number : {"8193", "-1", "-35", "+35", "99999999999999999999999999", "18446744073709551615",
                             "4294967331", "0x23", "35 35", "35,", "1e3", ""}) {
    CAPTURE(number);
    CHECK(parse_content("Content-length: "s + number + "\r\n<tunnel/>").state == State::kBad);
  }
  CHECK(parse_content("Content-length:"s + std::string(100, ' ')).state == State::kBad);
  CHECK(parse_content("Content-length: 3").state == State::kIncomplete);
  CHECK(parse_content(" Content-length: 3\r\nabc").state == State::kNone);
  CHECK(parse_content("").state == State::kNone);
}

TEST_CASE("message: VERSION") {
  CHECK(parse_version("VERSION=2.0.2\r\n") == "2.0.2");
  CHECK(parse_version("version=1.0.1\n") == "1.0.1");
  CHECK(parse_version("VERSION=2.0.2\r\n\0"s) == "2.0.2");
  for (const auto& text : {"VERSION=\r\n"s, "VERSION\r\n"s, "VERSION=2.0.2\r\nmore"s, "VERSION=2\0.0\r\n"s,
                           "VERSION=%s\r\n"s, "VERSION=12345678901234567\r\n"s}) {
    CAPTURE(text);
    CHECK_FALSE(parse_version(text));
  }
}

TEST_CASE("message: AUTHENTICATE, with the NUL that deployed clients append") {
  CHECK(parse_authenticate("AUTHENTICATE ANONYMOUS\r\n\0"s) == "ANONYMOUS");
  CHECK(parse_authenticate("AUTHENTICATE ANONYMOUS\r\n") == "ANONYMOUS");
  CHECK(parse_authenticate("authenticate digest-md5\n") == "DIGEST-MD5");
  for (const auto& text :
       {"AUTHENTICATE\r\n"s, "AUTHENTICATE \r\n"s, "AUTHENTICATE A\0B\r\n"s, "AUTHENTICATE PLAIN x\r\n"s,
        "AUTHENTICATE PLAIN\r\n\0more"s, "AUTHENTICATE " + std::string(21, 'A') + "\r\n",
        "AUTHENTICATE P\xc3\x84IN\r\n"s}) {
    CAPTURE(text);
    CHECK_FALSE(parse_authenticate(text));
  }
}

TEST_CASE("message: PLAIN credentials") {
  const auto good = "\0alice\0s3cret\r\n"s;
  const auto found = parse_plain(good);
  REQUIRE(found);
  CHECK(found->user == "alice");
  CHECK(found->password == "s3cret");
  const auto with_nul = "\0\0alice\0s3cret\r\n"s;
  CHECK(parse_plain(with_nul)->user == "alice");
  const auto with_identity = "alice\0alice\0s3cret\r\n"s;
  CHECK(parse_plain(with_identity)->password == "s3cret");
  for (const auto& text :
       {""s, "\r\n"s, "\0alice\0s3cret"s, "alice\0s3cret\r\n"s, "\0\0s3cret\r\n"s, "bob\0alice\0s3cret\r\n"s,
        "\0alice\0s3\0cret\r\n"s, "\0\0\0\0\0\0\r\n"s, "\0\0\0\r\n"s}) {
    CAPTURE(text);
    CHECK_FALSE(parse_plain(text));
  }
}

TEST_CASE("framer: cuts what deployed clients send, whatever the segments are") {
  const auto stream =
      "VERSION=2.0.2\r\nAUTHENTICATE ANONYMOUS\r\n\0Content-length: 35\r\n<tunnel action=\"accept\"></tunnel>\r\n"s;
  for (std::size_t size = 1; size <= stream.size(); ++size) {
    CAPTURE(size);
    Framer framer(Framer::Side::kServer);
    std::vector<std::string> messages;
    for (std::size_t at = 0; at < stream.size(); at += size) {
      REQUIRE(framer.append(std::string_view(stream).substr(at, size)));
      for (auto& message : all_of(framer)) messages.push_back(message);
    }
    REQUIRE(messages.size() == 3);
    CHECK(messages[0] == "VERSION=2.0.2\r\n");
    CHECK(parse_authenticate(messages[1]) == "ANONYMOUS");
    CHECK(messages[2] == "Content-length: 35\r\n<tunnel action=\"accept\"></tunnel>\r\n");
  }
}

TEST_CASE("framer: PLAIN's leading NULs survive where they are expected") {
  Framer framer(Framer::Side::kServer);
  REQUIRE(framer.append("AUTHENTICATE PLAIN\r\n\0\0alice\0s3cret\r\nVERSION=2.0.2\r\n"s));
  CHECK(parse_authenticate(*framer.next()) == "PLAIN");
  framer.expect({.is_plain = true, .measure = {}});
  CHECK(parse_plain(*framer.next())->user == "alice");
  framer.expect({});
  CHECK(parse_version(*framer.next()) == "2.0.2");
}

TEST_CASE("framer: the redirection's XML belongs to its status line") {
  const auto redirect =
      "1200 Redirection\r\n<tunnel action=\"info\">\r\n <broker>\r\n<address type=\"ipv4\">192.0.2.1</address>\r\n </broker>\r\n</tunnel>\r\n"s;
  for (std::size_t size = 1; size <= redirect.size(); ++size) {
    Framer framer(Framer::Side::kClient);
    std::vector<std::string> messages;
    for (std::size_t at = 0; at < redirect.size(); at += size) {
      REQUIRE(framer.append(std::string_view(redirect).substr(at, size)));
      for (auto& message : all_of(framer)) messages.push_back(message);
    }
    REQUIRE_FALSE(messages.empty());
    // The last line's end may come later, on a segment of its own.
    CHECK(messages[0].find("</tunnel>") != std::string::npos);
    CHECK(StatusLine::parse(messages[0])->code == 1200);
  }
}

TEST_CASE("framer: two replies in one segment are two messages") {
  Framer framer(Framer::Side::kClient);
  REQUIRE(framer.append("CAPABILITY TUNNEL=V6V4 AUTH=ANONYMOUS \r\n200 Success\r\n"));
  CHECK(all_of(framer).size() == 2);
}

TEST_CASE("framer: gives up on what exceeds the bounds") {
  SUBCASE("a line without end") {
    Framer framer(Framer::Side::kServer);
    bool is_alive = true;
    std::size_t taken = 0;
    for (; is_alive && taken < 100000; ++taken) {
      is_alive = framer.append("A");
      CHECK_FALSE(framer.next());
    }
    CHECK_FALSE(is_alive);
    CHECK(taken <= kLongestLine + 4);
  }
  SUBCASE("one huge segment") {
    Framer framer(Framer::Side::kServer);
    CHECK_FALSE(framer.append(std::string(1 << 20, 'A')));
    CHECK_FALSE(framer.next());
    CHECK_FALSE(framer.append("\r\n"));
  }
  SUBCASE("a Content-length beyond the bound") {
    Framer framer(Framer::Side::kServer);
    REQUIRE(framer.append("Content-length: 999999999\r\n"));
    CHECK_FALSE(framer.next());
    CHECK_FALSE(framer.append("x"));
  }
  SUBCASE("a redirection that never ends") {
    Framer framer(Framer::Side::kClient);
    bool is_alive = framer.append("1200 Redirection\r\n");
    for (int i = 0; is_alive && i < 100000; ++i) {
      is_alive = framer.append("<address>192.0.2.1</address>\r\n");
      CHECK_FALSE(framer.next());
    }
    CHECK_FALSE(is_alive);
  }
  SUBCASE("NULs cost nothing") {
    Framer framer(Framer::Side::kServer);
    for (int i = 0; i < 1000; ++i) {
      REQUIRE(framer.append(std::string(1000, '\0')));
      CHECK_FALSE(framer.next());
    }
    REQUIRE(framer.append("VERSION=2.0.2\r\n"));
    CHECK(framer.next() == "VERSION=2.0.2\r\n");
  }
}

TEST_CASE("framer: a message without an end mark is cut where its start says") {
  const auto five = [](std::string_view text) {
    if (text.front() == 'x') return Extent{Extent::State::kBad, 0};
    return text.size() < 5 ? Extent{} : Extent{Extent::State::kComplete, 5};
  };
  Framer framer(Framer::Side::kServer);
  framer.expect({.is_plain = false, .measure = five});
  CHECK_FALSE(framer.next());
  REQUIRE(framer.append("\0\0AAA"s));  // the NUL that ended the line before
  CHECK_FALSE(framer.next());
  REQUIRE(framer.append("AABBBBB\r\nxyz"));
  CHECK(framer.next() == "AAAAA");
  CHECK(framer.next() == "BBBBB\r\n");
  CHECK(framer.next() == "xyz");  // as it is, to be refused
  CHECK_FALSE(framer.next());
  framer.expect({});
  REQUIRE(framer.append("VERSION=2.0.2\r\n"));
  CHECK(framer.next() == "VERSION=2.0.2\r\n");
  framer.expect({.is_plain = false, .measure = [](std::string_view) { return Extent{}; }});
  while (framer.append("AAAAAAAAAAAAAAAA")) CHECK_FALSE(framer.next());  // a bound ends it
}
