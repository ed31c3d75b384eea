// SPDX-License-Identifier: BSD-3-Clause
// The keys of sixlink-registry.conf for mode wireguard.
#include "registry/config_wireguard.h"

#include <algorithm>
#include <string>

#include "src/config/setters.h"

namespace sixlink::registry {
namespace {

// A member within Config::wireguard.
template <typename Value>
auto in_wireguard(Value WireguardConfig::*member) {
  return [member](Config& config) -> Value& { return config.wireguard.*member; };
}

bool set_datapath(Config& config, const std::string& value) {
  const auto word = config::lower_case(value);
  if (word != "auto" && word != "kernel" && word != "userspace") return false;
  config.wireguard.datapath = word == "auto"     ? WireguardDatapath::kAuto
                              : word == "kernel" ? WireguardDatapath::kKernel
                                                 : WireguardDatapath::kUserspace;
  return true;
}

bool set_interface(Config& config, const std::string& value) {
  if (!is_interface_name(value)) return false;
  config.wireguard.interface = value;
  return true;
}

bool set_endpoint(Config& config, const std::string& value) {
  config.wireguard.endpoint.reset();
  if (value.empty()) return true;
  auto endpoint = net::ServerAddress::parse(value);
  if (!endpoint || endpoint->host.find('%') != std::string::npos) return false;
  // The port of TSP is not meant where none is named.
  const bool is_bare_v6 = std::count(value.begin(), value.end(), ':') > 1 && value.front() != '[';
  const auto colon = value.rfind(':');
  const auto bracket = value.rfind(']');
  const bool has_port =
      !is_bare_v6 && colon != std::string::npos && (bracket == std::string::npos || colon > bracket);
  if (!has_port) endpoint->port = 0;
  config.wireguard.endpoint = *std::move(endpoint);
  return true;
}

}  // namespace

bool is_interface_name(std::string_view name) {
  constexpr std::size_t kLongest = 15;  // IFNAMSIZ less the NUL
  if (name.empty() || name.size() > kLongest || name.front() == '-' || name == "." || name == "..")
    return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  });
}

void append_wireguard_keys(std::vector<config::Key<Config>>& keys) {
  keys.push_back(
      {"wireguard", "yes or no", "yes", config::yes_no(in_wireguard(&WireguardConfig::is_served))});
  keys.push_back({"wireguard_port", "0 to 65535, a UDP port; 0: as TSP", "0",
                  config::number(in_wireguard(&WireguardConfig::port), 0, 65535)});
  keys.push_back({"wireguard_datapath", "auto, kernel or userspace", "auto", set_datapath});
  keys.push_back({"wireguard_interface",
                  "an interface name: 1 to 15 letters, digits or \"_.-\", not beginning with \"-\"",
                  "sixlink-wg0", set_interface});
  keys.push_back(
      {"wireguard_endpoint", "a name or an address, with an optional :port, or nothing", "", set_endpoint});
}

void check_wireguard(Config& config, config::KeyReport& report) {
  auto& wireguard = config.wireguard;
  for (const char* key :
       {"wireguard_port", "wireguard_datapath", "wireguard_interface", "wireguard_endpoint"}) {
    if (report.is_refused(key)) return;
    if (!wireguard.is_served && report.has_value(key))
      report.warning(key, "without effect with wireguard=no");
  }
  if (!wireguard.is_served) return;
  if (wireguard.datapath == WireguardDatapath::kKernel && wireguard.port == 0)
    report.problem("wireguard_datapath",
                   "kernel needs a UDP port of its own; add a line such as wireguard_port=51820");
  for (const auto& listen : config.listen) {
    if (wireguard.port != 0 && listen.port == wireguard.port) {
      report.problem("wireguard_port", "is the port of listen=, which needs no other: leave it 0");
      break;
    }
  }
  if (wireguard.interface == config.interface)
    report.problem("wireguard_interface", "must be another interface than interface=" + config.interface);
}

}  // namespace sixlink::registry
