// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/mesh_path.h"

#include <doctest/doctest.h>

#include "src/net/prefix.h"

using namespace sixlink;
using namespace sixlink::client;

namespace {

using Bytes = std::vector<std::uint8_t>;

const auto kTarget = *net::parse_v6("2001:db8:42:7::1");
const auto kHop = *net::parse_v6("2001:db8:42:3::1");
constexpr std::uint16_t kIdentifier = 0x1234;

Bytes echo(std::uint8_t type, std::uint16_t identifier, std::uint16_t number) {
  return {type,
          0,
          0,
          0,
          static_cast<std::uint8_t>(identifier >> 8),
          static_cast<std::uint8_t>(identifier),
          static_cast<std::uint8_t>(number >> 8),
          static_cast<std::uint8_t>(number)};
}

Bytes error(std::uint8_t type, const net::AddressV6& target, const Bytes& inner, std::uint8_t next = 58) {
  Bytes message{type, 0, 0, 0, 0, 0, 0, 0, 0x60, 0, 0, 0, 0, 16, next, 1};
  message.resize(8 + 24);
  const auto destination = target.to_bytes();
  message.insert(message.end(), destination.begin(), destination.end());
  message.insert(message.end(), inner.begin(), inner.end());
  return message;
}

std::optional<HopReport> parse(const Bytes& message, const net::AddressV6& from) {
  return parse_hop_answer(message, from, kTarget, kIdentifier);
}

}  // namespace

TEST_CASE("mesh path: a reply of the node's") {
  const auto report = parse(echo(129, kIdentifier, 3), kTarget);
  REQUIRE(report);
  CHECK(report->number == 3);
  CHECK(report->kind == HopReport::Kind::kReached);
  CHECK_FALSE(parse(echo(129, kIdentifier, 3), kHop));
  CHECK_FALSE(parse(echo(129, kIdentifier + 1, 3), kTarget));
  CHECK_FALSE(parse(echo(129, kIdentifier, 0), kTarget));
  CHECK_FALSE(parse(echo(129, kIdentifier, MeshPaths::kMostHops + 1), kTarget));
  CHECK_FALSE(parse(echo(128, kIdentifier, 3), kTarget));
}

TEST_CASE("mesh path: what is said on the way") {
  auto report = parse(error(3, kTarget, echo(128, kIdentifier, 2)), kHop);
  REQUIRE(report);
  CHECK(report->number == 2);
  CHECK(report->kind == HopReport::Kind::kExceeded);
  report = parse(error(1, kTarget, echo(128, kIdentifier, 4)), kHop);
  REQUIRE(report);
  CHECK(report->kind == HopReport::Kind::kUnreachable);
  // About something else.
  CHECK_FALSE(parse(error(3, kHop, echo(128, kIdentifier, 2)), kHop));
  CHECK_FALSE(parse(error(3, kTarget, echo(128, kIdentifier + 1, 2)), kHop));
  CHECK_FALSE(parse(error(3, kTarget, echo(129, kIdentifier, 2)), kHop));
  CHECK_FALSE(parse(error(3, kTarget, echo(128, kIdentifier, 2), 17), kHop));
  CHECK_FALSE(parse(error(2, kTarget, echo(128, kIdentifier, 2)), kHop));
}

TEST_CASE("mesh path: an answer that is cut off is none") {
  for (const auto& whole : {echo(129, kIdentifier, 3), error(3, kTarget, echo(128, kIdentifier, 2))}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      CAPTURE(size);
      CHECK_FALSE(parse(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)), kTarget));
    }
  }
}
