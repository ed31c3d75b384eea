// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/remote_gateways.h"

#include <doctest/doctest.h>
#include <spdlog/spdlog.h>

#include "src/client/mesh_setup.h"
#include "tests/unit/platform/in_own_network.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::client;

namespace {

bool leads(const std::string& peer, const std::string& gateway) {
  return std::system(("ip route show " + peer + " 2>/dev/null | grep -q 'via " + gateway + " '").c_str()) ==
         0;
}

}  // namespace

TEST_CASE("remote_gateways: a way is read from the record as it was written") {
  const Made way =
      MadeWay{boost::asio::ip::make_address("203.0.113.7"), boost::asio::ip::make_address("192.0.2.1")};
  CHECK(to_line(way) == "way 203.0.113.7 192.0.2.1");
  CHECK(parse_made("way 203.0.113.7 192.0.2.1") == way);
  for (const char* line :
       {"way", "way 203.0.113.7", "way x 192.0.2.1", "way 203.0.113.7 x", "way 203.0.113.7 192.0.2.1 x"}) {
    CAPTURE(line);
    CHECK_FALSE(parse_made(line));
  }
}

TEST_CASE("remote_gateways: links lead through them by turns, and no longer when they are closed") {
  const test::TemporaryDirectory directory;
  const int result = test::in_own_network([&] {
    if (!test::ip("link add v0 type veth peer name v1") || !test::ip("addr add 192.0.2.2/24 dev v0") ||
        !test::ip("link set v0 up") || !test::ip("link set v1 up"))
      return 255;
    spdlog::logger log("test");
    MeshSetup setup(directory.file("record"), log);
    const auto address = [](const char* text) { return boost::asio::ip::make_address(text); };
    RemoteGateways gateways({address("192.0.2.1"), address("192.0.2.3")}, setup);
    const auto first = address("198.51.100.1");
    const auto second = address("198.51.100.2");
    if (!gateways.open(1, first).empty() || !gateways.open(2, second).empty() ||
        !gateways.open(3, first).empty())
      return 1;
    if (!leads("198.51.100.1", "192.0.2.1") || !leads("198.51.100.2", "192.0.2.3")) return 2;
    // No gateway is of its IP version; and what cannot be is told.
    if (!gateways.open(4, address("2001:db8::1")).empty()) return 3;
    gateways.close(1);
    if (!leads("198.51.100.1", "192.0.2.1")) return 4;
    gateways.close(3);
    gateways.close(3);
    if (leads("198.51.100.1", "192.0.2.1") || !leads("198.51.100.2", "192.0.2.3")) return 5;
    // What is left is in the record, for a daemon that is killed, and goes at the end.
    if (test::content_of(directory.file("record")) != "way 198.51.100.2 192.0.2.3\n") return 6;
    setup.undo();
    if (leads("198.51.100.2", "192.0.2.3")) return 7;
    RemoteGateways unreachable({address("203.0.113.1")}, setup);
    return unreachable.open(5, first).empty() ? 8 : 0;
  });
  if (result == -1) {
    MESSAGE("skipped: no network namespace or no veth here");
    return;
  }
  CHECK(result == 0);
}
