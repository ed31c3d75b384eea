// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/port_mapping_message.h"

#include <doctest/doctest.h>

#include <random>

using namespace sixlink;
using boost::asio::ip::make_address;
using mesh::MapAnswer;
using mesh::parse_map_answer;
using mesh::Transport;

namespace {

using Bytes = std::vector<std::uint8_t>;

mesh::MapRequest request() {
  mesh::MapRequest value;
  value.transport = Transport::kTcp;
  value.internal_port = 0x0E45;
  value.external_port = 0x01BB;
  value.lifetime = 7200;
  for (std::size_t i = 0; i < value.nonce.size(); ++i) value.nonce[i] = static_cast<std::uint8_t>(i + 1);
  return value;
}

}  // namespace

TEST_CASE("port mapping message: PCP's MAP request is that of RFC 6887, figure 9") {
  CHECK(mesh::pcp_map(request(), make_address("192.0.2.2")) ==
        Bytes{2, 1, 0, 0, 0,    0,    0x1C, 0x20,                                   // version, MAP, lifetime
              0, 0, 0, 0, 0,    0,    0,    0,    0, 0,  0xFF, 0xFF, 192, 0, 2, 2,  // client
              1, 2, 3, 4, 5,    6,    7,    8,    9, 10, 11,   12,                  // nonce
              6, 0, 0, 0, 0x0E, 0x45, 0x01, 0xBB,                                   // TCP, ports
              0, 0, 0, 0, 0,    0,    0,    0,    0, 0,  0xFF, 0xFF, 0,   0, 0, 0});  // any IPv4 address
  CHECK(mesh::pcp_announce(make_address("192.0.2.2")).size() == 24);
}

TEST_CASE("port mapping message: NAT-PMP's requests are those of RFC 6886, section 3") {
  CHECK(mesh::nat_pmp_map(request()) == Bytes{0, 2, 0, 0, 0x0E, 0x45, 0x01, 0xBB, 0, 0, 0x1C, 0x20});
  CHECK(mesh::nat_pmp_address() == Bytes{0, 0});
  auto removal = request();
  removal.transport = Transport::kUdp;
  removal.lifetime = 0;
  CHECK(mesh::nat_pmp_map(removal) == Bytes{0, 1, 0, 0, 0x0E, 0x45, 0, 0, 0, 0, 0, 0});
}

TEST_CASE("port mapping message: answers say what they say") {
  const auto address = parse_map_answer(Bytes{0, 128, 0, 0, 0, 0, 1, 2, 203, 0, 113, 9});
  REQUIRE(address);
  CHECK(address->epoch == 258);
  CHECK(std::get<MapAnswer::Address>(address->content).external.to_string() == "203.0.113.9");
  const auto mapped =
      parse_map_answer(Bytes{0, 129, 0, 0, 0, 0, 0, 1, 0x0E, 0x45, 0x10, 0, 0, 0, 0x1C, 0x20});
  REQUIRE(mapped);
  CHECK(std::get<MapAnswer::Mapped>(mapped->content).external_port == 4096);
  CHECK(std::get<MapAnswer::Mapped>(mapped->content).lifetime == 7200);
  const auto other = parse_map_answer(Bytes{0, 129, 0, 1, 0, 0, 0, 1});
  REQUIRE(other);
  CHECK(other->result == mesh::MapResult::kOtherVersion);
  CHECK(mesh::map_result_text(*other) == "unsupported version (1)");
  auto pcp = mesh::pcp_map(request(), make_address("192.0.2.2"));
  pcp[1] |= 0x80;
  pcp[3] = 8;
  const auto refused = parse_map_answer(pcp);
  REQUIRE(refused);
  CHECK(refused->result == mesh::MapResult::kNotNow);
  CHECK(mesh::map_result_text(*refused) == "no resources (8)");
  CHECK(std::get<MapAnswer::Mapped>(refused->content).nonce == request().nonce);
}

TEST_CASE("port mapping message: what is no answer is none, however it was cut") {
  auto pcp = mesh::pcp_map(request(), make_address("192.0.2.2"));
  CHECK_FALSE(parse_map_answer(pcp));  // a request
  pcp[1] |= 0x80;
  for (std::size_t size = 0; size < pcp.size(); ++size)
    CHECK_FALSE(parse_map_answer(std::span(pcp).first(size)));
  pcp[36] = 132;  // SCTP
  CHECK_FALSE(parse_map_answer(pcp));
  CHECK_FALSE(parse_map_answer(Bytes(2000, 0x82)));
  CHECK_FALSE(parse_map_answer(Bytes{1, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST_CASE("port mapping message: random bytes are survived") {
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    Bytes bytes(random() % 80);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    if (bytes.size() > 2) {
      bytes[0] = random() % 2 == 0 ? 0 : 2;
      bytes[1] = static_cast<std::uint8_t>(0x80 | random() % 3);
    }
    const auto answer = parse_map_answer(bytes);
    if (answer) CHECK_FALSE(mesh::map_result_text(*answer).empty());
  }
}
