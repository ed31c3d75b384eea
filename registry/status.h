// SPDX-License-Identifier: BSD-3-Clause
// What `sixlink-registry status` tells, and what its control socket is asked (src/control).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sixlink::registry {

struct MeshStatus {
  std::string network;
  std::uint64_t parameters = 0;  // version
  std::size_t nodes = 0;
  std::size_t live = 0;
  std::size_t connections = 0;  // over HTTPS
  std::size_t waiting = 0;      // for newer parameters
};

struct RegistryStatus {
  std::chrono::system_clock::time_point since = std::chrono::system_clock::now();
  std::size_t leases = 0;
  std::size_t tunnels_in_use = 0;
  std::size_t sessions = 0;      // negotiations going on
  std::string wireguard = "no";  // who carries WireGuard tunnels: "userspace", "kernel", or "no"
  std::size_t wireguard_peers = 0;
  std::size_t wireguard_connected = 0;  // with a handshake in the last three minutes
  std::optional<std::chrono::system_clock::time_point> wireguard_latest_handshake;
  std::uint64_t wireguard_received = 0;  // bytes
  std::uint64_t wireguard_sent = 0;
  double load_percent = 0;
  std::size_t threads = 0;  // that move packets, each way
  std::string offloads;     // that they use, separated by blanks
  // Leases are written to disk in batches; the slower the disk, the larger they are.
  std::uint64_t writes = 0;
  std::uint64_t leases_written = 0;
  std::chrono::microseconds time_writing{0};
  std::chrono::microseconds longest_write{0};
  std::string redirect;          // "no", "always", "load", "drain"
  std::string redirect_brokers;  // as configured, separated by blanks
  bool is_draining = false;
  bool stops_when_drained = false;
  std::optional<std::chrono::seconds> stops_in;  // at the latest
  bool serves_tunnels = true;
  std::optional<MeshStatus> mesh;
};

std::string to_json(const RegistryStatus& status);
// For people, from the JSON that the registry sent. nullopt: not a status.
std::optional<std::string> render_status(std::string_view json);
// The error in an answer; empty: none.
std::string error_in(std::string_view json);

// "drain", "drain stop", "drain stop 600", "undrain".
struct DrainRequest {
  bool begins = true;                            // false: ends
  bool stops = false;                            // the registry ends when no tunnel is in use any more
  std::optional<std::chrono::seconds> deadline;  // with stops: at the latest
};
std::string to_string(const DrainRequest& request);
std::optional<DrainRequest> parse_drain_request(std::string_view text);

// "90", "90s", "15m", "2h": 1 s to 7 days. nullopt: none of them.
std::optional<std::chrono::seconds> parse_duration(std::string_view text);

}  // namespace sixlink::registry
