// SPDX-License-Identifier: BSD-3-Clause
// The registry's end of all WireGuard tunnels where the kernel carries them: one interface, which the
// template makes and brings up to date as leases come and go.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <string>

#include "registry/config.h"
#include "registry/wireguard_peers.h"
#include "src/pki/wireguard_key.h"
#include "src/tunnel/template_runner.h"

namespace sixlink::registry {

// What `wg syncconf` reads; holds the private key.
pki::Secret wireguard_server_conf(const pki::WireguardKeyPair& key, std::uint16_t port,
                                  const std::map<std::int64_t, Lease>& leases);
// Every prefix of every lease, one a line.
std::string wireguard_routes(const std::map<std::int64_t, Lease>& leases);
// Adds what `wg show IF endpoints`, `latest-handshakes` and `transfer` printed; other lines are left out.
void read_wg_show(std::string_view what, std::string_view text, WireguardPeers& peers);

//   begin() --run()--> up to date <--changes, after a moment--> being changed --end()--> gone
class WireguardKernel {
 public:
  // All outlive it. `template_settings.instance` is this interface's own. `on_heard`: a handshake with the
  // lease's client was made since the last look.
  WireguardKernel(boost::asio::io_context& io, const Config& config,
                  tunnel::TemplateRunner::Settings template_settings, spdlog::logger& log,
                  pki::WireguardKeyPair key, std::function<void(std::int64_t lease)> on_heard);
  WireguardKernel(const WireguardKernel&) = delete;
  WireguardKernel& operator=(const WireguardKernel&) = delete;

  struct Begun {
    std::string problem;          // empty: the interface is there
    bool is_unsupported = false;  // by this kernel; nothing was left
  };
  // With the leases that put() was told of so far.
  boost::asio::awaitable<Begun> begin(std::function<bool()> is_hurried);
  // Keeps the interface up to date until end().
  boost::asio::awaitable<void> run();
  boost::asio::awaitable<void> end();

  // A lease of mode wireguard, new or changed; one of another mode ends the peer.
  void put(const Lease& lease);
  void remove(std::int64_t lease);
  // As of the last look, some seconds ago.
  const WireguardPeers& peers() const { return peers_; }
  std::size_t size() const { return leases_.size(); }

 private:
  boost::asio::awaitable<tunnel::TemplateRunner::Created> apply(std::function<bool()> is_hurried);
  boost::asio::awaitable<void> look();
  void touch();
  std::string path(const char* suffix) const;

  boost::asio::io_context& io_;
  const Config& config_;
  spdlog::logger& log_;
  tunnel::TemplateRunner template_;
  pki::WireguardKeyPair key_;
  std::function<void(std::int64_t)> on_heard_;
  std::map<std::int64_t, Lease> leases_;
  bool is_dirty_ = false;
  bool is_running_ = false;
  bool is_ending_ = false;
  boost::asio::steady_timer wake_;
  boost::asio::steady_timer ended_;
  WireguardPeers peers_;
};

}  // namespace sixlink::registry
