// SPDX-License-Identifier: BSD-3-Clause
// Who is served here: applies Redirector's decisions to the running registry, which it measures for them.
#pragma once

#include <spdlog/logger.h>

#include <chrono>
#include <optional>

#include "registry/broker/granter.h"
#include "registry/broker/process_load.h"
#include "registry/broker/redirector.h"
#include "registry/broker/tunnel_server.h"
#include "registry/config.h"
#include "registry/lease/lease_book.h"
#include "registry/status.h"
#include "src/tsp/server_session.h"

namespace sixlink::registry {

class Newcomers {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  // Clients send keepalives every 30 s at most unless told otherwise, so that three were missed.
  static constexpr WallSeconds kInUse = 90;

  // All outlive the object; it changes `policy`.
  Newcomers(const Config& config, spdlog::logger& log, tsp::ServerPolicy& policy, const LeaseBook& book,
            const TunnelServer& tunnels);
  Newcomers(const Newcomers&) = delete;
  Newcomers& operator=(const Newcomers&) = delete;

  // When sockets are open: brokers that turn out to be this machine itself are left out.
  void begin();
  // The status that sends the requester away; nullopt: to be served.
  std::optional<int> refusal(const Requester& requester, WallSeconds now) const;
  // One that refusal() let pass got a tunnel it did not hold before.
  void granted() { report(redirector_.granted()); }
  bool holds_tunnel(const Requester& requester, WallSeconds now) const;

  // About once a second. True: drained, and told to stop then.
  bool tick(TimePoint now, WallSeconds wall);
  void drain(const DrainRequest& request, TimePoint now);
  // What it knows of it.
  void fill_in(RegistryStatus& status, TimePoint now, WallSeconds wall) const;

 private:
  std::size_t tunnels_in_use(WallSeconds now) const;
  void apply();
  void report(bool has_changed);

  const Config& config_;
  spdlog::logger& log_;
  tsp::ServerPolicy& policy_;
  const LeaseBook& book_;
  const TunnelServer& tunnels_;
  tsp::BrokerList brokers_;
  Redirector redirector_;
  ProcessLoad load_;
  TimePoint next_measurement_{};
  bool stops_when_drained_ = false;
  TimePoint stop_at_ = TimePoint::max();
};

}  // namespace sixlink::registry
