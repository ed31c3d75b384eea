// SPDX-License-Identifier: BSD-3-Clause
// Carries out what MeshNode decides, and tells it what happens: datagrams,
// links, the router, times.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/client/babel_router.h"
#include "src/client/mesh_identity.h"
#include "src/client/mesh_links.h"
#include "src/client/mesh_sockets.h"
#include "src/client/mesh_streams.h"
#include "src/log/log.h"
#include "src/mesh/node.h"
#include "src/mesh/router.h"

namespace sixlink::client {

class MeshEdge {
 public:
  struct Settings {
    mesh::NodeSettings node;
    MeshSockets::Settings sockets;
    datapath::MeshFilter filter;
    platform::Offloads offloads;
    MeshProtocols protocols;
    std::optional<TlsSettings> tls;  // none: no links over TLS
    BabelSettings router;
    bool is_gateway = false;
    std::optional<KernelFilter> kernel;  // of links that the kernel's WireGuard carries
  };
  struct Events {
    std::function<void()> on_link_up;  // each
    // This node's contact was signed anew.
    std::function<void(const mesh::SignedContact&)> on_publish;
    // Newer parameters of the network are used.
    std::function<void()> on_parameters;
    std::function<void(unsigned count)> ask_contacts;
    std::function<void(const net::Prefix& node)> ask_contact;
    // A link is about to be opened to that address; it is closed, or was not opened.
    std::function<void(mesh::LinkId, const boost::asio::ip::address&)> on_open =
        [](mesh::LinkId, const boost::asio::ip::address&) {};
    std::function<void(mesh::LinkId)> on_close = [](mesh::LinkId) {};
    // What comes to the shared UDP port. True: it is not the node's.
    std::function<bool(std::span<const std::uint8_t> control, const mesh::Endpoint& from)> on_control =
        [](std::span<const std::uint8_t>, const mesh::Endpoint&) { return false; };
    // As MeshLinks::Events.
    std::function<std::string(const std::string& interface)> record = nullptr;
    std::function<void(const std::string& interface)> remove = nullptr;
  };

  // All that is given by reference outlives it; `identity` may be given another
  // certificate with its key, then renewed() is called. Throws
  // std::runtime_error where OpenSSL cannot.
  MeshEdge(boost::asio::io_context& io, Settings settings, const MeshIdentity& identity, spdlog::logger& log,
           Events events);
  ~MeshEdge();
  MeshEdge(const MeshEdge&) = delete;
  MeshEdge& operator=(const MeshEdge&) = delete;

  // The node's address is there. Empty: it runs. Else what failed and what to
  // do.
  std::string start();
  // Says goodbye, closes the links and ends the router; `done` when that is
  // done, within four seconds.
  void stop(std::function<void()> done);

  // What others found out. See MeshNode.
  void on_contact(std::span<const std::uint8_t> der);
  void on_local_contact(std::span<const std::uint8_t> der, const mesh::Endpoint& endpoint);
  void on_endpoints(std::vector<mesh::ContactEndpoint> endpoints);
  void on_servers(std::vector<mesh::Endpoint> servers);
  void on_observed(const boost::asio::ip::address& observer, const mesh::Endpoint& seen);
  // From the shared UDP port.
  boost::system::error_code send_outer(std::span<const std::uint8_t> datagram, const mesh::Endpoint& to);
  bool on_parameters(std::span<const std::uint8_t> der);
  void on_network_change();
  // The calendar's clock was set: whom the authorities vouch for is another matter, and who was not believed
  // may be tried again.
  void on_clock_change();
  void renewed();
  // IPv4 inside is another one, or none any more; its address is there. `network`: as BabelRouter::use_v4().
  void use_v4(const std::optional<InnerV4>& v4, const std::optional<net::PrefixV4>& network);

  const mesh::MeshNode& node() const { return *node_; }
  const MeshLinks& links() const { return *links_; }
  const std::vector<mesh::Route>& routes() const { return router_->routes(); }
  BabelStatus router_status() const { return router_->status(); }
  std::optional<TlsCounters> tls() const;
  // Those that are listened on.
  std::vector<std::uint16_t> tls_ports() const;
  std::size_t links_up() const;
  // Announcements of what was not the announcer's, since the start.
  std::uint64_t foreign_announcements() const { return foreign_; }
  // Of the router, or the sockets; empty: all is well.
  std::string problem() const { return problem_; }

 private:
  class Signer;
  class Verifier;

  mesh::MeshNode::Times times() const;
  // Soon, from the loop: what the node has decided since.
  void schedule();
  void carry_out();
  void carry_out(mesh::Action& action);
  void perform(mesh::SendDatagram& action);
  void perform(const mesh::OpenLink& action);
  void perform(const mesh::UseLink& action);
  void perform(const mesh::RaiseCost& action);
  void perform(const mesh::CloseLink& action);
  void perform(const mesh::AskContacts& action);
  void perform(const mesh::AskContact& action);
  void perform(const mesh::PublishContact& action);
  void perform(const mesh::UseParameters& action);
  void perform(const mesh::Report& action);
  bool is_inside(const mesh::Endpoint& endpoint) const;
  void believe(const mesh::NetworkParameters& parameters);
  void open(const mesh::OpenLink& link, boost::system::result<int> socket);
  void on_datagram(std::span<std::uint8_t> datagram, const mesh::Path& from);
  void on_routes(const std::vector<mesh::Route>& routes);
  void on_foreign(const mesh::ForeignAnnouncement& foreign);
  void wait_for_tick();
  void watch_traffic();
  void finish_stop();
  void announce();
  MeshSockets::Events socket_events();
  MeshLinks::Events link_events();
  mesh::RouterEvents router_events();

  boost::asio::io_context& io_;
  Settings settings_;
  const MeshIdentity& identity_;
  spdlog::logger& log_;
  Events events_;
  std::shared_ptr<bool> life_ = std::make_shared<bool>(true);

  mesh::CertifiedContacts contacts_;
  std::unique_ptr<Signer> signer_;
  std::unique_ptr<Verifier> verifier_;
  std::unique_ptr<mesh::MeshNode> node_;
  std::unique_ptr<MeshSockets> sockets_;
  std::unique_ptr<MeshLinks> links_;
  std::unique_ptr<MeshStreams> streams_;
  std::unique_ptr<BabelRouter> router_;

  boost::asio::steady_timer tick_timer_;
  boost::asio::steady_timer traffic_timer_;
  boost::asio::steady_timer stop_timer_;
  bool is_scheduled_ = false;
  bool is_stopping_ = false;
  std::function<void()> on_stopped_;
  std::vector<mesh::LinkId> used_;  // that the router was told of
  std::string problem_;
  std::uint64_t foreign_ = 0;
  log::RateLimit reports_{30, std::chrono::seconds(10)};
  log::RateLimit complaints_{5, std::chrono::seconds(60)};
};

}  // namespace sixlink::client
