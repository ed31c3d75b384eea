// SPDX-License-Identifier: BSD-3-Clause
#include "src/wireguard/initiator.h"

#include <doctest/doctest.h>

#include "tests/unit/wireguard/devices.h"

using namespace sixlink::wireguard;
using namespace sixlink::wireguard::test;

TEST_CASE("wireguard: who begins a handshake can be read with our key alone") {
  Pair net;
  net.a_sends();
  REQUIRE(net.sent.size() == 1);
  const auto& initiation = net.sent[0].bytes;
  InitiatorReader reader(net.b.key.duplicate());
  CHECK(reader.read(initiation) == net.a.device.public_key());
  // Reading it does not use it up.
  CHECK(reader.read(initiation) == net.a.device.public_key());
  InitiatorReader other(net.a.key.duplicate());
  CHECK_FALSE(other.read(initiation));
}

TEST_CASE("wireguard: what is no initiation for us has no initiator") {
  Pair net;
  net.a_sends();
  const auto initiation = net.sent[0].bytes;
  InitiatorReader reader(net.b.key.duplicate());
  CHECK_FALSE(reader.read({}));
  CHECK_FALSE(reader.read(Bytes(initiation).first(147)));
  for (const std::size_t at : {std::size_t{0}, std::size_t{8}, std::size_t{50}, std::size_t{120}}) {
    auto damaged = initiation;
    damaged[at] ^= 1;
    CHECK_FALSE(reader.read(damaged));
  }
}
