// SPDX-License-Identifier: BSD-3-Clause
// What sixlink-registry.conf says, checked and immutable after load. man/sixlink-registry.conf.5 has each
// key's meaning.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/system_defaults.h"
#include "registry/broker/redirector.h"
#include "registry/ca/prefix_book.h"
#include "registry/dns/settings.h"
#include "registry/lease/lease_book.h"
#include "registry/mail/mailer.h"
#include "src/config/key_table.h"
#include "src/log/log_config.h"
#include "src/net/server_address.h"
#include "src/tsp/tunnel_xml.h"

namespace sixlink::registry {

struct ListenAddress {
  boost::asio::ip::address address;
  std::uint16_t port = net::kTspPort;
};

// Newcomers are sent to these (registry/broker/redirector.h).
struct RedirectConfig {
  tsp::BrokerList brokers;                    // redirect=
  RedirectWhen when = RedirectWhen::kAlways;  // redirect_when=
  std::size_t above_tunnels = 0;              // redirect_above_tunnels=, 0: no limit
  int above_load = 0;                         // redirect_above_load=, percent, 0: no limit
};

// Who moves the packets of WireGuard tunnels: kAuto is the kernel where wireguard_port leaves it a port of
// its own and it has WireGuard, else this program.
enum class WireguardDatapath { kAuto, kKernel, kUserspace };

struct WireguardConfig {
  bool is_served = true;                                  // wireguard=
  std::uint16_t port = 0;                                 // wireguard_port=, 0: those of TSP
  WireguardDatapath datapath = WireguardDatapath::kAuto;  // wireguard_datapath=
  std::string interface = "sixlink-wg0";                  // wireguard_interface=: the kernel's
  // wireguard_endpoint=: where clients that do not speak TSP find this machine; port 0: as wireguard_port
  std::optional<net::ServerAddress> endpoint;
};

struct MeshConfig {
  std::optional<net::Prefix> network;                   // network=; none: no mesh
  std::optional<NetworkV4> network_v4;                  // network_v4=
  std::vector<std::string> urls;                        // registry_url=, each with a "/" at the end
  std::vector<std::string> hosts;                       // theirs
  std::vector<ListenAddress> listen;                    // https_listen=
  bool anonymous = false;                               // join_anonymous=
  int joins_per_hour = 200;                             // joins_per_hour=, of one address
  std::chrono::seconds token_lifetime{604800};          // token_lifetime=
  int prefix_length = 64;                               // mesh_prefix_length=, of nodes
  int shortest_prefix = 48;                             // mesh_prefix_length_min=, of tokens
  std::chrono::seconds certificate_lifetime{31536000};  // certificate_lifetime=
  std::chrono::seconds prefix_grace{8640000};           // prefix_grace=
  std::chrono::seconds hello_interval{4};               // hello_interval=
  int client_count = 10;                                // client_count=
  std::chrono::seconds tunnel_refresh{300};             // tunnel_refresh=
  std::string database;                                 // mesh_database=; empty: a file
  MailSettings mail;                                    // smtp_*=
};

struct Config {
  std::string path;
  LeasePolicy leases;                 // prefix=, prefix_v4=, prefix_length_min/max=, anonymous_*=
  std::vector<ListenAddress> listen;  // listen=; default 0.0.0.0 and [::]
  // server_v4=: the broker's IPv4 address as clients see it, when it is behind NAT; default: the address a
  // client spoke to
  std::optional<boost::asio::ip::address_v4> advertised_v4;
  bool anonymous = true;        // anonymous=yes|no
  bool auth_plain = true;       // auth_plain=
  bool auth_digest_md5 = true;  // auth_digest_md5=
  bool auth_passdss = true;     // auth_passdss=
  bool mode_v6udpv4 = true;     // tunnel_modes=v6udpv4 v6v4 v4v6
  bool mode_v6v4 = true;
  bool mode_v4v6 = false;  // only with prefix_v4=
  WireguardConfig wireguard;
  bool prefers_v6v4 = false;      // prefer=v6udpv4|v6v4: for v6anyv4 without a NAT
  bool proxy = false;             // proxy=yes|no: a client may ask for a tunnel to another machine's address
  std::string realm = "sixlink";  // realm=
  std::string interface = "sixlink0";              // interface=
  int mtu = 1280;                                  // mtu=1280 to 1480, at most: see mode_mtu()
  std::optional<net::AddressV6> dns_server;        // dns_server=; default: the broker's own inner address
  std::chrono::seconds lifetime{604800};           // lifetime=, told to clients
  std::chrono::seconds keepalive_interval_min{5};  // keepalive_interval_min=
  int max_sessions = 4096;                         // max_sessions=: negotiations going on at once
  int sessions_per_address = 256;                  // sessions_per_address=
  int login_attempts_per_minute = 20;              // login_attempts_per_minute=, failed ones of one address
  int requests_per_second = 50;                    // requests_per_second=, of one address
  int threads = 0;                                 // threads=, of the datapath each way, 0: as many as help
  bool offload = true;                             // offload=auto|off
  std::string template_name = platform::kTemplateName;  // template=
  std::string run_dir = platform::kRunDirectory;
  std::string state_dir = "/var/lib/sixlink";
  dns::Settings dns;  // dns_update_*=, reverse_zone=, user_domain=, user_zone=, dns_ttl= (config_dns.cc)
  RedirectConfig redirect;
  MeshConfig mesh;     // config_mesh.cc
  log::LogConfig log;  // the same log_* keys as sixlink.conf

  // What the mode carries, and mtu= allows.
  int mode_mtu(LeaseMode mode) const;
  // IPv4 inside some tunnels.
  bool serves_v4() const { return leases.prefix_v4 && (mode_v4v6 || wireguard.is_served); }
  std::string database_path() const;  // state_dir/registry.db
  std::string control_path() const;   // run_dir/NAME.sock
  // With prefix=. A registry of a mesh alone has none, and needs no interface.
  bool serves_tunnels() const { return leases.prefix.length <= 64; }
  std::string mesh_database() const;        // a URI, or state_dir/mesh.db
  std::string authority_directory() const;  // state_dir/ca
  std::string host_key_path() const;        // state_dir/passdss-host-key.pem
  std::string wireguard_key_path() const;   // state_dir/wireguard.key
  std::string instance_name() const;        // the file's name without its extension
};

using LoadedConfig = config::Loaded<Config>;

// Every key.
const std::vector<config::Key<Config>>& config_keys();

// `text` is the file's content; `path` is for messages and Config::path. Cross-checks included. Every mistake
// is a problem, not only the first; `config` is there only without problems.
LoadedConfig parse_config(const std::string& path, std::string_view text);
// Reads the file; one that cannot be read is a problem. Relative paths in it are made absolute, so that the
// daemon may change its directory.
LoadedConfig load_config(const std::string& path);

}  // namespace sixlink::registry
