// SPDX-License-Identifier: BSD-3-Clause
// One tunnel from its grant to its teardown: who moves the packets, the interface, keepalive, the path's MTU,
// and the network around it.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "platform/packet_io.h"
#include "platform/platform.h"
#include "src/client/broker_search.h"
#include "src/client/config.h"
#include "src/datapath/lanes.h"
#include "src/log/log.h"
#include "src/pki/wireguard_key.h"
#include "src/tunnel/keepalive.h"
#include "src/tunnel/link.h"
#include "src/tunnel/parameters.h"
#include "src/tunnel/path_probe.h"
#include "src/tunnel/template_runner.h"

namespace sixlink::tunnel {
class DatapathLink;
}

namespace sixlink::client {

class TunnelHolder {
 public:
  // All outlive the holder. `on_echo_reply` is called at each answer through the tunnel.
  TunnelHolder(boost::asio::io_context& io, const Config& config, spdlog::logger& log,
               tunnel::TemplateRunner& runner, std::function<void()> on_echo_reply);
  TunnelHolder(const TunnelHolder&) = delete;
  TunnelHolder& operator=(const TunnelHolder&) = delete;

  // Makes the tunnel stand. `socket` is the negotiation's, connected: it carries v6udpv4. nullopt: it stands;
  // otherwise, and later in any case, tear_down() is to be called.
  boost::asio::awaitable<std::optional<Failed>> create(tunnel::TunnelParameters parameters,
                                                       std::optional<boost::asio::ip::udp::socket> socket,
                                                       std::function<bool()> is_hurried);
  // Ends when the tunnel does not work any more.
  boost::asio::awaitable<Failed> hold();
  // Undoes create(), also half of it. False: something is left.
  boost::asio::awaitable<bool> tear_down();

  // At start: what an earlier run may have left of its secrets.
  void remove_secrets();

  // Something around the tunnel changed; looked into by hold().
  void on_network_change();
  void on_clock_change();

  // For a last message to the broker: the tunnel carries nothing any more. nullopt: there is none.
  std::optional<boost::asio::ip::udp::socket> take_socket();

  // To negotiate anew over a tunnel in UDP, which goes on; a tunnel has one such conversation at a time, and
  // what it reads of the tunnel's packets goes to input(). nullopt: the kernel has the port, or it failed.
  std::optional<boost::asio::ip::udp::socket> lend_socket();
  void take_socket_back();
  void input(std::span<std::uint8_t> packet);

  bool exists() const { return is_created_; }
  // The template has set up what needs nobody any more: another machine's tunnel, or the kernel's without
  // keepalive.
  bool needs_nobody() const;
  const tunnel::TunnelParameters& parameters() const { return parameters_; }
  std::string_view datapath() const;
  // The same, and why: "kernel", "userspace (the kernel has no tunnel interface for v6v4)".
  const std::string& datapath_reason() const { return datapath_reason_; }
  std::size_t lanes() const { return link_ ? link_->lanes() : 0; }
  std::string offloads() const { return link_ ? link_->offloads() : std::string(); }
  datapath::Counters counters();
  const std::optional<tunnel::Keepalive>& keepalive() const { return keepalive_; }

 private:
  boost::asio::awaitable<std::optional<Failed>> create_in_kernel(bool& is_unsupported);
  boost::asio::awaitable<std::optional<Failed>> create_in_userspace();
  boost::asio::awaitable<std::optional<Failed>> create_wireguard_in_kernel(bool& is_unsupported);
  boost::asio::awaitable<std::optional<Failed>> create_wireguard_in_userspace();
  std::optional<boost::asio::ip::udp::socket> connect_to_server();
  void move_wireguard(const boost::asio::ip::address& from);
  // Mode wireguard outlives an address change, but then the way to its broker may lead into the tunnel
  // itself.
  bool is_way_lost() const;
  boost::asio::awaitable<std::optional<Failed>> run_template(bool& is_unsupported);
  std::string interface_name() const;
  void choose_mtu();
  std::optional<Failed> open_outer();
  bool reopen_socket();
  datapath::LaneOptions lane_options() const;
  tunnel::LinkEvents link_events();
  void start_keepalive();
  void start_probe();
  void finish_probe();
  // null: the tunnel is not ours, or not over UDP.
  tunnel::DatapathLink* link_over_udp() const;
  std::optional<boost::asio::ip::udp::socket> adopt(int descriptor);
  // nullopt: this machine still reaches the broker from the address that the tunnel has.
  std::optional<Failed> check_address();

  boost::asio::io_context& io_;
  const Config& config_;
  spdlog::logger& log_;
  tunnel::TemplateRunner& template_;
  std::function<void()> on_echo_reply_;
  boost::asio::steady_timer wake_;
  log::RateLimit outer_error_limit_{3, std::chrono::seconds(60)};

  tunnel::TunnelParameters parameters_;
  std::function<bool()> is_hurried_;
  bool is_created_ = false;
  std::optional<boost::asio::ip::udp::socket> socket_;  // until the link takes it
  boost::asio::ip::udp::endpoint local_endpoint_;       // its own, to come back to
  boost::asio::ip::udp::endpoint remote_endpoint_;
  std::optional<pki::WireguardKeyPair> key_;              // mode wireguard
  std::vector<std::unique_ptr<platform::TunQueue>> tun_;  // until the link takes it
  int raw_socket_ = -1;                                   // until the link takes it
  std::unique_ptr<tunnel::Link> link_;
  std::string datapath_reason_;
  datapath::Counters last_counters_;
  std::optional<tunnel::Keepalive> keepalive_;
  std::optional<tunnel::PathProbe> probe_;
  std::optional<boost::system::error_code> interface_error_;
  std::optional<std::chrono::steady_clock::time_point> look_at_network_;
  std::chrono::steady_clock::time_point next_probe_{};
};

}  // namespace sixlink::client
