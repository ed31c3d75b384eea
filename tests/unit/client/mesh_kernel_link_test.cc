// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/mesh_kernel_link.h"

#include <doctest/doctest.h>

using namespace sixlink;
using client::KernelLinkCounters;

namespace {

platform::KernelWireguardState state(std::uint64_t in, std::uint64_t out, std::uint64_t handshake = 7) {
  platform::KernelWireguardState made;
  made.bytes_in = in;
  made.bytes_out = out;
  made.handshake = handshake;
  return made;
}

}  // namespace

TEST_CASE("kernel link: a handshake is told of once, and so is each later one") {
  KernelLinkCounters counters;
  CHECK_FALSE(counters.update(state(0, 148, 0)).is_handshake);
  CHECK_FALSE(counters.had_handshake());
  CHECK(counters.update(state(92, 180, 1000)).is_handshake);
  CHECK(counters.had_handshake());
  CHECK_FALSE(counters.update(state(92, 180, 1000)).is_handshake);
  CHECK(counters.update(state(92, 180, 2000)).is_handshake);
}

TEST_CASE("kernel link: what the peer sent counts, whatever it is") {
  KernelLinkCounters counters;
  counters.update(state(0, 0));
  CHECK(counters.received() == 0);
  counters.update(state(32, 0));
  CHECK(counters.received() == 1);
  counters.update(state(32, 500));
  CHECK(counters.received() == 1);
  CHECK(counters.bytes_in() == 32);
  CHECK(counters.bytes_out() == 500);
}

TEST_CASE("kernel link: WireGuard's own messages are not traffic") {
  for (const unsigned size : {0U, 32U, 92U, 148U, 124U, 180U}) {
    CAPTURE(size);
    KernelLinkCounters counters;
    counters.update(state(0, 1000));
    const auto before = counters.sent();
    counters.update(state(0, 1000 + size));
    CHECK(counters.sent() == before);
  }
}

TEST_CASE("kernel link: inner packets are, of any length") {
  // 20 bytes, the shortest of IPv4, to 1420, which is padded no further.
  for (unsigned inner = 20; inner <= 1420; ++inner) {
    KernelLinkCounters counters;
    counters.update(state(0, 1000));
    const auto before = counters.sent();
    const auto padded = std::min((inner + 15) / 16 * 16, 1420U);
    counters.update(state(0, 1000 + padded + 32));
    CAPTURE(inner);
    CHECK(counters.sent() == before + 1);
  }
}

TEST_CASE("kernel link: messages of the node's own are not, and what goes with them is") {
  KernelLinkCounters counters;
  counters.update(state(0, 1000));
  const auto before = counters.sent();
  // 48 bytes of headers and 20 are 68, padded 80, and 32 more.
  counters.sent_own(20);
  counters.update(state(0, 1112));
  CHECK(counters.sent() == before);
  counters.sent_own(20);
  counters.update(state(0, 1112 + 112 + 112));
  CHECK(counters.sent() == before + 1);
  // It waited for a handshake.
  counters.sent_own(20);
  counters.update(state(0, 1336 + 148));
  counters.update(state(0, 1336 + 148 + 112));
  CHECK(counters.sent() == before + 1);
}
