// SPDX-License-Identifier: BSD-3-Clause
// The running registry: sockets, tunnel interface, timers, around the machines of registry/broker and
// registry/lease.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "platform/platform.h"
#include "registry/broker/address_budget.h"
#include "registry/broker/granter.h"
#include "registry/broker/newcomers.h"
#include "registry/broker/rudp_sessions.h"
#include "registry/broker/tcp_sessions.h"
#include "registry/broker/tunnel_io.h"
#include "registry/broker/tunnel_server.h"
#include "registry/config.h"
#include "registry/dns/updater.h"
#include "registry/host_key.h"
#include "registry/lease/group_commit.h"
#include "registry/lease/lease_book.h"
#include "registry/store/store.h"
#include "registry/wireguard_control.h"
#include "registry/wireguard_kernel.h"
#include "registry/wireguard_service.h"
#include "src/log/log.h"
#include "src/tsp/server_session.h"
#include "src/tunnel/template_runner.h"

namespace sixlink::registry {

class Server {
 public:
  struct Settings {
    std::string data_dir;
    int verbosity = 0;
    std::function<void()> on_serving;  // once: sockets are open, the interface is configured
  };

  // `config`, `log`, `store` and `book` outlive the server.
  Server(boost::asio::io_context& io, const Config& config, spdlog::logger& log, Store& store,
         LeaseBook& book, Settings settings);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  // Ends after stop(), or with a failure to start. The value is the exit code.
  boost::asio::awaitable<int> run();
  // Saves state, tears the interface down, ends run().
  void stop();
  // Looks for deleted users and expired leases at once.
  void maintain_now();
  void drain(const DrainRequest& request);
  RegistryStatus status() const;
  // `reply`, with JSON, is called at once or later.
  void on_peer_request(const PeerRequest& request, std::function<void(std::string)> reply);
  WireguardPeers wireguard_peers() const;

 private:
  class StoreCredentials;

  boost::asio::awaitable<bool> create_interface();
  boost::asio::awaitable<void> tear_down();
  boost::asio::awaitable<void> maintain();
  void check_methods();
  void load_host_key();
  // Mode wireguard, offered when the key is there: by the kernel where that is configured and can be, else by
  // this program.
  boost::asio::awaitable<void> begin_kernel_wireguard();
  void begin_wireguard();
  void fill_in_wireguard(RegistryStatus& status) const;
  void offer_wireguard(const pki::WireguardKey& key, Granter::Changes changes);
  void send_wireguard(const wireguard::Endpoint& to, std::span<const std::uint8_t> datagram);
  void on_wireguard_packet(std::int64_t lease, std::span<std::uint8_t> packet);
  bool begin_costly_login(const boost::asio::ip::address& peer);
  bool open_sockets();
  bool open_tcp(const ListenAddress& address);
  void open_raw_tunnels();

  TunnelIo::Hooks packet_hooks();
  void on_control(std::size_t socket, const platform::Route& route, std::span<std::uint8_t> datagram,
                  bool is_truncated);
  void on_wireguard_departure(std::int64_t lease, std::span<std::uint8_t> packet);
  void on_interface_error(const boost::system::error_code& error);

  void on_rejected(const boost::asio::ip::address& peer, std::string_view why);
  void grant(const tsp::CreateRequest& request, const Requester& requester, Granter::Done done);
  void log_granted(const tsp::TunnelInfo& tunnel, const Requester& requester);
  void release(const tsp::DeleteRequest& request, const Requester& requester, Granter::Released done);
  // What the tunnels heard goes into the book.
  void touch_active();
  void report_write_problem(const boost::system::error_code& error);
  void expire_leases(WallSeconds now);
  void report_rejections();

  boost::asio::io_context& io_;
  const Config& config_;
  spdlog::logger& log_;
  Store& store_;
  LeaseBook& book_;
  Settings settings_;
  tunnel::TemplateRunner template_;
  // Ours: typing errors and a house full of clients behind one address pass, guessing and floods of requests
  // do not.
  AddressBudget failed_logins_;
  AddressBudget requests_;
  // All clients together: whoever forges addresses may use a tenth of a core for PASSDSS-3DES-1, not all of
  // it.
  AddressBudget costly_logins_{200, 100};
  // Deletes of nothing over UDP: who forges a client's address has to guess its port, and has not enough
  // tries for all.
  AddressBudget missed_releases_{20, 1 / 60.0};
  tsp::ServerPolicy policy_;
  std::unique_ptr<tsp::DsaHostKey> host_key_;
  std::unique_ptr<StoreCredentials> credentials_;
  TunnelServer tunnels_;
  TunnelIo packets_;
  // One of the two, or none.
  std::unique_ptr<WireguardService> wireguard_;
  std::unique_ptr<WireguardKernel> kernel_wireguard_;
  boost::asio::thread_pool disk_{1};
  GroupCommit commits_;
  Granter granter_;
  Newcomers newcomers_;
  RudpSessions rudp_;
  TcpSessions tcp_;

  dns::Updater dns_;

  boost::asio::steady_timer stop_signal_;
  boost::asio::steady_timer maintenance_;
  const std::chrono::system_clock::time_point since_ = std::chrono::system_clock::now();
  bool is_stopping_ = false;
  bool has_failed_ = false;
  tunnel::TunnelParameters parameters_;
  std::vector<std::unique_ptr<boost::asio::ip::tcp::acceptor>> acceptors_;
  std::map<std::string, std::uint64_t, std::less<>> rejections_;  // by reason, since the last report
  std::string last_rejected_;
  std::array<std::uint64_t, datapath::kDropReasons> reported_drops_{};
  log::RateLimit rejection_limit_{5, std::chrono::seconds(60)};
};

}  // namespace sixlink::registry
