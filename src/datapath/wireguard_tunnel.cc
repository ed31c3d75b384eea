// SPDX-License-Identifier: BSD-3-Clause
// A client's end of a WireGuard tunnel.
#include "src/datapath/wireguard_tunnel.h"

#include <unistd.h>

#include <array>
#include <boost/asio/error.hpp>
#include <stdexcept>
#include <utility>

#include "src/datapath/mss.h"

namespace sixlink::datapath {
namespace {

using wireguard::Clock;

// Full batches one after the other before the loop gets its turn again.
constexpr int kBatchesPerWakeup = 4;

boost::system::error_code system_error(int number) {
  return {number, boost::system::system_category()};
}

bool is_full(const boost::system::error_code& error) {
  return error == boost::asio::error::would_block || error == boost::asio::error::no_buffer_space;
}

wireguard::Settings device_settings(int mtu) {
  wireguard::Settings settings;
  settings.most_peers = 1;
  settings.mtu = static_cast<std::size_t>(mtu);
  return settings;
}

}  // namespace

WireguardTunnel::WireguardTunnel(const boost::asio::any_io_executor& executor,
                                 std::unique_ptr<platform::TunDevice> tun, int socket, Settings settings,
                                 Events events)
    : tun_(std::move(tun)),
      socket_(executor, socket),
      interface_(executor, tun_->fd()),
      timer_(executor),
      server_(settings.server),
      filter_(settings.filter),
      mtu_(static_cast<std::size_t>(settings.mtu)),
      events_(std::move(events)),
      device_(std::move(settings.private_key), device_settings(settings.mtu)) {
  boost::system::error_code ignored;
  socket_.non_blocking(true, ignored);
  wireguard::PeerConfig peer;
  peer.public_key = settings.server_key;
  peer.endpoint = server_;
  peer.allowed_ips = std::move(settings.allowed);
  const auto added = device_.add_peer(std::move(peer), Clock::now(), actions_);
  if (!added) {
    interface_.release();
    throw std::runtime_error(std::string("the broker's WireGuard key cannot be used: ") +
                             wireguard::explain(added.error()));
  }
  peer_ = *added;
  device_.connect(peer_, Clock::now(), actions_);
  carry_out();
  wait_for_socket();
  wait_for_interface();
}

WireguardTunnel::~WireguardTunnel() {
  *is_alive_ = false;
  if (interface_.is_open()) interface_.release();
}

wireguard::PeerStatus WireguardTunnel::status() const {
  return device_.status(peer_, Clock::now()).value_or(wireguard::PeerStatus());
}

void WireguardTunnel::replace_socket(int socket) {
  boost::system::error_code ignored;
  socket_.close(ignored);
  socket_.assign(socket, ignored);
  socket_.non_blocking(true, ignored);
  wait_for_socket();
  // What is sent next tells the server; without a session that is a handshake.
  device_.send_to(peer_, {}, Clock::now(), actions_);
  carry_out();
}

void WireguardTunnel::wait_for_socket() {
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [this, alive = is_alive_](const boost::system::error_code& error) {
                       if (!*alive || error == boost::asio::error::operation_aborted) return;
                       read_socket();
                       if (*alive) wait_for_socket();
                     });
}

void WireguardTunnel::wait_for_interface() {
  interface_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                        [this, alive = is_alive_](const boost::system::error_code& error) {
                          if (!*alive || error == boost::asio::error::operation_aborted) return;
                          if (read_interface() && *alive) wait_for_interface();
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

void WireguardTunnel::read_socket() {
  const auto alive = is_alive_;
  const wireguard::Endpoint from{server_, {}};
  for (int round = 0; round < kBatchesPerWakeup; ++round) {
    if (const auto error = platform::receive_batch(socket_.native_handle(), incoming_)) {
      events_.on_socket_error(error);
      return;
    }
    for (std::size_t i = 0; i < incoming_.count; ++i) {
      const auto& datagram = incoming_[i];
      if (datagram.is_truncated) {
        counters_.drop(Drop::kTooBig);
      } else if (datagram.size > 0 && datagram.data[0] >> 4 == 0xF) {
        counters_.drop(Drop::kControl);  // a late copy of a negotiation reply
      } else {
        using wireguard::Outcome;
        const auto outcome =
            device_.input(std::span(datagram.data, datagram.size), from, Clock::now(), actions_);
        if (outcome == Outcome::kForeignSource) counters_.drop(Drop::kForeignSource);
        if (outcome == Outcome::kMalformed || outcome == Outcome::kForged || outcome == Outcome::kNotIp)
          counters_.drop(Drop::kMalformed);
        if (!carry_out() || !*alive) return;
      }
    }
    if (incoming_.count < platform::DatagramBatch::kCapacity) return;
  }
}

bool WireguardTunnel::deliver(std::span<std::uint8_t> packet) {
  std::optional<net::IpHeader> header;
  if (const auto drop = filter_.check_incoming(packet, header)) {
    counters_.drop(*drop);
    return true;
  }
  ++counters_.packets_in;
  counters_.bytes_in += packet.size();
  events_.on_packet(*header, packet);
  clamp_mss(packet, mtu_);
  if (const int result = tun_->write(packet); result < 0) {
    counters_.drop(Drop::kSendFailed);
    // EIO: the interface is down, EBADFD: it was deleted. EINVAL concerns this packet only.
    if (result != -EINVAL) {
      events_.on_interface_error(system_error(-result));
      return false;
    }
  }
  return true;
}

bool WireguardTunnel::read_interface() {
  std::array<std::uint8_t, platform::DatagramBatch::kBufferSize> buffer;
  for (std::size_t i = 0; i < kBatchesPerWakeup * platform::DatagramBatch::kCapacity; ++i) {
    const auto size = tun_->read(buffer);
    if (size == 0) break;
    if (size < 0) {
      events_.on_interface_error(system_error(static_cast<int>(-size)));
      return false;
    }
    const auto packet = std::span(buffer).first(static_cast<std::size_t>(size));
    if (packet.size() > mtu_) {
      counters_.drop(Drop::kTooBig);
      continue;
    }
    if (const auto drop = filter_.check_outgoing(packet)) {
      counters_.drop(*drop);
      continue;
    }
    clamp_mss(packet, mtu_);
    using wireguard::Outcome;
    switch (device_.send(packet, Clock::now(), actions_)) {
      case Outcome::kSent:
      case Outcome::kStaged:
        ++counters_.packets_out;
        counters_.bytes_out += packet.size();
        break;
      case Outcome::kNoRoute:
        counters_.drop(Drop::kNoTunnel);
        break;
      default:
        counters_.drop(Drop::kNotConnected);
    }
    if (!carry_out()) return false;
  }
  return true;
}

void WireguardTunnel::send(std::span<const std::uint8_t> packet, bool may_fragment) {
  device_.send_to(peer_, packet, Clock::now(), actions_);
  carry_out(may_fragment);
}

bool WireguardTunnel::carry_out(bool may_fragment) {
  wireguard::Actions actions;
  std::swap(actions, actions_);
  for (const auto& datagram : actions.datagrams) {
    const auto error = may_fragment ? platform::send_one(socket_.native_handle(), datagram.bytes)
                                    : platform::send_unfragmented(socket_.native_handle(), datagram.bytes);
    // A packet that does not fit is an answer to the question, no trouble.
    if (!error || error == boost::asio::error::message_size) continue;
    counters_.drop(Drop::kSendFailed);
    if (!is_full(error)) events_.on_socket_error(error);
  }
  bool is_well = true;
  for (auto& packet : actions.packets) is_well = is_well && deliver(packet.bytes);
  actions.clear();
  if (actions_.empty()) std::swap(actions, actions_);  // for its storage
  wait_for_time();
  return is_well;
}

}  // namespace sixlink::datapath
