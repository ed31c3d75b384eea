// SPDX-License-Identifier: BSD-3-Clause
// A tunnel is a record: what was negotiated, validated, and what a template needs to create it. Its
// environment is the contract of man/sixlink.8 "TEMPLATES" (gogoc's names, ours beside them).
#pragma once

#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "src/net/prefix.h"
#include "src/tsp/tunnel_xml.h"

namespace sixlink::tunnel {

enum class HostType { kHost, kRouter, kBroker };
// Who makes the tunnel's interface. kTun: we do, and move its packets. kKernel: the template does, of the
// system's own kind for the mode. kNone: there is none; the tunnel is another machine's.
enum class InterfaceKind { kTun, kKernel, kNone };
enum class DefaultRoute { kBackup, kYes, kNo };
enum class Operation { kCreate, kTeardown };

struct TunnelParameters {
  tsp::Mode mode = tsp::Mode::kV6UdpV4;
  HostType host_type = HostType::kHost;
  InterfaceKind kind = InterfaceKind::kTun;
  std::string interface;                     // as it is called now: "tun0"
  std::vector<std::string> home_interfaces;  // if_prefix
  boost::asio::ip::address client_outer;     // as the broker sees it; unspecified: not known
  boost::asio::ip::address local_outer;      // as the machine sees it, before NAT; unspecified: not known
  boost::asio::ip::address server_outer;
  std::uint16_t local_port = 0;  // v6udpv4, wireguard
  std::uint16_t server_port = 0;
  // IPv6; IPv4 in mode v4v6.
  boost::asio::ip::address client_inner;
  boost::asio::ip::address server_inner;
  std::optional<net::Prefix> prefix;                           // delegated (host, router) or the broker's own
  std::optional<net::PrefixV4> prefix_v4;                      // the same of mode v4v6
  std::optional<boost::asio::ip::address_v4> server_inner_v4;  // the broker's, beside its IPv6 one
  std::optional<boost::asio::ip::address_v4> client_inner_v4;  // mode wireguard: ours, beside the IPv6 one
  std::optional<tsp::WireguardServer> wireguard;               // mode wireguard
  std::string wireguard_conf;    // kind kernel: the file for `wg setconf`, which holds the key
  std::string wireguard_routes;  // the same of a broker: the file of its clients' prefixes
  int mtu = 1280;
  bool is_mtu_granted = false;  // by the broker; else the path is to be asked
  std::vector<net::AddressV6> dns_servers;
  std::string client_name;
  DefaultRoute default_route = DefaultRoute::kBackup;
  // Of keepalive and status, not of the template.
  std::chrono::seconds lifetime{0};
  std::optional<std::chrono::seconds> keepalive_interval;
  boost::asio::ip::address keepalive_address;

  bool is_v4_inside() const { return mode == tsp::Mode::kV4V6; }
};

// What the outer headers of a mode take from the outer path's MTU. v6udpv4 is over IPv4 unless
// `is_outer_v6`.
int encapsulation_overhead(tsp::Mode mode, bool is_outer_v6);
// What every link of the inner family carries (RFC 8200 section 5, RFC 791): no tunnel has less.
int least_mtu(tsp::Mode mode);

// The record of a granted tunnel; interface and outer ends are still to be filled in.
TunnelParameters from_info(const tsp::TunnelInfo& info);

// What a tunnel of mode wireguard carries: what was granted, else everything of the families that it has.
std::vector<net::Prefix> allowed_of(const TunnelParameters& parameters);

// Why packets to the broker would go into the tunnel itself, or to this machine; empty: they would not.
std::string loop_in(const TunnelParameters& parameters);

// Where a template runs: not part of the tunnel.
struct TemplateContext {
  std::string home_dir;     // TSP_HOME_DIR
  std::string record_path;  // SIXLINK_RECORD: the template's undo log
  std::string state_dir;    // SIXLINK_STATE_DIR: where the template may keep files
  int verbosity = 0;        // TSP_VERBOSE
};

// "NAME=value" strings, ready for execve. Every value is an address, a number, a checked name or a path from
// our own configuration.
using Environment = std::vector<std::string>;
Environment template_environment(const TunnelParameters& parameters, const TemplateContext& context,
                                 Operation operation);

}  // namespace sixlink::tunnel
