// SPDX-License-Identifier: BSD-3-Clause
// A client's end of a WireGuard tunnel, or one end of a link of the mesh.
#include "src/datapath/wireguard_tunnel.h"

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/error.hpp>
#include <stdexcept>
#include <utility>

#include "platform/platform.h"
#include "src/net/icmp.h"
#include "src/net/ipv4.h"

namespace sixlink::datapath {
namespace {

using wireguard::Clock;

boost::system::error_code system_error(int number) {
  return {number, boost::system::system_category()};
}

bool is_full(const boost::system::error_code& error) {
  return error == boost::asio::error::would_block || error == boost::asio::error::no_buffer_space;
}

// What waits for the control thread on a small tunnel is handshakes and control messages.
constexpr std::size_t kFewMessages = 128;
constexpr std::size_t kFewBytes = 256 * 1024;

bool is_rudp(std::span<const std::uint8_t> datagram) {
  return !datagram.empty() && datagram[0] >> 4 == 0xF;
}

bool is_foreign(wireguard::Outcome outcome) {
  return outcome == wireguard::Outcome::kUnknownPeer || outcome == wireguard::Outcome::kUnknownIndex;
}

bool is_icmp(const net::IpHeader& header) {
  return header.next_header == (header.is_v6() ? net::kNextHeaderIcmpv6 : net::kProtocolIcmp);
}

wireguard::Settings device_settings(int mtu) {
  wireguard::Settings settings;
  settings.most_peers = 1;
  settings.mtu = static_cast<std::size_t>(mtu);
  return settings;
}

}  // namespace

// One peer and one socket. What is not encrypted belongs to nobody.
class WireguardTunnel::Policy final : public LanePolicy {
 public:
  Policy(const Settings& settings, const wireguard::Device& device)
      : filter_(settings.filter),
        allowed_(device.allowed_ips()),
        watched_(settings.watched),
        mtu_(static_cast<std::size_t>(settings.mtu)) {
    peer_.owner = &broker_;
  }

  // While no lane looks.
  void set_mtu(std::size_t mtu) { mtu_ = mtu; }
  void set_filter(const MeshFilter& filter) { filter_ = filter; }
  const MeshFilter* mesh_filter() const { return std::get_if<MeshFilter>(&filter_); }
  void update(const wireguard::Device& device, wireguard::PeerId id) { sessions_.update(peer_, device, id); }

  LanePeer* find_sender(std::size_t, const platform::Route&) override { return nullptr; }
  const WireguardSessions* sessions() const override { return &sessions_; }
  // Handshakes; and late copies of replies to the negotiation, which the control thread counts.
  bool is_control(std::span<const std::uint8_t>) const override { return true; }

  Arrival arrive(LanePeer&, std::span<const std::uint8_t> packet) override {
    Arrival arrival;
    arrival.mtu = mtu_;
    if (const auto* mesh = std::get_if<MeshFilter>(&filter_)) {
      const auto verdict = mesh->check_incoming(packet);
      arrival.drop = verdict.drop;
      arrival.is_taken = verdict.is_control;
      arrival.is_alone = verdict.is_alone;
      return arrival;
    }
    std::optional<net::IpHeader> header;
    arrival.drop = std::get<InnerFilter>(filter_).check_incoming(packet, header);
    if (!arrival.drop && !allowed_.find_source(packet)) arrival.drop = Drop::kForeignSource;
    arrival.is_watched = !arrival.drop && is_icmp(*header) && header->source == watched_;
    return arrival;
  }

  Departure depart(std::span<const std::uint8_t> frame, std::size_t largest) override {
    Departure departure;
    departure.mtu = mtu_;
    departure.wireguard = &peer_;
    if (largest > mtu_) {
      departure.drop = Drop::kTooBig;
      return departure;
    }
    if (const auto* mesh = std::get_if<MeshFilter>(&filter_)) {
      const auto verdict = mesh->check_outgoing(frame);
      departure.drop = verdict.drop;
      departure.is_alone = verdict.is_alone;
      return departure;
    }
    departure.drop = std::get<InnerFilter>(filter_).check_outgoing(frame);
    if (!departure.drop && !allowed_.find_destination(frame)) departure.drop = Drop::kNoTunnel;
    return departure;
  }

 private:
  struct Broker : LanePeer {};

  Broker broker_;
  std::variant<InnerFilter, MeshFilter> filter_;
  const wireguard::AllowedIps& allowed_;  // changed by nobody after the start
  boost::asio::ip::address watched_;
  std::size_t mtu_;
  WireguardPeer peer_;
  WireguardSessions sessions_;
};

WireguardTunnel::WireguardTunnel(const boost::asio::any_io_executor& executor,
                                 std::vector<std::unique_ptr<platform::TunQueue>> queues, int socket,
                                 Settings settings, Events events)
    : timer_(executor),
      socket_(socket),
      server_(settings.server),
      offloads_(settings.offloads),
      room_(settings.room),
      events_(std::move(events)),
      device_(std::move(settings.private_key), device_settings(settings.mtu)),
      mailbox_(room_ == LaneRoom::kSmall ? kFewMessages : LaneMailbox::kMostMessages,
               room_ == LaneRoom::kSmall ? kFewBytes : LaneMailbox::kMostBytes),
      mail_(executor) {
  wireguard::PeerConfig peer;
  peer.public_key = settings.server_key;
  peer.endpoint = server_;
  peer.allowed_ips = std::move(settings.allowed);
  const auto added = device_.add_peer(std::move(peer), Clock::now(), actions_);
  if (!added) {
    ::close(socket_);
    throw std::runtime_error(std::string("the other end's WireGuard key cannot be used: ") +
                             wireguard::explain(added.error()));
  }
  peer_ = *added;
  policy_ = std::make_unique<Policy>(settings, device_);
  policy_->update(device_, peer_);
  start_lanes(std::move(queues));
  mail_.assign(mailbox_.fd());
  wait_for_mail();
  if (settings.begins_handshake) device_.connect(peer_, Clock::now(), actions_);
  carry_out();
}

WireguardTunnel::~WireguardTunnel() {
  *is_alive_ = false;
  lanes_->stop();
  if (mail_.is_open()) mail_.release();
  ::close(socket_);
}

void WireguardTunnel::start_lanes(std::vector<std::unique_ptr<platform::TunQueue>> queues) {
  prepare_tunnel_socket(socket_);
  lanes_ = std::make_unique<Lanes>(
      std::move(queues), std::vector<std::vector<Lanes::Socket>>{{{socket_, Encapsulation::kUdp, true}}},
      Lanes::Settings{offloads_, 0, room_}, *policy_, mailbox_);
}

wireguard::PeerStatus WireguardTunnel::status() const {
  return device_.status(peer_, Clock::now()).value_or(wireguard::PeerStatus());
}

Counters WireguardTunnel::counters() const {
  auto counters = own_counters_;
  lanes_->add_to(counters);
  return counters;
}

void WireguardTunnel::set_mtu(int mtu) {
  lanes_->exclusively([&] { policy_->set_mtu(static_cast<std::size_t>(mtu)); });
}

void WireguardTunnel::set_filter(const MeshFilter& filter) {
  lanes_->exclusively([&] { policy_->set_filter(filter); });
}

boost::asio::ip::address WireguardTunnel::local_address() const {
  boost::asio::ip::udp::endpoint local;
  auto size = static_cast<socklen_t>(local.capacity());
  if (::getsockname(socket_, local.data(), &size) != 0) return {};
  local.resize(size);
  return local.address();
}

WireguardTunnel::Traffic WireguardTunnel::traffic() const {
  const auto activity = device_.activity(peer_);
  if (!activity) return {};
  return {activity->packets_received(), counters().packets_out, activity->bytes_received(),
          activity->bytes_sent()};
}

void WireguardTunnel::swap_socket(int socket) {
  lanes_->stop();
  lanes_->add_to(own_counters_);
  auto queues = lanes_->take_queues();
  lanes_.reset();
  ::close(std::exchange(socket_, socket));
  start_lanes(std::move(queues));
}

// It was heard from another address.
void WireguardTunnel::follow_peer() {
  const auto endpoint = device_.endpoint(peer_);
  if (!events_.open_socket || !endpoint || !endpoint->is_known() || endpoint->remote == server_) return;
  const int socket = events_.open_socket(endpoint->remote);
  if (socket < 0) return;
  server_ = endpoint->remote;
  swap_socket(socket);
}

void WireguardTunnel::replace_socket(int socket) {
  swap_socket(socket);
  // What is sent next tells the server; without a session that is a handshake.
  device_.send_to(peer_, {}, Clock::now(), actions_);
  carry_out();
}

void WireguardTunnel::wait_for_mail() {
  mail_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                   [this, alive = is_alive_](const boost::system::error_code& error) {
                     if (!*alive || error == boost::asio::error::operation_aborted) return;
                     read_mail();
                     if (*alive) wait_for_mail();
                   });
}

void WireguardTunnel::wait_for_time() {
  const auto deadline = device_.deadline();
  if (deadline == timer_.expiry()) return;
  timer_.expires_at(deadline);
  timer_.async_wait([this, alive = is_alive_](const boost::system::error_code& error) {
    if (error || !*alive) return;
    device_.tick(Clock::now(), actions_);
    // The same deadline may come again, and nobody waits for this one any more.
    timer_.expires_at(Clock::time_point::min());
    carry_out();
  });
}

void WireguardTunnel::read_mail() {
  const auto alive = is_alive_;
  const auto errors = mailbox_.drain([&](const LaneMessage& message) {
    if (*alive) take(message);
  });
  if (!*alive) return;
  carry_out();
  for (const int number : {errors.receive, errors.send}) {
    if (*alive && number != 0) events_.on_socket_error(system_error(number));
  }
  if (*alive && errors.interface != 0) events_.on_interface_error(system_error(errors.interface));
}

void WireguardTunnel::take(const LaneMessage& message) {
  using wireguard::Outcome;
  const auto now = Clock::now();
  switch (message.kind) {
    case LaneMessage::Kind::kDatagram: {
      if (events_.on_stray && is_rudp(message.bytes) && !message.is_truncated) {
        events_.on_stray(message.bytes, message.route.peer);
        return;
      }
      if (is_rudp(message.bytes) || message.is_truncated) {
        own_counters_.drop(Drop::kControl);
        return;
      }
      const auto outcome = device_.input(message.bytes, {server_, {}}, now, actions_);
      if (is_foreign(outcome) && events_.on_stray) {
        events_.on_stray(message.bytes, message.route.peer);
        return;
      }
      if (outcome == Outcome::kMalformed) own_counters_.drop(Drop::kMalformed);
      if (outcome == Outcome::kForged) own_counters_.drop(Drop::kForged);
      return;
    }
    case LaneMessage::Kind::kDeparture:
      send_own(message.bytes);
      return;
    case LaneMessage::Kind::kPacket:
      events_.on_packet(message.bytes);
      return;
    case LaneMessage::Kind::kWake:
      device_.wake(peer_, now, actions_);
      return;
    case LaneMessage::Kind::kRoamed:  // the socket is connected
    case LaneMessage::Kind::kError:   // none is made
      return;
  }
}

// There was no session: it waits for one, and is counted as sent.
void WireguardTunnel::send_own(std::span<const std::uint8_t> packet) {
  using wireguard::Outcome;
  const auto outcome = device_.send_to(peer_, packet, Clock::now(), actions_);
  if (outcome != Outcome::kSent && outcome != Outcome::kStaged) {
    own_counters_.drop(Drop::kNotConnected);
    return;
  }
  ++own_counters_.packets_out;
  own_counters_.bytes_out += packet.size();
}

void WireguardTunnel::send(std::span<const std::uint8_t> packet, bool may_fragment) {
  device_.send_to(peer_, packet, Clock::now(), actions_);
  carry_out(may_fragment);
}

void WireguardTunnel::carry_out(bool may_fragment) {
  wireguard::Actions actions;
  std::swap(actions, actions_);
  bool is_changed = false;
  bool is_reachable = false;
  bool is_unreachable = false;
  for (const auto& change : actions.changes) {
    is_changed = is_changed || change.keys || change.endpoint;
    is_reachable = is_reachable || change.is_reachable;
    is_unreachable = is_unreachable || change.is_unreachable;
  }
  // Before sending, so that what is answered finds its keys, and the peer is found where it is.
  if (is_changed) {
    lanes_->exclusively_with_keys([&] { policy_->update(device_, peer_); });
    follow_peer();
  }
  if (!may_fragment) lanes_->pause_sending();
  boost::system::error_code problem;
  for (const auto& datagram : actions.datagrams) {
    const auto error = may_fragment ? platform::send_one(socket_, datagram.bytes)
                                    : platform::send_unfragmented(socket_, datagram.bytes);
    // A packet that does not fit is an answer to the question, no trouble.
    if (!error || error == boost::asio::error::message_size) continue;
    own_counters_.drop(Drop::kSendFailed);
    if (!is_full(error)) problem = error;
  }
  if (!may_fragment) lanes_->resume_sending();
  // Of input() alone: other data messages are the lanes'.
  for (const auto& packet : actions.packets) deliver(packet.bytes);
  actions.clear();
  if (actions_.empty()) std::swap(actions, actions_);  // for its storage
  wait_for_time();
  const auto alive = is_alive_;
  if (is_reachable) events_.on_handshake();
  if (*alive && is_unreachable) events_.on_unreachable();
  if (*alive && problem) events_.on_socket_error(problem);
}

void WireguardTunnel::send_beside(std::span<const std::uint8_t> datagram) {
  if (platform::send_one(socket_, datagram)) own_counters_.drop(Drop::kSendFailed);
}

bool WireguardTunnel::input(std::span<std::uint8_t> datagram, const boost::asio::ip::udp::endpoint& from) {
  using wireguard::Outcome;
  switch (device_.input(datagram, {from, {}}, Clock::now(), actions_)) {
    case Outcome::kHandshakeAnswered:
    case Outcome::kSessionMade:
    case Outcome::kCookieTaken:
    case Outcome::kData:
    case Outcome::kKeepalive:
      break;
    default:
      return false;
  }
  carry_out();
  return true;
}

void WireguardTunnel::deliver(std::span<const std::uint8_t> packet) {
  const auto* filter = policy_->mesh_filter();
  if (!filter) return;
  const auto verdict = filter->check_incoming(packet);
  if (verdict.drop) {
    own_counters_.drop(*verdict.drop);
  } else if (verdict.is_control) {
    events_.on_packet(packet);
  } else if (lanes_->write(packet) == 0) {
    ++own_counters_.packets_in;
    own_counters_.bytes_in += packet.size();
  }
}

void WireguardTunnel::receive(std::span<const std::uint8_t> packet) {
  // One that the interface does not take is as one that was lost on the way.
  (void)lanes_->write(packet);
}

}  // namespace sixlink::datapath
