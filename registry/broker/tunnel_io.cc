// SPDX-License-Identifier: BSD-3-Clause
// The registry's packets.
#include "registry/broker/tunnel_io.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/icmp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <chrono>
#include <set>

#include "src/net/ipv4.h"
#include "src/net/outer_address.h"

namespace sixlink::registry {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;
using datapath::Drop;
using datapath::Encapsulation;

// Bursts of many clients, and of negotiations among them.
constexpr int kSocketRoom = 8 << 20;

LeaseMode mode_of(Encapsulation encapsulation) {
  switch (encapsulation) {
    case Encapsulation::kUdp:
      return LeaseMode::kV6UdpV4;
    case Encapsulation::kIpv6InIpv4:
      return LeaseMode::kV6V4;
    case Encapsulation::kIpv4InIpv6:
      return LeaseMode::kV4V6;
  }
  return LeaseMode::kV6UdpV4;
}

// Types 1 to 4 and three zeros (WireGuard's whitepaper, section 5.4).
bool is_wireguard(std::span<const std::uint8_t> datagram) {
  return datagram.size() >= 4 && datagram[0] >= 1 && datagram[0] <= 4 && datagram[1] == 0 &&
         datagram[2] == 0 && datagram[3] == 0;
}

boost::system::error_code system_error(int number) {
  return {number, boost::system::system_category()};
}

// A clock without a system call; asked once for many packets.
WallSeconds wall_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// -1: error is set.
int open_socket(const udp::endpoint& local, bool is_shared, boost::system::error_code& error) {
  asio::io_context unused;
  udp::socket socket(unused);
  socket.open(local.protocol(), error);
  if (!error && local.address().is_v6()) socket.set_option(asio::ip::v6_only(true), error);
  const int on = 1;
  if (!error && is_shared &&
      ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
    error = system_error(errno);
  if (!error) socket.bind(local, error);
  if (!error) socket.non_blocking(true, error);
  if (!error) error = platform::enable_packet_info(socket.native_handle(), local.address().is_v6());
  if (error) return -1;
  boost::system::error_code ignored;
  socket.set_option(asio::socket_base::receive_buffer_size(kSocketRoom), ignored);
  socket.set_option(asio::socket_base::send_buffer_size(kSocketRoom), ignored);
  return socket.release();
}

}  // namespace

TunnelIo::TunnelIo(const asio::any_io_executor& executor, spdlog::logger& log, TunnelServer& tunnels,
                   const datapath::LaneOptions& options, Hooks hooks)
    : executor_(executor),
      log_(log),
      tunnels_(tunnels),
      options_(options),
      hooks_(std::move(hooks)),
      // Thousands of negotiations may begin while one is answered.
      mailbox_(8192, 4 << 20),
      mail_(executor, mailbox_.fd()) {
  tunnels_.set_exclusively(
      [this](const std::function<void()>& change) { lanes_ ? lanes_->exclusively(change) : change(); });
}

TunnelIo::~TunnelIo() {
  *is_alive_ = false;
  if (lanes_) lanes_->stop();
  mail_.release();
  tunnels_.set_exclusively({});
  for (const auto& place : places_) {
    for (const int socket : place.sockets) ::close(socket);
  }
  if (icmp_ >= 0) ::close(icmp_);
}

bool TunnelIo::open_udp(const ListenAddress& address) {
  const udp::endpoint local(address.address, address.port);
  const auto text = net::endpoint_text(address.address, address.port);
  const auto count = datapath::lane_count(options_);
  boost::system::error_code error;
  Place place{Encapsulation::kUdp, address.address, address.port, {}};
  if (count > 1) {
    // Sockets that share their port would share it with another registry's, too.
    const int alone = open_socket(local, false, error);
    if (alone >= 0) ::close(alone);
  }
  for (std::size_t i = 0; !error && i < count; ++i) {
    const int socket = open_socket(local, count > 1, error);
    if (socket >= 0) place.sockets.push_back(socket);
  }
  if (!error) {
    log_.debug("listening on UDP {}", text);
    places_.insert(places_.begin() + static_cast<std::ptrdiff_t>(udp_places_++), std::move(place));
    return true;
  }
  for (const int socket : place.sockets) ::close(socket);
  if (error == asio::error::address_family_not_supported) {
    log_.warn("this system has no {}; not listening on {}", address.address.is_v6() ? "IPv6" : "IPv4", text);
    return true;
  }
  log_.critical("cannot listen on UDP {}: {}", text, error.message());
  return false;
}

bool TunnelIo::open_raw(platform::RawTunnel kind, const std::vector<ListenAddress>& listen) {
  const bool is_v6 = kind == platform::RawTunnel::kIpv4InIpv6;
  const char* mode = is_v6 ? "v4v6" : "v6v4";
  std::set<asio::ip::address> addresses;
  for (const auto& one : listen) {
    if (one.address.is_v6() == is_v6) addresses.insert(one.address);
  }
  // Every raw socket gets every packet: beside one for all addresses, another would receive it again.
  const asio::ip::address all = is_v6 ? asio::ip::address(asio::ip::address_v6()) : asio::ip::address_v4();
  if (addresses.contains(all)) addresses = {all};
  bool is_any = false;
  for (const auto& address : addresses) {
    const auto socket = platform::open_raw_tunnel(kind, address, all);
    if (!socket) {
      log_.warn("cannot open a raw socket for {} on {} ({}); such tunnels are not granted there", mode,
                address.to_string(), socket.error().message());
      continue;
    }
    places_.push_back(
        {is_v6 ? Encapsulation::kIpv4InIpv6 : Encapsulation::kIpv6InIpv4, address, 0, {*socket}});
    is_any = true;
    if (const auto watch = platform::watch_path_mtu(kind, address))
      path_watches_.emplace_back(executor_, *watch);
    else if (watch.error() != boost::system::errc::operation_not_supported)
      log_.warn("large packets to {} tunnels may be lost on paths with a small MTU: {}", mode,
                watch.error().message());
  }
  return is_any;
}

boost::system::result<std::string> TunnelIo::open_interface(const std::string& name) {
  auto queues = platform::open_tun_queues(name, datapath::lane_count(options_), options_.offloads);
  if (!queues) return queues.error();
  queues_ = *std::move(queues);
  return queues_.front()->name();
}

bool TunnelIo::open_icmp(const asio::ip::address_v4& source) {
  asio::io_context unused;
  asio::ip::icmp::socket socket(unused);
  boost::system::error_code error;
  const asio::ip::icmp::endpoint own(source, 0);
  socket.open(own.protocol(), error);
  if (!error) socket.bind(own, error);
  if (!error) socket.non_blocking(true, error);
  // It only sends. What arrives waits unread, and the kernel answers it.
  if (!error) socket.set_option(asio::socket_base::receive_buffer_size(1), error);
  if (error) {
    log_.critical("cannot send ICMP from {}: {}", source.to_string(), error.message());
    return false;
  }
  icmp_ = socket.release();
  return true;
}

void TunnelIo::take_wireguard(std::uint16_t port) {
  takes_wireguard_ = true;
  wireguard_port_ = port;
}

void TunnelIo::update_session(std::int64_t lease, const wireguard::Device& device, wireguard::PeerId peer) {
  const auto change = [&] { tunnels_.update_session(lease, device, peer); };
  lanes_ ? lanes_->exclusively_with_keys(change) : change();
}

void TunnelIo::start(std::size_t mtu) {
  std::vector<std::vector<datapath::Lanes::Socket>> groups(datapath::lane_count(options_));
  for (const auto& place : places_) {
    for (std::size_t lane = 0; lane < place.sockets.size(); ++lane)
      groups[lane].push_back({place.sockets[lane], place.encapsulation, false});
  }
  lanes_ = std::make_unique<datapath::Lanes>(std::move(queues_), groups,
                                             datapath::Lanes::Settings{options_.offloads, mtu},
                                             static_cast<LanePolicy&>(*this), mailbox_);
  wait_for_mail();
}

// ---- For lanes

// Group 0 has a socket of each place, the others of UDP's.
const TunnelIo::Place& TunnelIo::place_of(std::size_t socket) const {
  return socket < places_.size() ? places_[socket] : places_[(socket - places_.size()) % udp_places_];
}

const TunnelIo::Place* TunnelIo::place_for(const Tunnel& tunnel) const {
  const Place* fitting = nullptr;
  const auto& local = tunnels_.local_of(tunnel);
  for (const auto& place : places_) {
    if (mode_of(place.encapsulation) != tunnel.outer.mode ||
        place.bound.is_v6() != tunnel.outer.address.is_v6())
      continue;
    // The one that the client speaks to; before it spoke, any.
    if (place.bound == local) return &place;
    if (!fitting || place.bound.is_unspecified()) fitting = &place;
  }
  return fitting;
}

const TunnelIo::Place* TunnelIo::udp_place(std::uint16_t port, const asio::ip::address& peer,
                                           const asio::ip::address& local) const {
  const Place* fitting = nullptr;
  for (std::size_t i = 0; i < udp_places_; ++i) {
    const auto& place = places_[i];
    if (place.bound.is_v6() != peer.is_v6() || (port != 0 && place.port != port)) continue;
    if (place.bound == local) return &place;
    if (!fitting || place.bound.is_unspecified()) fitting = &place;
  }
  return fitting;
}

datapath::LanePeer* TunnelIo::find_sender(std::size_t socket, const platform::Route& route) {
  const auto encapsulation = place_of(socket).encapsulation;
  const auto port = encapsulation == Encapsulation::kUdp ? route.peer.port() : std::uint16_t{0};
  return tunnels_.find_sender({mode_of(encapsulation), net::unmapped(route.peer.address()), port},
                              route.local, wall_now());
}

TunnelIo::Arrival TunnelIo::arrive(datapath::LanePeer& sender, std::span<const std::uint8_t> packet) {
  auto& tunnel = static_cast<Tunnel&>(sender);
  if (tunnel.wireguard) tunnel.last_seen.store(wall_now(), std::memory_order_relaxed);
  auto verdict = tunnels_.from_client(tunnel, packet);
  Arrival arrival;
  arrival.drop = verdict.drop;
  if (verdict.error) arrival.error = verdict.error;
  arrival.mtu = tunnels_.mtu_of(tunnel);
  return arrival;
}

const datapath::WireguardSessions* TunnelIo::sessions() const {
  return takes_wireguard_ ? &tunnels_.sessions() : nullptr;
}

bool TunnelIo::is_control(std::span<const std::uint8_t> datagram) const {
  if (datagram.empty()) return false;
  return datagram[0] >> 4 == 0xF || (takes_wireguard_ && is_wireguard(datagram));
}

TunnelIo::Departure TunnelIo::depart(std::span<const std::uint8_t> frame, std::size_t largest) {
  auto verdict = tunnels_.from_inside(frame, largest);
  Departure departure;
  departure.drop = verdict.drop;
  if (verdict.error) departure.error = verdict.error;
  if (verdict.drop) return departure;
  const auto& tunnel = *verdict.tunnel;
  departure.mtu = tunnels_.mtu_of(tunnel);
  const auto* place = &places_.front();
  if (tunnel.wireguard) {
    departure.wireguard = tunnel.wireguard.get();
    // Without a session the control thread sends it, or knows that nobody can.
    const auto& endpoint = tunnel.wireguard->endpoint;
    if (!endpoint.is_known()) return departure;
    departure.route.peer = endpoint.remote;
    departure.route.local = endpoint.local;
    place = udp_place(wireguard_port_, endpoint.remote.address(), endpoint.local);
  } else {
    departure.route.peer = udp::endpoint(tunnel.outer.address, tunnel.outer.port);
    departure.route.local = tunnels_.local_of(tunnel);
    place = place_for(tunnel);
  }
  if (!place) {
    departure.drop = Drop::kNotConnected;
    return departure;
  }
  departure.socket = static_cast<std::size_t>(place - places_.data());
  return departure;
}

// ---- The control thread's

void TunnelIo::send(std::size_t socket, const platform::Route& route,
                    std::span<const std::uint8_t> datagram) {
  const auto result = lanes_->send(socket, route, datagram);
  if (result.failed > 0) own_counters_.drop(Drop::kSendFailed);
}

bool TunnelIo::send_from(std::uint16_t port, const platform::Route& route,
                         std::span<const std::uint8_t> datagram) {
  const auto* place = udp_place(port, route.peer.address(), route.local);
  if (!place) return false;
  send(static_cast<std::size_t>(place - places_.data()), route, datagram);
  return true;
}

void TunnelIo::write(std::span<const std::uint8_t> packet) {
  if (lanes_->write(packet) != 0) own_counters_.drop(Drop::kSendFailed);
}

datapath::Counters TunnelIo::counters() const {
  auto counters = own_counters_;
  if (lanes_) lanes_->add_to(counters);
  return counters;
}

void TunnelIo::wait_for_mail() {
  mail_.async_wait(asio::posix::stream_descriptor::wait_read,
                   [this, alive = is_alive_](const boost::system::error_code& error) {
                     if (!*alive || error == asio::error::operation_aborted) return;
                     read_mail();
                     if (*alive) wait_for_mail();
                   });
}

void TunnelIo::read_mail() {
  const auto errors = mailbox_.drain([this](const datapath::LaneMessage& message) {
    switch (message.kind) {
      case datapath::LaneMessage::Kind::kDatagram:
        hooks_.on_control(message.socket, message.route, message.bytes, message.is_truncated);
        break;
      case datapath::LaneMessage::Kind::kDeparture:
        hooks_.on_wireguard_departure(message.tag, message.bytes);
        break;
      case datapath::LaneMessage::Kind::kWake:
        hooks_.on_wireguard_wake(message.tag);
        break;
      case datapath::LaneMessage::Kind::kRoamed:
        hooks_.on_wireguard_roamed(message.tag, {message.route.peer, message.route.local});
        break;
      case datapath::LaneMessage::Kind::kError:
        send_error(message);
        break;
      case datapath::LaneMessage::Kind::kPacket:  // nothing is watched
        break;
    }
  });
  // What one client's network says of it is nothing to tell; the drop was counted.
  if (errors.receive != 0) hooks_.on_socket_error(system_error(errors.receive));
  if (errors.interface != 0) hooks_.on_interface_error(system_error(errors.interface));
}

void TunnelIo::send_error(const datapath::LaneMessage& message) {
  if (!message.is_from_inside) {
    send(message.socket, message.route, message.bytes);
    return;
  }
  if (message.bytes[0] >> 4 != 4) {
    write(message.bytes);
    return;
  }
  // Kernels refuse IPv4 packets from an interface that have their own address for a source.
  const auto header = net::Ipv4Header::parse(message.bytes);
  const auto icmp = message.bytes.subspan(header->header_length);
  const asio::ip::icmp::endpoint to(header->destination, 0);
  if (icmp_ < 0 ||
      ::sendto(icmp_, icmp.data(), icmp.size(), 0, to.data(), static_cast<socklen_t>(to.size())) < 0)
    own_counters_.drop(Drop::kSendFailed);
}

}  // namespace sixlink::registry
