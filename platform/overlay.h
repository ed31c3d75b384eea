// SPDX-License-Identifier: BSD-3-Clause
// What a node of the mesh needs of the system besides interfaces: its address, routes that keep what is the
// network's from leaving it, forwarding. Each is one request to the kernel, no program is run. Where a system
// has no such thing here, the answer is operation_not_supported.
#pragma once

#include <sys/types.h>

#include <boost/asio/ip/address.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/net/prefix.h"

namespace sixlink::platform {

// Up; a tunnel interface gets a link-local address by that, without duplicate address detection, as nobody
// is on the link to have it.
[[nodiscard]] boost::system::error_code bring_up(const std::string& interface);

// A /128, or /32 of IPv4, valid at once and for ever. file_exists: it has it already.
[[nodiscard]] boost::system::error_code add_address(const std::string& interface,
                                                    const boost::asio::ip::address& address);
// address_not_available: it does not have it.
[[nodiscard]] boost::system::error_code remove_address(const std::string& interface,
                                                       const boost::asio::ip::address& address);

// The route that is taken where no other one is: packets for the prefix, which of IPv4 is v4-mapped, are
// refused. file_exists, no_such_process.
[[nodiscard]] boost::system::error_code add_unreachable(const net::Prefix& prefix);
[[nodiscard]] boost::system::error_code remove_unreachable(const net::Prefix& prefix);

// One address by way of a gateway that this machine reaches itself, of the same IP version; a link-local one
// with its zone. file_exists, no_such_process.
[[nodiscard]] boost::system::error_code add_way(const boost::asio::ip::address& destination,
                                                const boost::asio::ip::address& gateway);
[[nodiscard]] boost::system::error_code remove_way(const boost::asio::ip::address& destination,
                                                   const boost::asio::ip::address& gateway);

// Routing table `table` holds for what no other table has a route for, and never for packets of sockets with
// mark_outer(): so a default route in it cannot catch what carries the overlay itself. Both IP versions.
[[nodiscard]] boost::system::error_code add_last_table(std::uint32_t table);
[[nodiscard]] boost::system::error_code remove_last_table(std::uint32_t table);
// Such a socket gets no multicast of groups that it has not joined.
[[nodiscard]] boost::system::error_code mark_outer(int socket);

// There is one routing table, and so one node in it: whoever has this descriptor may use it, until it is
// closed, however that comes. address_in_use: `holder` is the process that has it now.
boost::system::result<int> claim_overlay(pid_t& holder);

// A switch of the system's.
struct SystemSetting {
  std::string name;
  std::string before;
  std::string value;  // that is wanted

  friend bool operator==(const SystemSetting&, const SystemSetting&) = default;
};
// What is to be changed, in this order, so that the machine forwards IPv6 (and IPv4) and still has its
// routes afterwards. Empty: it does already.
std::vector<SystemSetting> settings_for_forwarding(bool has_v4);
// So that an interface may have addresses of IPv6 where that is switched off, as on many machines with IPv4
// alone.
std::vector<SystemSetting> settings_for_ipv6(const std::string& interface);
[[nodiscard]] boost::system::error_code change_setting(const SystemSetting& setting);
// To what it was, unless somebody has changed it since.
[[nodiscard]] boost::system::error_code restore_setting(const SystemSetting& setting);

// ---- the way to a node, hop by hop ----

// A raw ICMPv6 socket that sends echo requests from `source` and receives what says how far they came:
// replies, time exceeded, unreachable. What is sent is the ICMPv6 message, whose checksum the kernel fills
// in; so it is received. Not blocking.
boost::system::result<int> open_hop_probe(const net::AddressV6& source);
[[nodiscard]] boost::system::error_code send_hop_probe(int socket, const net::AddressV6& destination,
                                                       int hop_limit, std::span<const std::uint8_t> message);
// nullopt: nothing is there now.
struct HopAnswer {
  net::AddressV6 from;
  std::vector<std::uint8_t> message;
};
std::optional<HopAnswer> receive_hop_answer(int socket);

}  // namespace sixlink::platform
