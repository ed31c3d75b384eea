// SPDX-License-Identifier: BSD-3-Clause
#include "src/tunnel/path_probe.h"

#include <doctest/doctest.h>

#include <cstring>

using namespace sixlink;
using namespace std::chrono_literals;
using tunnel::EchoMessage;
using tunnel::PathProbe;

namespace {

const PathProbe::TimePoint kStart{1000h};

PathProbe::Settings settings() {
  PathProbe::Settings made;
  made.largest = 1472;
  made.overhead = 28;
  made.identifier = 7;
  made.cookie = 0x1122334455667788ULL;
  return made;
}

bool answer(PathProbe& probe, const EchoMessage& echo, PathProbe::TimePoint now, int missing = 0) {
  std::vector<std::uint8_t> payload(echo.packet_size - 48 - static_cast<std::size_t>(missing));
  std::memcpy(payload.data(), &echo.cookie, sizeof echo.cookie);
  return probe.input({echo.identifier, echo.sequence, payload, {}, {}}, now);
}

// What the probe finds on a path that carries `mtu` inside, and the echoes it sent.
std::pair<std::optional<int>, int> find(std::size_t mtu, unsigned lost_rounds = 0) {
  PathProbe probe(settings(), kStart);
  int sent = 0;
  for (unsigned round = 0; !probe.is_done(); ++round) {
    const auto now = probe.deadline();
    for (const auto& echo : probe.tick(now)) {
      ++sent;
      if (echo.packet_size <= mtu && round >= lost_rounds) CHECK(answer(probe, echo, now + 10ms));
    }
  }
  return {probe.result(), sent};
}

}  // namespace

TEST_CASE("path probe: finds what usual paths carry") {
  CHECK(find(1472).first == 1472);
  CHECK(find(9000).first == 1472);
  CHECK(find(1464).first == 1464);  // PPPoE
  CHECK(find(1400).first == 1392);
  CHECK(find(1280).first == 1280);
}

TEST_CASE("path probe: a path that carries all is asked once") {
  const auto [size, sent] = find(1472);
  CHECK(size == 1472);
  CHECK(sent <= 15);
}

TEST_CASE("path probe: lost rounds are asked again; without any answer nothing is known") {
  CHECK(find(1464, 1).first == 1464);
  CHECK(find(1464, 2).first == 1464);
  const auto [size, sent] = find(0);
  CHECK_FALSE(size);
  CHECK(sent <= 45);
  CHECK_FALSE(find(1279).first);
}

TEST_CASE("path probe: is over within seconds") {
  PathProbe probe(settings(), kStart);
  auto last = kStart;
  while (!probe.is_done()) {
    last = probe.deadline();
    probe.tick(last);
  }
  CHECK(last - kStart <= 5s);
}

TEST_CASE("path probe: replies that are not ours, were cut, or have a size that was not asked") {
  PathProbe probe(settings(), kStart);
  const auto echo = probe.tick(kStart).front();
  auto other = echo;
  other.identifier = 8;
  CHECK_FALSE(answer(probe, other, kStart));
  other = echo;
  other.cookie = 0;
  CHECK_FALSE(answer(probe, other, kStart));
  CHECK_FALSE(probe.input({echo.identifier, echo.sequence, {}, {}, {}}, kStart));
  CHECK(answer(probe, echo, kStart, 1));
  CHECK_FALSE(probe.result());
  other = echo;
  other.packet_size = 9000;
  other.sequence = 9000;
  CHECK(answer(probe, other, kStart));
  CHECK_FALSE(probe.result());
  CHECK(answer(probe, echo, kStart));
  CHECK(probe.result() == 1472);
}
