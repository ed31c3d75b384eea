// SPDX-License-Identifier: BSD-3-Clause
// Which packets may pass a link of the mesh.
#include "src/datapath/mesh_filter.h"

#include <algorithm>
#include <array>

#include "src/net/big_endian.h"
#include "src/net/internet_checksum.h"

namespace sixlink::datapath {
namespace {

constexpr std::uint8_t kUdp = 17;
constexpr std::size_t kUdpHeaderSize = 8;

// How long a cost counts, in hundredths of a second: longer than a link is being left.
constexpr std::uint16_t kCostFor = 6000;

net::AddressV6 all_nodes() {
  return net::AddressV6({0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
}
net::AddressV6 all_babel_routers() {
  return net::AddressV6({0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 6});
}

// Of UDP without extension headers; 0: it is none.
std::uint16_t udp_target(const net::IpHeader& header, std::span<const std::uint8_t> packet) {
  if (header.next_header != kUdp || packet.size() < header.payload_offset + kUdpHeaderSize) return 0;
  return net::get16(packet, header.payload_offset + 2);
}

bool is_control(const net::IpHeader& header, std::span<const std::uint8_t> packet) {
  return header.is_v6() && header.source.to_v6().is_link_local() && header.destination == all_nodes() &&
         udp_target(header, packet) == kMeshControlPort;
}

// What neighbours say to each other's systems: Babel, and ICMPv6 that is no neighbour discovery, which a
// link of two has no use for. Nothing else of a machine is to be reached by link-local addresses.
bool is_between_neighbours(const net::IpHeader& header, std::span<const std::uint8_t> packet) {
  if (!header.is_v6() || !header.source.to_v6().is_link_local()) return false;
  const auto destination = header.destination.to_v6();
  if (!destination.is_link_local() && !destination.is_multicast()) return false;
  if (udp_target(header, packet) == kBabelPort) return true;
  // Errors are below 128; 128 and 129 are echo (RFC 4443).
  return header.next_header == net::kNextHeaderIcmpv6 && packet.size() > header.payload_offset &&
         packet[header.payload_offset] <= 129 && destination.is_link_local();
}

}  // namespace

bool MeshFilter::is_inside(const boost::asio::ip::address& address) const {
  if (address.is_v6()) return network.contains(address.to_v6());
  return network_v4 && network_v4->contains(address.to_v4());
}

std::optional<Drop> MeshFilter::check_reach(const net::IpHeader& header) const {
  if (takes_foreign) return std::nullopt;
  if (!is_inside(header.source)) return Drop::kForeignSource;
  if (!is_inside(header.destination)) return Drop::kForeignTarget;
  return std::nullopt;
}

MeshFilter::Verdict MeshFilter::check_incoming(std::span<const std::uint8_t> packet) const {
  Verdict verdict;
  const auto header = net::IpHeader::parse(packet);
  if (!header) {
    verdict.drop = Drop::kMalformed;
  } else if (is_control(*header, packet)) {
    verdict.is_control = true;
  } else if (header->is_local_scope()) {
    verdict.is_alone = true;
    if (!is_between_neighbours(*header, packet))
      verdict.drop = Drop::kLocalScope;
    else
      verdict.is_control = takes_babel && udp_target(*header, packet) == kBabelPort;
  } else if (header->is_v6() ? own.contains(header->source.to_v6())
                             : own_v4 && own_v4->contains(header->source.to_v4())) {
    verdict.drop = Drop::kForeignSource;
  } else {
    verdict.drop = check_reach(*header);
  }
  return verdict;
}

MeshFilter::Verdict MeshFilter::check_outgoing(std::span<const std::uint8_t> packet) const {
  Verdict verdict;
  const auto header = net::IpHeader::parse(packet);
  if (!header) {
    verdict.drop = Drop::kMalformed;
  } else if (header->is_local_scope()) {
    verdict.is_alone = true;
    // A control message is the daemon's own, never the system's.
    if (is_control(*header, packet) || !is_between_neighbours(*header, packet))
      verdict.drop = Drop::kLocalScope;
  } else {
    verdict.drop = check_reach(*header);
  }
  return verdict;
}

namespace {

// RFC 8200 section 8.1: the pseudo-header and what follows; 0 or 0xffff when a checksum within is right.
std::uint16_t udp_checksum(std::span<const std::uint8_t> packet) {
  const auto upper = packet.subspan(net::kIpv6HeaderSize);
  auto total = net::add_words(packet.subspan(8, 32));
  total += static_cast<std::uint32_t>(upper.size()) + kUdp;
  return net::finish_checksum(net::add_words(upper, total));
}

}  // namespace

std::span<const std::uint8_t> mesh_control_payload(std::span<const std::uint8_t> packet) {
  const auto header = net::IpHeader::parse(packet);
  constexpr std::size_t kHeaders = net::kIpv6HeaderSize + kUdpHeaderSize;
  if (!header || !is_control(*header, packet) || packet.size() < kHeaders) return {};
  // Hop limit 1 is what is sent; only a neighbour can have sent it, as a link-local source is not forwarded.
  if (net::get16(packet, net::kIpv6HeaderSize + 4) != packet.size() - net::kIpv6HeaderSize) return {};
  if (udp_checksum(packet) != 0) return {};
  return packet.subspan(kHeaders);
}

std::optional<net::AddressV6> babel_sender(std::span<const std::uint8_t> packet) {
  const auto header = net::IpHeader::parse(packet);
  if (!header || !is_between_neighbours(*header, packet) || udp_target(*header, packet) != kBabelPort)
    return std::nullopt;
  return header->source.to_v6();
}

namespace {

// UDP between two ports of the same number, hop limit 1.
std::vector<std::uint8_t> make_udp(const net::AddressV6& source, const net::AddressV6& target,
                                   std::uint16_t port, std::span<const std::uint8_t> payload) {
  constexpr std::size_t kHeaders = net::kIpv6HeaderSize + kUdpHeaderSize;
  std::vector<std::uint8_t> packet(kHeaders + payload.size());
  const std::span<std::uint8_t> bytes(packet);
  const auto udp_size = static_cast<std::uint16_t>(kUdpHeaderSize + payload.size());
  packet[0] = 0x60;
  net::put16(bytes, 4, udp_size);
  packet[6] = kUdp;
  packet[7] = 1;
  const auto from = source.to_bytes();
  const auto to = target.to_bytes();
  std::copy(from.begin(), from.end(), packet.begin() + 8);
  std::copy(to.begin(), to.end(), packet.begin() + 24);
  net::put16(bytes, 40, port);
  net::put16(bytes, 42, port);
  net::put16(bytes, 44, udp_size);
  std::copy(payload.begin(), payload.end(), packet.begin() + kHeaders);
  auto checksum = udp_checksum(packet);
  if (checksum == 0) checksum = 0xffff;  // 0 means that there is none (RFC 768)
  net::put16(bytes, 46, checksum);
  return packet;
}

}  // namespace

std::vector<std::uint8_t> make_mesh_control(const net::AddressV6& source,
                                            std::span<const std::uint8_t> payload) {
  if (payload.size() > kLongestMeshControl) return {};
  return make_udp(source, all_nodes(), kMeshControlPort, payload);
}

std::vector<std::uint8_t> make_babel_cost(const net::AddressV6& neighbour, std::uint16_t cost) {
  std::array<std::uint8_t, kBabelCostSize - kUdpHeaderSize> text{
      42, 2, 0, 8,   // magic, version, length
      5,  6, 0, 0};  // IHU, length, to whoever hears it, reserved
  net::put16(text, 8, cost);
  net::put16(text, 10, kCostFor);
  return make_udp(neighbour, all_babel_routers(), kBabelPort, text);
}

std::vector<std::uint8_t> make_babel_request(const net::AddressV6& own) {
  constexpr std::array<std::uint8_t, 8> kText{42, 2, 0, 4,   // magic, version, length
                                              9,  2, 0, 0};  // route request, length, for any
  return make_udp(own, all_babel_routers(), kBabelPort, kText);
}

}  // namespace sixlink::datapath
