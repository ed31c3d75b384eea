// SPDX-License-Identifier: BSD-3-Clause
// The addresses of client_only=.
#include "src/client/mesh_servers.h"

#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <utility>

#include "src/net/resolve.h"

namespace sixlink::client {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds kLimit = 10s;
// Also how long a server that has got another address is not found, besides what DNS remembers.
constexpr std::chrono::seconds kPause = 30s;
constexpr std::chrono::seconds kPauseAfterFailure = 10s;

}  // namespace

std::vector<mesh::Endpoint> usable_servers(const std::vector<boost::asio::ip::address>& addresses,
                                           std::uint16_t port, const MeshProtocols& protocols,
                                           const net::Prefix& network) {
  std::vector<mesh::Endpoint> servers;
  for (const auto& address : addresses) {
    if (servers.size() == MeshServers::kMost) break;
    const bool may_be_used = protocols.has(mesh::Transport::kUdp, address.is_v4()) ||
                             protocols.has(mesh::Transport::kTcp, address.is_v4());
    // No link leads through another one.
    const bool is_inside = address.is_v6() && network.contains(address.to_v6());
    if (may_be_used && !is_inside) servers.emplace_back(address, port);
  }
  return servers;
}

MeshServers::MeshServers(boost::asio::io_context& io, net::ServerAddress server, MeshProtocols protocols,
                         net::Prefix network, spdlog::logger& log, Events events)
    : io_(io),
      server_(std::move(server)),
      protocols_(protocols),
      network_(std::move(network)),
      log_(log),
      events_(std::move(events)),
      timer_(io) {
  look();
}

MeshServers::~MeshServers() {
  *life_ = false;
}

void MeshServers::look() {
  if (is_looking_) return;
  is_looking_ = true;
  timer_.cancel();
  boost::asio::co_spawn(
      io_, net::resolve(server_.host, kLimit),
      [this, life = life_](const std::exception_ptr& error,
                           const boost::system::result<std::vector<boost::asio::ip::address>>& found) {
        if (!*life) return;
        is_looking_ = false;
        if (error) {
          take(boost::system::errc::make_error_code(boost::system::errc::not_enough_memory));
        } else {
          take(found);
        }
      });
}

void MeshServers::look_after(std::chrono::seconds pause) {
  timer_.expires_after(pause);
  timer_.async_wait([this, life = life_](const boost::system::error_code& error) {
    if (error || !*life || is_looking_) return;
    if (events_.has_link()) return look_after(kPause);
    look();
  });
}

void MeshServers::take(const boost::system::result<std::vector<boost::asio::ip::address>>& found) {
  auto servers =
      found ? usable_servers(*found, server_.port, protocols_, network_) : std::vector<mesh::Endpoint>();
  look_after(servers.empty() ? kPauseAfterFailure : kPause);
  if (!servers.empty()) {
    problem_.clear();
    return events_.on_found(std::move(servers));
  }
  const auto problem = "cannot find client_only=" + server_.text + ": " +
                       (found ? "no address of a kind that disable_proto= and link_transport= leave"
                              : found.error().message());
  if (problem != problem_)
    log_.error("{}; check the name, and this machine's DNS; it is tried again every {} s", problem,
               kPauseAfterFailure.count());
  problem_ = problem;
  events_.on_problem(problem);
}

}  // namespace sixlink::client
