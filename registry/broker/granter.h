// SPDX-License-Identifier: BSD-3-Clause
// From a TSP create to a durable lease: decides the mode, takes the lease, and answers after the commit.
// Requests that arrive together share one commit (group commit), so that a write to disk is paid once a
// batch.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/address.hpp>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "registry/broker/tunnel_server.h"
#include "registry/config.h"
#include "registry/lease/lease_book.h"
#include "src/tsp/server_session.h"
#include "src/tsp/status.h"

namespace sixlink::registry {

// Who asks, and over what.
struct Requester {
  std::string user;  // empty: anonymous
  tsp::Transport transport = tsp::Transport::kRudp;
  boost::asio::ip::address peer;  // as seen here
  std::uint16_t port = 0;
  boost::asio::ip::address local;  // our address that the client spoke to
};

// Which mode a request gets, or the TSP status that refuses it. Pure.
struct ModeDecision {
  int status = tsp::kSuccess;
  LeaseMode mode = LeaseMode::kV6UdpV4;
  boost::asio::ip::address outer;
  std::uint16_t port = 0;
};
// The raw sockets that could be opened.
struct RawTunnels {
  bool v6v4 = false;
  bool v4v6 = false;
};
ModeDecision decide_mode(const Config& config, const RawTunnels& raw, const tsp::CreateRequest& request,
                         const Requester& requester, bool has_wireguard = false);

class Granter {
 public:
  using Answer = std::variant<int, tsp::TunnelInfo>;  // a TSP status, or what was granted
  using Done = std::function<void(Answer)>;
  using Released = std::function<void(int status)>;

  // The references outlive the granter.
  Granter(boost::asio::any_io_executor executor, const Config& config, LeaseBook& book, TunnelServer& tunnels)
      : executor_(std::move(executor)), config_(config), book_(book), tunnels_(tunnels) {}

  // `done` is called later, from the event loop.
  void request(const tsp::CreateRequest& request, const Requester& requester, WallSeconds now, Done done);
  // Ends the user's lease; without a user, the lease of the inner address that the request names, when the
  // requester is where its tunnel ends. `done` is called later, with 200 also when there is no such lease.
  // False: there is none, and the requester may be guessing where one ends.
  bool release(const tsp::DeleteRequest& request, const Requester& requester, Released done);
  void set_raw_tunnels(const RawTunnels& available) { raw_ = available; }
  // What clients of mode wireguard are told of our end; without it the mode is not granted.
  // `endpoint_address` and `endpoint_port` may be left open, `allowed` is filled in here.
  void set_wireguard(const tsp::WireguardServer& server) { wireguard_ = server; }
  // Called after the commit with the leases whose tunnel is to begin (or change) and with those that ended.
  struct Changes {
    std::function<void(const Lease& lease)> put = [](const Lease&) {};
    std::function<void(std::int64_t lease)> remove = [](std::int64_t) {};
  };
  void on_changes(Changes changes) { changes_ = std::move(changes); }
  // How the book's changes are made durable; `done` is called when they are, or with the failure that took
  // them back. Without it, at once by the book.
  using Commit = std::function<void(std::function<void(const boost::system::error_code&)> done)>;
  void commit_by(Commit commit) { commit_ = std::move(commit); }
  // The text of the last failure of the store, for the log; empty: none since the last call.
  std::string take_store_problem() { return std::exchange(store_problem_, {}); }

 private:
  struct Pending {
    Answer answer;
    std::optional<Lease> lease;
    std::vector<std::int64_t> replaced;  // leases that were released for it in the same batch
    bool is_release = false;             // `answer` is a status
    boost::asio::ip::address local;      // our end of the tunnel
    Done done;
  };
  void flush();
  void answer(std::vector<Pending>& batch, const boost::system::error_code& error);
  void release(std::int64_t id, Pending& pending);
  std::optional<std::int64_t> lease_to_release(const tsp::DeleteRequest& request,
                                               const Requester& requester) const;
  void post_flush();
  void acquire(const tsp::CreateRequest& request, const Requester& requester, const ModeDecision& decision,
               WallSeconds now, Pending& pending);
  // Ends the anonymous lease that has the key, where it is the requester's own or in nobody's use. nullopt:
  // there is none in the way; otherwise the status that refuses the request.
  std::optional<int> free_key(const pki::WireguardKey& key, const Requester& requester, WallSeconds now,
                              Pending& pending);
  void fill_in_wireguard(const Lease& lease, const tsp::CreateRequest& request, tsp::TunnelInfo& info) const;
  tsp::TunnelInfo info_for(const Lease& lease, const tsp::CreateRequest& request,
                           const Requester& requester) const;

  boost::asio::any_io_executor executor_;
  const Config& config_;
  LeaseBook& book_;
  TunnelServer& tunnels_;
  RawTunnels raw_;
  std::optional<tsp::WireguardServer> wireguard_;
  Changes changes_;
  Commit commit_ = [this](const std::function<void(const boost::system::error_code&)>& done) {
    done(book_.commit());
  };
  bool is_flush_posted_ = false;
  std::vector<Pending> pending_;
  std::string store_problem_;
};

}  // namespace sixlink::registry
