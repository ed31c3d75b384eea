// SPDX-License-Identifier: BSD-3-Clause
// Which packets may pass a tunnel, and counts of those that may not. No I/O, no allocation.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "src/net/icmpv6.h"
#include "src/net/ip_header.h"
#include "src/net/prefix.h"

namespace sixlink::datapath {

enum class Drop : std::uint8_t {
  kMalformed,      // no IP packet, or its length is wrong
  kForeignSource,  // an inner source that does not belong to the sending end
  kForeignTarget,  // an inner destination that does not belong to the receiving end
  kLocalScope,     // link-local or multicast: of no use in a tunnel, usual, not worth a word
  kUnknownPeer,    // the outer source is not the one of the lease
  kNoTunnel,       // no lease for the inner destination
  kNotConnected,   // a lease, but its client is not there
  kTooBig,         // larger than the tunnel's MTU
  kSendFailed,     // the outer socket or the interface did not take it
  kControl,        // RUDP where packets are expected
  kForged,         // not made with the session's keys
  kReplayed,       // seen before, or too old to know
  kCongestion,     // marked on its way, and its sender does not know the mark (RFC 6040)
};
inline constexpr std::size_t kDropReasons = 13;
std::string_view to_string(Drop reason);  // "malformed", "foreign-source", ...

struct Counters {
  std::uint64_t packets_in = 0;   // from the outer side, delivered
  std::uint64_t packets_out = 0;  // to the outer side
  std::uint64_t bytes_in = 0;     // of inner packets
  std::uint64_t bytes_out = 0;
  std::array<std::uint64_t, kDropReasons> drops{};

  void drop(Drop reason) { ++drops[static_cast<std::size_t>(reason)]; }
};

// A client's end: it owns one inner address and perhaps a delegated prefix. Packets of the other IP version
// are foreign.
class InnerFilter {
 public:
  InnerFilter(const boost::asio::ip::address& address, const std::optional<net::Prefix>& prefix,
              const std::optional<net::PrefixV4>& prefix_v4)
      : address_(address), prefix_(prefix), prefix_v4_(prefix_v4) {}
  InnerFilter(const net::AddressV6& address, const std::optional<net::Prefix>& prefix)
      : InnerFilter(address, prefix, std::nullopt) {}
  InnerFilter(const boost::asio::ip::address_v4& address, const std::optional<net::PrefixV4>& prefix)
      : InnerFilter(address, std::nullopt, prefix) {}

  // nullopt: may go out to the broker.
  std::optional<Drop> check_outgoing(std::span<const std::uint8_t> packet) const;
  // nullopt: may come in from the broker. `header` is set whenever the packet has one.
  std::optional<Drop> check_incoming(std::span<const std::uint8_t> packet,
                                     std::optional<net::IpHeader>& header) const;
  // The same, and `header` only of an IPv6 packet.
  std::optional<Drop> check_incoming(std::span<const std::uint8_t> packet,
                                     std::optional<net::Ipv6Header>& header) const;

 private:
  bool is_ours(const boost::asio::ip::address& address) const;

  boost::asio::ip::address address_;
  std::optional<net::Prefix> prefix_;
  std::optional<net::PrefixV4> prefix_v4_;
};

// Link-local and multicast traffic (router solicitations, MLD reports) arrives on every tunnel.
bool is_local_scope(const net::Ipv6Header& header);

}  // namespace sixlink::datapath
