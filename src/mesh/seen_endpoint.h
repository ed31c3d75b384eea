// SPDX-License-Identifier: BSD-3-Clause
// "Where do you see me?": what a node asks its registry by UDP, from the socket whose mapping in a NAT
// matters. The texts and their datagrams; man/sixlink-tsp.7, "Links between nodes".
#pragma once

#include <boost/asio/ip/udp.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace sixlink::mesh {

// Of a whole datagram. A question is as long as its answer: nobody gets more than was sent in his name.
inline constexpr std::size_t kSeenEndpointSize = 96;

// `nonce` cannot be guessed: it is what tells an answer from a forgery.
std::vector<std::uint8_t> make_endpoint_request(std::uint64_t nonce);
// Hostile. The answer for whoever asked from there; empty: that is no such question. Keeps nothing.
std::vector<std::uint8_t> answer_endpoint_request(std::span<const std::uint8_t> datagram,
                                                  const boost::asio::ip::udp::endpoint& from);

struct SeenEndpoint {
  std::uint64_t nonce = 0;
  boost::asio::ip::udp::endpoint endpoint;
};
// Hostile. nullopt: no such answer.
std::optional<SeenEndpoint> parse_endpoint_response(std::span<const std::uint8_t> datagram);

}  // namespace sixlink::mesh
