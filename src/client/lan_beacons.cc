// SPDX-License-Identifier: BSD-3-Clause
// Beacons over sockets. Each interface has a socket of its own, bound to the group: what was sent to another
// address does not come in here.
#include "src/client/lan_beacons.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/ip/multicast.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <set>

#include "src/mesh/lan_beacon.h"

namespace sixlink::client {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;
using Clock = std::chrono::steady_clock;
using Scope = asio::ip::scope_id_type;

constexpr std::chrono::seconds kLookAgain{10};

boost::system::error_code last_error() {
  return {errno, boost::system::system_category()};
}

bool switch_on(udp::socket& socket, int level, int option) {
  const int on = 1;
  return ::setsockopt(socket.native_handle(), level, option, &on, sizeof on) == 0;
}

// What the hop limit was that it arrived with; -1: not told.
int hop_limit_of(msghdr& message) {
  int limit = -1;
  for (auto* control = CMSG_FIRSTHDR(&message); control; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_HOPLIMIT &&
        control->cmsg_len >= CMSG_LEN(sizeof limit)) {
      std::memcpy(&limit, CMSG_DATA(control), sizeof limit);
    }
  }
  return limit;
}

struct Received {
  std::size_t size = 0;
  udp::endpoint from;
};

// Without blocking. nullopt: nothing there (any more). A size of 0: not one of this segment.
std::optional<Received> receive(int fd, std::span<std::uint8_t> buffer) {
  iovec piece{buffer.data(), buffer.size()};
  alignas(cmsghdr) std::array<char, 256> controls;
  Received received;
  msghdr message{};
  message.msg_name = received.from.data();
  message.msg_namelen = static_cast<socklen_t>(received.from.capacity());
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = controls.data();
  message.msg_controllen = controls.size();
  const auto size = ::recvmsg(fd, &message, MSG_DONTWAIT);
  if (size < 0) return std::nullopt;
  if (message.msg_namelen > 0) received.from.resize(message.msg_namelen);
  const bool is_local = hop_limit_of(message) == mesh::kBeaconHopLimit;
  if (is_local && (message.msg_flags & MSG_TRUNC) == 0) received.size = static_cast<std::size_t>(size);
  return received;
}

}  // namespace

class LanBeacons::Machine {
 public:
  Machine(asio::io_context& io, LanBeaconSettings settings, spdlog::logger& log, OnHeard on_heard)
      : io_(io),
        settings_(std::move(settings)),
        log_(log),
        on_heard_(std::move(on_heard)),
        beacons_(settings_.seed),
        look_(io),
        deadline_(io) {
    look();
  }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine() { *is_alive_ = false; }

  void set_own(std::span<const std::uint8_t> der) {
    own_.assign(der.begin(), der.end());
    wait();
  }
  void look();

 private:
  template <typename Handler>
  auto if_alive(Handler handler) {
    return [alive = is_alive_, handler = std::move(handler)](const auto&... arguments) {
      if (*alive) handler(arguments...);
    };
  }

  boost::system::error_code open(const std::string& interface, Scope scope);
  void read(Scope scope);
  void wait();
  void send(Scope scope);

  asio::io_context& io_;
  LanBeaconSettings settings_;
  spdlog::logger& log_;
  OnHeard on_heard_;
  mesh::LanBeacon beacons_;
  std::vector<std::uint8_t> own_;
  std::map<Scope, udp::socket> sockets_;
  std::set<std::string> complained_;  // about these interfaces, since they last worked
  std::array<std::uint8_t, mesh::kLargestBeacon> buffer_{};
  asio::steady_timer look_;
  asio::steady_timer deadline_;
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
};

// ---- Interfaces ----

void LanBeacons::Machine::look() {
  std::vector<Scope> scopes;
  for (const auto& interface : settings_.interfaces) {
    const Scope scope = ::if_nametoindex(interface.c_str());
    boost::system::error_code error = asio::error::no_such_device;
    if (scope != 0) error = sockets_.contains(scope) ? boost::system::error_code() : open(interface, scope);
    if (!error) {
      scopes.push_back(scope);
      complained_.erase(interface);
    } else if (complained_.insert(interface).second) {
      log_.warn(
          "cannot look for nodes on the interface {}: {}. It is tried again every {} s; see lan_interface= "
          "in the "
          "configuration, and that IPv6 is on there",
          interface, scope == 0 ? "there is no such interface" : error.message(), kLookAgain.count());
    }
  }
  std::erase_if(sockets_, [&](const auto& entry) {
    return std::find(scopes.begin(), scopes.end(), entry.first) == scopes.end();
  });
  beacons_.set_scopes(scopes, Clock::now());
  wait();
  look_.expires_after(kLookAgain);
  look_.async_wait(if_alive([this](const boost::system::error_code& error) {
    if (!error) look();
  }));
}

boost::system::error_code LanBeacons::Machine::open(const std::string& interface, Scope scope) {
  auto group = asio::ip::make_address_v6(mesh::kBeaconGroup);
  group.scope_id(scope);
  udp::socket socket(io_);
  boost::system::error_code error;
  socket.open(udp::v6(), error);
  // The port is also that of links, which share it in the same way (mesh_sockets.cc).
  if (!error && !switch_on(socket, SOL_SOCKET, SO_REUSEPORT)) error = last_error();
  if (!error) socket.bind(udp::endpoint(group, mesh::kBeaconPort), error);
  if (!error) socket.set_option(asio::ip::multicast::join_group(group, scope), error);
  if (!error) socket.set_option(asio::ip::multicast::outbound_interface(scope), error);
  if (!error) socket.set_option(asio::ip::multicast::hops(mesh::kBeaconHopLimit), error);
  if (!error) socket.set_option(asio::ip::multicast::enable_loopback(false), error);
  if (!error && !switch_on(socket, IPPROTO_IPV6, IPV6_RECVHOPLIMIT)) error = last_error();
  if (!error) socket.non_blocking(true, error);
  if (error) return error;
  log_.info("looking for nodes on the interface {}", interface);
  sockets_.emplace(scope, std::move(socket));
  read(scope);
  return {};
}

// ---- Hearing ----

void LanBeacons::Machine::read(Scope scope) {
  sockets_.at(scope).async_wait(
      udp::socket::wait_read, if_alive([this, scope](const boost::system::error_code& error) {
        const auto socket = sockets_.find(scope);
        if (error || socket == sockets_.end()) return;
        // As many as may be of use at once: what is too much waits in the kernel, or is lost there.
        for (int i = 0; i < static_cast<int>(mesh::LanBeacon::kMostAtOnce); ++i) {
          const auto received = receive(socket->second.native_handle(), buffer_);
          if (!received) break;
          if (received->size == 0) continue;
          const auto heard =
              beacons_.hear(std::span(buffer_).first(received->size), received->from, own_, Clock::now());
          if (!heard) continue;
          on_heard_(heard->contact, heard->endpoint);
        }
        read(scope);
        wait();
      }));
}

// ---- Sending ----

void LanBeacons::Machine::wait() {
  const auto deadline = own_.empty() ? Clock::time_point::max() : beacons_.deadline();
  if (deadline == deadline_.expiry()) return;
  deadline_.expires_at(deadline);
  deadline_.async_wait(if_alive([this](const boost::system::error_code& error) {
    if (error) return;
    deadline_.expires_at(Clock::time_point::min());
    for (const auto scope : beacons_.due(Clock::now())) send(scope);
    wait();
  }));
}

void LanBeacons::Machine::send(Scope scope) {
  const auto socket = sockets_.find(scope);
  if (socket == sockets_.end()) return;
  auto group = asio::ip::make_address_v6(mesh::kBeaconGroup);
  group.scope_id(scope);
  boost::system::error_code error;
  socket->second.send_to(asio::buffer(mesh::to_bytes({settings_.link_port, own_})),
                         udp::endpoint(group, mesh::kBeaconPort), 0, error);
  // It is down, or has no address yet: the next beacon comes soon.
  if (error) log_.debug("no beacon on interface number {}: {}", scope, error.message());
  // Taken away and made again under the same number, say: the next look opens another.
  if (error == boost::system::errc::no_such_device || error == boost::system::errc::no_such_device_or_address)
    sockets_.erase(socket);
}

LanBeacons::LanBeacons(asio::io_context& io, LanBeaconSettings settings, spdlog::logger& log,
                       OnHeard on_heard)
    : machine_(std::make_unique<Machine>(io, std::move(settings), log, std::move(on_heard))) {}
LanBeacons::~LanBeacons() = default;

void LanBeacons::set_own(std::span<const std::uint8_t> der) {
  machine_->set_own(der);
}
void LanBeacons::on_network_change() {
  machine_->look();
}

}  // namespace sixlink::client
