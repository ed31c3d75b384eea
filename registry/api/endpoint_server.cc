// SPDX-License-Identifier: BSD-3-Clause
#include "registry/api/endpoint_server.h"

#include <boost/asio/error.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <chrono>
#include <optional>
#include <vector>

#include "platform/packet_io.h"
#include "platform/platform.h"
#include "src/mesh/rate_limit.h"
#include "src/mesh/seen_endpoint.h"
#include "src/net/outer_address.h"

namespace sixlink::registry {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;
using boost::system::error_code;

constexpr std::size_t kBatch = 64;
// Longer ones are none of ours, and are seen to be cut off.
constexpr std::size_t kBuffer = 256;
// Batches of one wake-up: HTTPS is served by the same thread.
constexpr int kBatches = 4;

}  // namespace

class EndpointServer::Impl {
 public:
  Impl(asio::io_context& io, spdlog::logger& log) : io_(io), log_(log) {}

  std::string listen(const udp::endpoint& local) {
    auto made = std::make_unique<Socket>(io_);
    auto& socket = made->socket;
    error_code error;
    socket.open(local.protocol(), error);
    // As HttpsServer: a machine without IPv6 serves IPv4.
    if (error == asio::error::address_family_not_supported) return {};
    if (!error && local.address().is_v6()) socket.set_option(asio::ip::v6_only(true), error);
    if (!error) socket.non_blocking(true, error);
    // The answer comes from the address that was asked: others do not get through the asker's NAT.
    if (!error) error = platform::enable_packet_info(socket.native_handle(), local.address().is_v6());
    if (!error) socket.bind(local, error);
    if (error) {
      return "cannot tell nodes by UDP where they are seen, on " +
             net::endpoint_text(local.address(), local.port()) + ": " + error.message() +
             "; nodes behind NATs that change ports find each other through other nodes only, until nothing "
             "else has that UDP port, or https_listen= names another one";
    }
    made->datagrams.emplace(socket.native_handle(), platform::DatagramSocket::Kind::kUdp, false,
                            platform::Offloads::none());
    sockets_.push_back(std::move(made));
    wait(*sockets_.back());
    return {};
  }

 private:
  struct Socket {
    explicit Socket(asio::io_context& io) : socket(io) {}
    udp::socket socket;
    std::optional<platform::DatagramSocket> datagrams;
  };

  void wait(Socket& socket) {
    socket.socket.async_wait(udp::socket::wait_read, [this, &socket](const error_code& error) {
      if (error == asio::error::operation_aborted) return;
      read(socket);
      wait(socket);
    });
  }

  void read(Socket& socket) {
    for (int i = 0; i < kBatches; ++i) {
      // An error is of an earlier answer that nobody took.
      if (socket.datagrams->receive(received_) || received_.size() == 0) return;
      const auto now = std::chrono::steady_clock::now();
      answers_.clear();
      answers_.reserve(received_.size());
      answering_.clear();
      for (const auto& entry : received_.entries()) {
        if (entry.is_truncated) continue;
        auto answer = mesh::answer_endpoint_request({entry.data, entry.size}, entry.route.peer);
        // What is no question takes nobody's place.
        if (answer.empty() || !limit_.take(entry.route.peer.address(), now, random_)) continue;
        answers_.push_back(std::move(answer));
        auto route = entry.route;
        route.traffic_class = 0;
        if (!answering_.add(route, answers_.back())) break;
      }
      if (answering_.is_empty()) continue;
      const auto result = socket.datagrams->send(answering_);
      if (result.error) log_.debug("an answer by UDP was not sent: {}", result.error.message());
    }
  }

  asio::io_context& io_;
  spdlog::logger& log_;
  std::vector<std::unique_ptr<Socket>> sockets_;
  platform::ReceiveBatch received_{kBatch, kBuffer};
  platform::SendBatch answering_{kBatch};
  std::vector<std::vector<std::uint8_t>> answers_;
  mesh::RateLimit limit_{{kEachPerSecond, kEachBurst}, {kAllPerSecond, kAllPerSecond}};
  mesh::SeededRandom random_{platform::random_number()};
};

EndpointServer::EndpointServer(asio::io_context& io, spdlog::logger& log)
    : impl_(std::make_unique<Impl>(io, log)) {}

EndpointServer::~EndpointServer() = default;

std::string EndpointServer::listen(const udp::endpoint& local) {
  return impl_->listen(local);
}

}  // namespace sixlink::registry
