// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/seen_endpoint.h"

#include <doctest/doctest.h>

#include <string>

using namespace sixlink;
using boost::asio::ip::make_address;
using Endpoint = boost::asio::ip::udp::endpoint;

TEST_CASE("seen endpoint: the answer says where the question came from, and is as long") {
  for (const auto& from : {Endpoint(make_address("198.51.100.7"), 1),
                           Endpoint(make_address("2001:db8:1111:2222:3333:4444:5555:6666"), 65535)}) {
    const auto request = mesh::make_endpoint_request(0x0123456789abcdefULL);
    CHECK(request.size() == mesh::kSeenEndpointSize);
    CHECK((request[0] & 0xF0) == 0xF0);
    const auto response = mesh::answer_endpoint_request(request, from);
    CHECK(response.size() == request.size());
    const auto seen = mesh::parse_endpoint_response(response);
    REQUIRE(seen);
    CHECK(seen->nonce == 0x0123456789abcdefULL);
    CHECK(seen->endpoint == from);
  }
}

TEST_CASE("seen endpoint: two that answer do not go on for ever, and a question is no answer") {
  const Endpoint from(make_address("198.51.100.7"), 40001);
  const auto request = mesh::make_endpoint_request(7);
  CHECK(mesh::answer_endpoint_request(mesh::answer_endpoint_request(request, from), from).empty());
  CHECK_FALSE(mesh::parse_endpoint_response(request));
}

TEST_CASE("seen endpoint: what is no such message is passed over, byte by byte") {
  const Endpoint from(make_address("198.51.100.7"), 40001);
  const auto request = mesh::make_endpoint_request(7);
  const auto response = mesh::answer_endpoint_request(request, from);
  for (std::size_t size = 0; size < request.size(); ++size) {
    CHECK(mesh::answer_endpoint_request({request.data(), size}, from).empty());
    CHECK_FALSE(mesh::parse_endpoint_response({response.data(), size}));
  }
  auto longer = request;
  longer.push_back(' ');
  CHECK(mesh::answer_endpoint_request(longer, from).empty());
  for (std::size_t i = 0; i < response.size(); ++i) {
    for (const int byte : {0, 0x25, 0x78, 255}) {
      auto changed = response;
      changed[i] = static_cast<std::uint8_t>(byte);
      const auto seen = mesh::parse_endpoint_response(changed);
      if (seen) CHECK(seen->endpoint.port() != 0);
    }
  }
  const std::string text(response.begin(), response.end());
  const auto with = [&](const std::string& old, std::string other) {
    auto changed = text;
    changed.replace(changed.find(old), old.size(), other);
    // Still of the right length.
    if (other.size() > old.size())
      changed.erase(changed.size() - 3 - (other.size() - old.size()), other.size() - old.size());
    return std::vector<std::uint8_t>(changed.begin(), changed.end());
  };
  CHECK(mesh::parse_endpoint_response(with("40001", "40002")));
  CHECK_FALSE(mesh::parse_endpoint_response(with("40001", "00000")));
  CHECK_FALSE(mesh::parse_endpoint_response(with("40001", "70001")));
  CHECK_FALSE(mesh::parse_endpoint_response(with("198.51.100.7", "198.51.100.700")));
  CHECK_FALSE(mesh::parse_endpoint_response(with("198.51.100.7", "fe80::1%eth0")));
}
