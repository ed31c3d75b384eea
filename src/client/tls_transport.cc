// SPDX-License-Identifier: BSD-3-Clause
// The thread of the TLS connections, and who may have one.
#include "src/client/tls_transport.h"
#include "platform/overlay.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

#include "src/client/tls_connection.h"
#include "src/log/log.h"
#include "src/net/outer_address.h"

namespace sixlink::client {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

// A handshake costs a signature: of all together so many a second. Two hundred take a hundredth of a
// processor.
constexpr unsigned kMostHandshakes = 200;
constexpr std::chrono::milliseconds kAcceptPause{200};

// A descriptor on its way to another thread, which may not take it any more.
class Handed {
 public:
  explicit Handed(int fd) : fd_(fd) {}
  Handed(const Handed&) = delete;
  Handed& operator=(const Handed&) = delete;
  ~Handed() {
    if (fd_ >= 0) ::close(fd_);
  }
  int take() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

tcp::acceptor listen_on(asio::io_context& io, std::uint16_t port) {
  const auto open = [&](const tcp& protocol) {
    tcp::acceptor acceptor(io, protocol);
    acceptor.set_option(tcp::acceptor::reuse_address(true));
    if (protocol == tcp::v6()) acceptor.set_option(asio::ip::v6_only(false));
    (void)platform::mark_outer(acceptor.native_handle());  // what it accepts has the mark, too
    acceptor.bind({protocol, port});
    acceptor.listen();
    return acceptor;
  };
  try {
    return open(tcp::v6());
  } catch (const boost::system::system_error& error) {
    if (error.code() != asio::error::address_family_not_supported) throw;
    return open(tcp::v4());  // a kernel without IPv6
  }
}

}  // namespace

class TlsTransport::Relay {
 public:
  Relay(asio::io_context& main, TlsSettings settings, spdlog::logger& log, OnPeer on_peer)
      : main_(main), settings_(std::move(settings)), log_(log), on_peer_(std::move(on_peer)) {
    shared_.handshake_limit = settings_.handshake_limit;
    shared_.idle_limit = settings_.idle_limit;
    for (const auto port : settings_.ports) listen(port);
    for (auto& listener : listeners_) accept(listener);
    thread_ = std::thread([this] { io_.run(); });
  }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay() {
    *is_alive_ = false;
    io_.stop();
    thread_.join();
    // In this order: their destructors use the loop.
    for (auto& [id, connection] : connections_) connection->close();
    connections_.clear();
  }

  void connect(const TcpEndpoint& peer, OnConnected on_connected);
  const std::vector<std::uint16_t>& ports() const { return ports_; }
  TlsCounters counters() const;

 private:
  using Id = std::uint64_t;
  struct Listener {
    tcp::acceptor acceptor;
    asio::steady_timer pause;
  };

  void listen(std::uint16_t port);
  void accept(Listener& listener);
  void take(tcp::socket socket);
  bool may_accept(const asio::ip::address& quota);
  void remove(Id id, const std::optional<asio::ip::address>& quota);
  // On the event loop, unless this is gone by then.
  template <typename Function>
  void tell(Function function) {
    asio::post(main_, [alive = is_alive_, function = std::move(function)]() mutable {
      if (*alive) function();
    });
  }

  asio::io_context& main_;
  TlsSettings settings_;
  spdlog::logger& log_;
  OnPeer on_peer_;
  std::vector<std::uint16_t> ports_;
  // The event loop's alone: it is set and read there.
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);

  // The rest is the relay's thread's, once that runs.
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  RelayShared shared_;
  std::vector<Listener> listeners_;
  std::map<Id, std::shared_ptr<TlsConnection>> connections_;
  std::map<asio::ip::address, std::size_t> accepted_;  // by quota address
  std::size_t accepted_count_ = 0;
  Id next_id_ = 1;
  log::RateLimit handshakes_{kMostHandshakes, std::chrono::seconds(1)};
  std::thread thread_;
};

void TlsTransport::Relay::listen(std::uint16_t port) {
  try {
    listeners_.push_back({listen_on(io_, port), asio::steady_timer(io_)});
    ports_.push_back(listeners_.back().acceptor.local_endpoint().port());
  } catch (const boost::system::system_error& error) {
    log_.warn(
        "cannot listen on TCP port {} for links in TLS: {}. Peers whose network blocks UDP cannot connect "
        "there; "
        "name a port that is free with link_tcp_port=",
        port, error.code().message());
  }
}

void TlsTransport::Relay::accept(Listener& listener) {
  // listeners_ does not change any more.
  listener.acceptor.async_accept(
      [this, &listener](const boost::system::error_code& error, tcp::socket socket) {
        if (!error) {
          take(std::move(socket));
          return accept(listener);
        }
        // Out of descriptors: a moment's pause, or the loop would spin.
        listener.pause.expires_after(kAcceptPause);
        listener.pause.async_wait([this, &listener](const boost::system::error_code& stopped) {
          if (!stopped) accept(listener);
        });
      });
}

bool TlsTransport::Relay::may_accept(const asio::ip::address& quota) {
  const auto held = accepted_.find(quota);
  return accepted_count_ < settings_.most_connections &&
         (held == accepted_.end() || held->second < settings_.most_per_address) &&
         handshakes_.allow(Clock::now());
}

void TlsTransport::Relay::take(tcp::socket socket) {
  boost::system::error_code gone;
  const auto remote = socket.remote_endpoint(gone);
  if (gone) return;
  const auto address = net::unmapped(remote.address());
  const auto quota = net::quota_address(address);
  if (!may_accept(quota)) {
    ++shared_.counters.refused;
    return;
  }
  ++shared_.counters.accepted;
  ++accepted_count_;
  ++accepted_[quota];
  const Id id = next_id_++;
  TlsConnection::Hooks hooks;
  hooks.on_open = [this, peer = TcpEndpoint(address, remote.port())](int fd) {
    tell([this, peer, handed = std::make_shared<Handed>(fd)] { on_peer_(handed->take(), peer); });
  };
  hooks.on_closed = [this, id, quota](const boost::system::error_code&) { remove(id, quota); };
  const auto connection = std::make_shared<TlsConnection>(shared_, io_, std::move(hooks));
  connections_.emplace(id, connection);
  ++shared_.counters.open;
  connection->accept(std::move(socket));
}

void TlsTransport::Relay::remove(Id id, const std::optional<asio::ip::address>& quota) {
  if (connections_.erase(id) == 0) return;
  --shared_.counters.open;
  if (!quota) return;
  --accepted_count_;
  const auto held = accepted_.find(*quota);
  if (--held->second == 0) accepted_.erase(held);
}

void TlsTransport::Relay::connect(const TcpEndpoint& peer, OnConnected on_connected) {
  asio::post(io_, [this, peer, on_connected = std::move(on_connected)]() mutable {
    const Id id = next_id_++;
    const auto done = std::make_shared<OnConnected>(std::move(on_connected));
    TlsConnection::Hooks hooks;
    hooks.on_open = [this, done](int fd) {
      tell([callback = std::exchange(*done, {}), handed = std::make_shared<Handed>(fd)] {
        callback(handed->take());
      });
    };
    hooks.on_closed = [this, done, id](const boost::system::error_code& why) {
      if (*done) tell([callback = std::exchange(*done, {}), why] { callback(why); });
      remove(id, std::nullopt);
    };
    const auto connection = std::make_shared<TlsConnection>(shared_, io_, std::move(hooks));
    connections_.emplace(id, connection);
    ++shared_.counters.open;
    connection->connect(peer);
  });
}

TlsCounters TlsTransport::Relay::counters() const {
  const auto& c = shared_.counters;
  return {c.accepted, c.refused, c.failed, c.datagrams_in, c.datagrams_out, c.dropped, c.open};
}

TlsTransport::TlsTransport(asio::io_context& io, TlsSettings settings, spdlog::logger& log, OnPeer on_peer)
    : relay_(std::make_unique<Relay>(io, std::move(settings), log, std::move(on_peer))) {}
TlsTransport::~TlsTransport() = default;

void TlsTransport::connect(const TcpEndpoint& peer, OnConnected on_connected) {
  relay_->connect(peer, std::move(on_connected));
}
const std::vector<std::uint16_t>& TlsTransport::listening_ports() const {
  return relay_->ports();
}
TlsCounters TlsTransport::counters() const {
  return relay_->counters();
}

}  // namespace sixlink::client
