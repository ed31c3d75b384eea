// SPDX-License-Identifier: BSD-3-Clause
// What sixlink.conf (or an existing gogoc.conf) says, checked and immutable after load. man/sixlink.conf.5 has
// each key's meaning.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "src/config/key_value.h"
#include "src/log/log_config.h"
#include "src/net/prefix.h"
#include "src/net/server_address.h"
#include "src/pki/secret.h"

namespace sixlink::client {

enum class AuthMethod { kAnonymous, kAny, kPlain, kDigestMd5, kPassDss3Des1 };
enum class HostType { kHost, kRouter };
// gogoc's tunnel_mode values.
enum class TunnelMode { kV6V4, kV6UdpV4, kV6AnyV4, kV4V6, kDsLite };
// kBackup: a default route with a worse metric than any native one. kYes: a better one. kNo: none.
enum class DefaultRoute { kBackup, kYes, kNo };

struct Config {
  std::string path;  // the file this came from, as given
  std::string user_id;
  pki::Secret password;
  std::vector<net::ServerAddress> servers;  // at least one, tried in order
  AuthMethod auth_method = AuthMethod::kAnonymous;
  HostType host_type = HostType::kHost;
  int prefix_length = 64;
  std::string home_interface;            // if_prefix
  std::vector<std::string> dns_servers;  // for reverse delegation
  std::string home_dir;                  // gogoc_dir; TSP_HOME_DIR
  bool auto_retry_connect = true;
  std::chrono::seconds retry_delay{30};
  std::chrono::seconds retry_delay_max{300};
  bool keepalive = true;
  std::chrono::seconds keepalive_interval{30};
  TunnelMode tunnel_mode = TunnelMode::kV6AnyV4;
  std::string interface_v6v4 = "sit1";
  std::string interface_v6udpv4 = "tun";
  std::string interface_v4v6 = "sit0";
  std::string client_v4 = "auto";
  std::string client_v6 = "auto";
  std::string template_name = "linux";
  bool proxy_client = false;
  std::string broker_list;
  std::string last_server;
  bool always_use_same_server = false;
  log::LogConfig log;

  // sixlink's own keys.
  DefaultRoute default_route = DefaultRoute::kBackup;
  std::string run_dir = "/run/sixlink";
  std::string state_dir = "/var/lib/sixlink";

  // Names the PID file, control socket and records below run_dir: the file's name without its extension.
  std::string instance_name() const;
};

struct LoadedConfig {
  std::optional<Config> config;           // only without problems
  std::vector<config::Problem> problems;  // every mistake, not only the first
  std::vector<config::Problem> warnings;  // "not yet supported", an exposed password, a key given twice
};

// Every key, in the order of the man page and of conf/sixlink.conf.
const std::vector<config::Key<Config>>& config_keys();

// `text` is the file's content; `path` is for messages and Config::path. Cross-checks of shared keys included.
LoadedConfig parse_config(const std::string& path, std::string_view text);
// Reads the file; a file that cannot be read is a problem; one that holds a password and is readable by group or
// others is a warning.
LoadedConfig load_config(const std::string& path);

}  // namespace sixlink::client
