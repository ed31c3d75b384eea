// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/control_parts.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "src/tsp/rudp.h"

using namespace sixlink;
using namespace std::chrono_literals;
using mesh::parse_part;
using mesh::Part;
using mesh::Path;
using mesh::Reassembler;

namespace {

const mesh::TimePoint kStart{1000s};

Path path(std::uint16_t port) {
  return {mesh::Way::kOuter, {boost::asio::ip::make_address("198.51.100.7"), port}, mesh::Transport::kUdp, 0};
}

// The views are into the datagrams.
std::vector<Part> parts_of(const std::vector<std::vector<std::uint8_t>>& datagrams) {
  std::vector<Part> parts;
  for (const auto& datagram : datagrams) {
    const auto message = tsp::parse_rudp(datagram);
    REQUIRE(message);
    const auto part = parse_part(message->text);
    REQUIRE(part);
    parts.push_back(*part);
  }
  return parts;
}

}  // namespace

TEST_CASE("control parts: a short message is one part, a long one as many as it needs") {
  const auto one = mesh::make_parts(0xF0000001, 5, 0xabc, "hello");
  REQUIRE(one.size() == 1);
  const auto message = tsp::parse_rudp(one[0]);
  CHECK(message->header.sequence == 0xF0000001);
  CHECK(message->text == "PART 1/1 0000000000000abc\r\nhello");
  CHECK(mesh::make_parts(0, 0, 0, std::string(1100, 'x')).size() == 1);
  CHECK(mesh::make_parts(0, 0, 0, std::string(1101, 'x')).size() == 2);
  CHECK(mesh::make_parts(0, 0, 0, std::string(Part::kMost * Part::kLargest, 'x')).size() == Part::kMost);
  CHECK(mesh::make_parts(0, 0, 0, std::string(Part::kMost * Part::kLargest + 1, 'x')).empty());
  CHECK(mesh::make_parts(0, 0, 0, "").empty());
}

TEST_CASE("control parts: put together in any order, with any of them twice") {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::string text(1 + random() % (Part::kMost * Part::kLargest), '\0');
    for (auto& c : text) c = static_cast<char>(random());
    const auto datagrams = mesh::make_parts(0xF0000007, 0, 0, text);
    auto parts = parts_of(datagrams);
    const auto count = parts.size();
    for (std::size_t i = 0; i + 1 < count; ++i) {
      if (random() % 3 == 0) parts.push_back(parts[i]);
    }
    Reassembler reassembler;
    std::ranges::shuffle(parts, random);
    std::optional<std::string> whole;
    for (const auto& part : parts) {
      const auto made = reassembler.add(path(1), 7, part, kStart);
      if (made && !whole) whole = made;
    }
    CHECK(whole == text);
  }
}

TEST_CASE("control parts: parts of different senders and messages do not mix") {
  const auto a = mesh::make_parts(0xF0000001, 0, 0, std::string(1500, 'a'));
  const auto b = mesh::make_parts(0xF0000001, 0, 0, std::string(1500, 'b'));
  const auto a_parts = parts_of(a);
  const auto b_parts = parts_of(b);
  Reassembler reassembler;
  CHECK_FALSE(reassembler.add(path(1), 1, a_parts[0], kStart));
  CHECK_FALSE(reassembler.add(path(2), 1, b_parts[1], kStart));
  CHECK_FALSE(reassembler.add(path(1), 2, b_parts[1], kStart));
  CHECK(reassembler.add(path(1), 1, a_parts[1], kStart) == std::string(1500, 'a'));
  CHECK(reassembler.add(path(2), 1, b_parts[0], kStart) == std::string(1500, 'b'));
}

TEST_CASE("control parts: memory is bounded, and the next good message comes through") {
  const auto datagrams = mesh::make_parts(0xF0000001, 0, 0, std::string(1500, 'a'));
  const auto parts = parts_of(datagrams);
  Reassembler reassembler;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    reassembler.add(path(1), i, parts[0], kStart);
    CHECK(reassembler.size() <= Reassembler::kMostPerPath);
  }
  for (std::uint16_t port = 2; port < 1000; ++port) reassembler.add(path(port), 1, parts[0], kStart);
  CHECK(reassembler.size() <= Reassembler::kMostMessages);
  CHECK_FALSE(reassembler.add(path(5000), 1, parts[0], kStart));
  CHECK(reassembler.add(path(5000), 1, parts[1], kStart));
  // What is never completed goes.
  reassembler.add(path(5001), 1, parts[0], kStart + Reassembler::kLifetime);
  CHECK(reassembler.size() == 1);
}

TEST_CASE("control parts: what is none") {
  const std::string full(Part::kLargest, 'x');
  CHECK(parse_part("PART 1/2 0000000000000000\r\n" + full));
  for (const auto& text :
       {std::string(), std::string("PART"), std::string("PART 1/1 0000000000000000\r\n"),
        std::string("PART 0/1 0000000000000000\r\nx"), std::string("PART 2/1 0000000000000000\r\nx"),
        std::string("PART 1/16 0000000000000000\r\n") + full, std::string("PART 1/2 0000000000000000\r\nx"),
        std::string("PART 1/1 000000000000000\r\nx"), std::string("PART 1/1 0000000000000000x"),
        std::string("PART 1/1 0000000000000000\r\n") + full + "x",
        std::string("PART -1/1 0000000000000000\r\nx"),
        std::string("PART 99999999999/1 0000000000000000\r\nx")})
    CHECK_FALSE_MESSAGE(parse_part(text), text.substr(0, 40));
}
