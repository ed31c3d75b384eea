// SPDX-License-Identifier: BSD-3-Clause
// Which packets may pass a link of the mesh. A node forwards for others, so that what counts is the network,
// not the neighbour. No I/O, no allocation.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "src/datapath/inner_filter.h"
#include "src/net/prefix.h"

namespace sixlink::datapath {

// Where neighbours' control messages go inside of a link: from fe80::/10 to all nodes of the link, this port
// at both ends, hop limit 1. They end here, in either direction.
inline constexpr std::uint16_t kMeshControlPort = 3653;
// That babeld has for the mesh, on all nodes (client::BabelSettings::port).
inline constexpr std::uint16_t kBabelPort = 6697;

struct MeshFilter {
  net::Prefix network;  // inner addresses are of it
  std::optional<net::PrefixV4> network_v4;
  net::Prefix own;  // this node's: nobody else sends from there
  std::optional<net::PrefixV4> own_v4;
  // Packets from and to the rest of the Internet pass: there is a gateway, and this node or others use it
  // through here.
  bool takes_foreign = false;
  // The neighbour's Babel comes to this node, as its control messages do, and not to babeld: the link is
  // being left.
  bool takes_babel = false;

  struct Verdict {
    std::optional<Drop> drop;
    bool is_control = false;  // to our node: of the neighbour's, or Babel that is taken
    bool is_alone = false;    // says nothing about packets between the same addresses
  };
  Verdict check_incoming(std::span<const std::uint8_t> packet) const;
  Verdict check_outgoing(std::span<const std::uint8_t> packet) const;

 private:
  bool is_inside(const boost::asio::ip::address& address) const;
  std::optional<Drop> check_reach(const net::IpHeader& header) const;
};

// The control message in such a packet; empty: it is none, or its checksum is wrong.
std::span<const std::uint8_t> mesh_control_payload(std::span<const std::uint8_t> packet);

// The packet for a control message of up to kLongestMeshControl bytes. Empty: longer.
inline constexpr std::size_t kLongestMeshControl = 1232;  // fills IPv6's least MTU
std::vector<std::uint8_t> make_mesh_control(const net::AddressV6& source,
                                            std::span<const std::uint8_t> payload);

// Who says Babel in such a packet; nullopt: it is none.
std::optional<net::AddressV6> babel_sender(std::span<const std::uint8_t> packet);

// What the neighbour would say to have its link cost so much (RFC 8966 section 4.6.6, IHU); nothing that it
// says itself may follow.
inline constexpr std::size_t kBabelCostSize = 20;  // with UDP's header: nothing that babeld says is as long
std::vector<std::uint8_t> make_babel_cost(const net::AddressV6& neighbour, std::uint16_t cost);
// A neighbour is to tell all of its routes (section 4.6.10, a route request for any).
std::vector<std::uint8_t> make_babel_request(const net::AddressV6& own);

}  // namespace sixlink::datapath
