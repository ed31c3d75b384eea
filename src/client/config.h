// SPDX-License-Identifier: BSD-3-Clause
// What sixlink.conf (or an existing gogoc.conf) says, checked and immutable after load. man/sixlink.conf.5
// has each key's meaning.
#pragma once

#include <boost/asio/ip/address_v4.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "platform/system_defaults.h"
#include "src/client/mesh_config.h"
#include "src/config/key_table.h"
#include "src/log/log_config.h"
#include "src/net/prefix.h"
#include "src/net/server_address.h"
#include "src/pki/secret.h"

namespace sixlink::client {

enum class AuthMethod { kAnonymous, kAny, kPlain, kDigestMd5, kPassDss3Des1 };
enum class HostType { kHost, kRouter };
// gogoc's tunnel_mode values, and two of our own: kAnyMode is WireGuard where the broker offers it, else
// v6anyv4.
enum class TunnelMode { kV6V4, kV6UdpV4, kV6AnyV4, kV4V6, kDsLite, kWireguard, kAnyMode };
// kBackup: a default route with a worse metric than any native one. kYes: a better one. kNo: none.
enum class DefaultRoute { kBackup, kYes, kNo };
// Which of the configured brokers is tried first.
enum class ServerOrder { kClosest, kListed };
// Who moves the packets. kAuto: the kernel where it has a tunnel interface for the mode, else this program.
enum class DatapathChoice { kAuto, kKernel, kUserspace };

struct Options;

struct Config {
  std::string path;  // the file this came from, as given
  std::string user_id;
  pki::Secret password;
  std::vector<net::ServerAddress> servers;  // at least one, unless this is a node of a mesh
  // Without the key: kAny when there is a user, as in gogoc, else kAnonymous.
  AuthMethod auth_method = AuthMethod::kAnonymous;
  HostType host_type = HostType::kHost;
  int prefix_length = 64;                    // 0: the broker's choice
  std::vector<std::string> home_interfaces;  // if_prefix
  std::string routing_info;                  // the routing protocol that the broker is told of
  std::vector<std::string> dns_servers;      // for reverse delegation
  // gogoc_dir, made absolute; without the key the installation's data directory. TSP_HOME_DIR, and the first
  // place to look for template/NAME.sh: the data directory is the second.
  std::string home_dir;
  bool auto_retry_connect = true;
  std::chrono::seconds retry_delay{30};  // at least 1: gogoc's 0 would hammer the broker
  std::chrono::seconds retry_delay_max{300};
  bool keepalive = true;
  std::chrono::seconds keepalive_interval{30};
  TunnelMode tunnel_mode = TunnelMode::kV6AnyV4;
  std::string interface_v6v4 = platform::kTunnelV6V4;
  std::string interface_v6udpv4 = "tun";
  std::string interface_v4v6 = platform::kTunnelV4V6;
  std::string client_v4 = "auto";  // or a valid IPv4 address to bind to
  std::string client_v6 = "auto";
  std::string template_name = platform::kTemplateName;
  // The tunnel's own addresses with tunnel_mode=dslite (RFC 6333 section 5.7).
  boost::asio::ip::address_v4 dslite_client{{192, 0, 0, 2}};
  boost::asio::ip::address_v4 dslite_server{{192, 0, 0, 1}};
  bool proxy_client = false;
  std::string broker_list = "tsp-broker-list.txt";
  std::string last_server = "tsp-last-server.txt";
  bool always_use_same_server = false;
  log::LogConfig log;

  // sixlink's own keys.
  ServerOrder server_order = ServerOrder::kClosest;
  DefaultRoute default_route = DefaultRoute::kBackup;
  DatapathChoice datapath = DatapathChoice::kAuto;
  int threads = 0;      // of our datapath, each way; 0: as many as help
  bool offload = true;  // whether it uses what the system can do for it
  std::string interface_wireguard = "wg6";
  std::string private_key_file = "wireguard.key";  // of WireGuard; made absolute, in state_dir
  std::string run_dir = platform::kRunDirectory;
  std::string state_dir = "/var/lib/sixlink";
  MeshConfig mesh;

  // Of the command line: -y.
  bool accepts_unknown_host_key = false;

  bool may_use_wireguard() const {
    return tunnel_mode == TunnelMode::kWireguard || tunnel_mode == TunnelMode::kAnyMode;
  }
  // For `wg setconf`, while it runs: holds the private key.
  std::string wireguard_conf_path() const;
  // Names the PID file, control socket and records below run_dir: the file's name without its extension.
  std::string instance_name() const;
};

using LoadedConfig = config::Loaded<Config>;

// Every key, in the order of the man page and of conf/sixlink.conf.
const std::vector<config::Key<Config>>& config_keys();

// `text` is the file's content; `path` is for messages and Config::path. Cross-checks between keys are of
// what the command line's `options`, if there are any, leave of the file; there are none for a command.
LoadedConfig parse_config(const std::string& path, std::string_view text, const Options* options = nullptr);
// Reads the file; a file that cannot be read is a problem; one that holds a password and is readable by group
// or others is a warning.
LoadedConfig load_config(const std::string& path, const Options* options = nullptr);

// The same for a file that is not there, as of `text`.
LoadedConfig load_config_text(const std::string& path, std::string_view text, const Options* options);

// Lets -i, -u, -s and -r, which parse_options() checked, override the file. A delay above retry_delay_max
// raises that.
void apply_options(const Options& options, Config& config);

// 1 to 15 of [A-Za-z0-9_.:-], not beginning with "-", nor ".", "..", "all" or "default": safe as a word of a
// command and as a file name.
bool is_interface_name(std::string_view text);
// Of another machine, for proxy_client=yes, as GigabitEthernet0/1: 2 to 64 of [A-Za-z0-9/.:-], the first a
// letter, the last a digit.
bool is_router_interface_name(std::string_view text);

}  // namespace sixlink::client
