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
enum class DefaultRoute { kBackup, kYes, kNo };
enum class Operation { kCreate, kTeardown };

struct TunnelParameters {
  tsp::Mode mode = tsp::Mode::kV6UdpV4;
  HostType host_type = HostType::kHost;
  std::string interface;                  // as it is called now: "tun0"
  std::string home_interface;             // if_prefix
  boost::asio::ip::address client_outer;  // unspecified: not known
  boost::asio::ip::address server_outer;
  net::AddressV6 client_inner;
  net::AddressV6 server_inner;
  std::optional<net::Prefix> prefix;  // delegated (host, router) or the broker's own
  int mtu = 1280;
  std::vector<net::AddressV6> dns_servers;
  std::string client_name;
  DefaultRoute default_route = DefaultRoute::kBackup;
  // Of keepalive and status, not of the template.
  std::chrono::seconds lifetime{0};
  std::optional<std::chrono::seconds> keepalive_interval;
  boost::asio::ip::address keepalive_address;
};

// The record of a granted tunnel; interface and outer ends are still to be filled in.
TunnelParameters from_info(const tsp::TunnelInfo& info);

// Where a template runs: not part of the tunnel.
struct TemplateContext {
  std::string home_dir;     // TSP_HOME_DIR
  std::string record_path;  // SIXLINK_RECORD: the template's undo log
  int verbosity = 0;        // TSP_VERBOSE
};

// "NAME=value" strings, ready for execve. Every value is an address, a number, a checked name or a path from
// our own configuration.
using Environment = std::vector<std::string>;
Environment template_environment(const TunnelParameters& parameters, const TemplateContext& context,
                                 Operation operation);

}  // namespace sixlink::tunnel
