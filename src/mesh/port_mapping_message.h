// SPDX-License-Identifier: BSD-3-Clause
// What is said to a router to have it map a port: NAT-PMP (RFC 6886) and its successor, PCP (RFC 6887), both
// on the router's UDP port 5351. Bytes alone.
#pragma once

#include <array>
#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "src/mesh/contact.h"

namespace sixlink::mesh {

inline constexpr std::uint16_t kPortMappingPort = 5351;
// Where routers tell that they have started (IPv4: 224.0.0.1).
inline constexpr std::uint16_t kPortMappingAnnouncePort = 5350;
// RFC 6887 section 7: the largest PCP message.
inline constexpr std::size_t kLargestPortMappingMessage = 1100;

// Tells the mappings of one client from those of others, which may not touch them.
using PcpNonce = std::array<std::uint8_t, 12>;

struct MapRequest {
  Transport transport = Transport::kUdp;
  std::uint16_t internal_port = 0;
  // What we would like, or have: 0 and an unspecified address: any.
  std::uint16_t external_port = 0;
  boost::asio::ip::address external;  // PCP
  std::uint32_t lifetime = 0;         // seconds; 0 removes the mapping
  PcpNonce nonce{};                   // PCP
};

// `client`: the address that the request is sent from.
std::vector<std::uint8_t> pcp_map(const MapRequest& request, const boost::asio::ip::address& client);
// Answered with the epoch alone.
std::vector<std::uint8_t> pcp_announce(const boost::asio::ip::address& client);
std::vector<std::uint8_t> nat_pmp_map(const MapRequest& request);
// For the router's outer address.
std::vector<std::uint8_t> nat_pmp_address();

enum class MapResult : std::uint8_t {
  kDone,
  kOtherVersion,  // the router does not know the request's version of the protocol
  kRefused,       // it will not, whatever we ask: not allowed, or cannot
  kNotNow,        // it has no room, or no network
};

struct MapAnswer {
  bool is_pcp = false;
  MapResult result = MapResult::kDone;
  int code = 0;             // the protocol's number for the result
  std::uint32_t epoch = 0;  // seconds since the router forgot all mappings
  struct Address {
    boost::asio::ip::address_v4 external;
  };
  // Of a map request, with what it asked for. A removed one has a lifetime of 0.
  struct Mapped {
    Transport transport = Transport::kUdp;
    std::uint16_t internal_port = 0;
    std::uint16_t external_port = 0;
    std::optional<boost::asio::ip::address> external;  // PCP
    std::uint32_t lifetime = 0;                        // of an error: how long it will last
    PcpNonce nonce{};
  };
  struct Announcement {};
  std::variant<Announcement, Address, Mapped> content;
};

// Hostile bytes. nullopt: no answer of either protocol.
std::optional<MapAnswer> parse_map_answer(std::span<const std::uint8_t> datagram);

// "not authorized (2)"
std::string map_result_text(const MapAnswer& answer);

}  // namespace sixlink::mesh
