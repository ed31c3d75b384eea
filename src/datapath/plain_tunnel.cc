// SPDX-License-Identifier: BSD-3-Clause
// Moves packets between a TUN interface and a connected socket.
#include "src/datapath/plain_tunnel.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "src/datapath/joined_packets.h"
#include "src/datapath/mss.h"

namespace sixlink::datapath {
namespace {

boost::system::error_code system_error(int number) {
  return {number, boost::system::system_category()};
}

// Full batches one after the other before the loop gets its turn again: throughput against the other
// direction's delay.
constexpr int kBatchesPerWakeup = 4;

// The kernel has checked the header of what a raw socket receives; its total length is in the host's order on
// some systems.
std::size_t ipv4_header_length(std::span<const std::uint8_t> datagram) {
  return datagram.empty() ? 0 : static_cast<std::size_t>(datagram[0] & 0xf) * 4;
}

}  // namespace

PlainTunnel::PlainTunnel(const boost::asio::any_io_executor& executor,
                         std::unique_ptr<platform::TunDevice> tun, int socket, Encapsulation encapsulation,
                         const InnerFilter& filter, int mtu, Events events)
    : tun_(std::move(tun)),
      socket_(executor, socket),
      encapsulation_(encapsulation),
      interface_(executor, tun_->fd()),
      filter_(filter),
      mtu_(static_cast<std::size_t>(mtu)),
      events_(std::move(events)),
      incoming_(encapsulation == Encapsulation::kUdp ? platform::DatagramBatch::kBufferSize
                                                     : platform::DatagramBatch::kJoinedSize) {
  boost::system::error_code ignored;
  socket_.non_blocking(true, ignored);
  // A TUN hands over packets faster than they leave; without room the kernel drops bursts.
  constexpr int kRoom = 4 << 20;
  ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &kRoom, sizeof kRoom);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &kRoom, sizeof kRoom);
  wait_for_socket();
  wait_for_interface();
}

PlainTunnel::~PlainTunnel() {
  *is_alive_ = false;
  interface_.release();
}

int PlainTunnel::lend_socket() {
  if (!*is_alive_ || is_lent_) return -1;
  const int copy = ::fcntl(socket_.native_handle(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return -1;
  is_lent_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
  return copy;
}

void PlainTunnel::take_socket_back() {
  if (std::exchange(is_lent_, false) && *is_alive_) wait_for_socket();
}

void PlainTunnel::input(std::span<std::uint8_t> packet) {
  if (*is_alive_) deliver(packet);
}

int PlainTunnel::release_socket() {
  *is_alive_ = false;
  return socket_.release();
}

void PlainTunnel::wait_for_socket() {
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [this, alive = is_alive_](const boost::system::error_code& error) {
                       if (!*alive || error == boost::asio::error::operation_aborted) return;
                       // Woken, and lent before its turn came.
                       if (is_lent_) return;
                       read_socket();
                       if (*alive) wait_for_socket();
                     });
}

void PlainTunnel::wait_for_interface() {
  interface_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                        [this, alive = is_alive_](const boost::system::error_code& error) {
                          if (!*alive || error == boost::asio::error::operation_aborted) return;
                          if (read_interface() && *alive) wait_for_interface();
                        });
}

void PlainTunnel::read_socket() {
  const auto alive = is_alive_;
  for (int round = 0; round < kBatchesPerWakeup; ++round) {
    if (const auto error = platform::receive_batch(socket_.native_handle(), incoming_)) {
      events_.on_socket_error(error);
      return;
    }
    for (std::size_t i = 0; i < incoming_.count; ++i) {
      const auto& datagram = incoming_[i];
      std::span<std::uint8_t> packet(datagram.data, datagram.size);
      if (datagram.is_truncated) {
        counters_.drop(Drop::kTooBig);
        continue;
      }
      if (encapsulation_ == Encapsulation::kIpv6InIpv4) {
        packet = packet.subspan(std::min(ipv4_header_length(packet), packet.size()));
      }
      if (encapsulation_ == Encapsulation::kUdp && !packet.empty() && packet[0] >> 4 == 0xF) {
        counters_.drop(Drop::kControl);  // a late copy of a negotiation reply
        continue;
      }
      if (encapsulation_ == Encapsulation::kUdp) {
        if (!deliver(packet) || !*alive) return;
        continue;
      }
      JoinedPackets packets(packet, mtu_);
      while (const auto one = packets.next()) {
        if (!deliver(*one) || !*alive) return;
      }
    }
    if (incoming_.count < platform::DatagramBatch::kCapacity) return;
  }
}

bool PlainTunnel::deliver(std::span<std::uint8_t> packet) {
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

bool PlainTunnel::read_interface() {
  for (int round = 0; round < kBatchesPerWakeup; ++round) {
    outgoing_.count = 0;
    std::size_t bytes = 0;
    bool is_empty = false;
    while (outgoing_.count < platform::DatagramBatch::kCapacity) {
      const auto buffer = outgoing_.buffer(outgoing_.count);
      const auto size = tun_->read(buffer);
      if (size == 0) {
        is_empty = true;
        break;
      }
      if (size < 0) {
        flush(bytes);
        events_.on_interface_error(system_error(static_cast<int>(-size)));
        return false;
      }
      const auto packet = buffer.first(static_cast<std::size_t>(size));
      if (packet.size() > mtu_) {
        counters_.drop(Drop::kTooBig);
      } else if (const auto drop = filter_.check_outgoing(packet)) {
        counters_.drop(*drop);
      } else {
        clamp_mss(packet, mtu_);
        auto& datagram = outgoing_[outgoing_.count++];
        datagram.data = packet.data();
        datagram.size = packet.size();
        bytes += packet.size();
      }
    }
    flush(bytes);
    if (is_empty) return true;
  }
  return true;
}

void PlainTunnel::flush(std::size_t bytes) {
  if (outgoing_.count == 0) return;
  boost::system::error_code error;
  const auto sent = platform::send_batch(socket_.native_handle(), outgoing_, true, error);
  counters_.packets_out += sent;
  counters_.bytes_out += sent == outgoing_.count ? bytes : bytes * sent / outgoing_.count;
  for (std::size_t i = sent; i < outgoing_.count; ++i) counters_.drop(Drop::kSendFailed);
  if (error && error != boost::asio::error::would_block && error != boost::asio::error::no_buffer_space)
    events_.on_socket_error(error);
}

void PlainTunnel::send(std::span<const std::uint8_t> packet, bool may_fragment) {
  const auto error = may_fragment ? platform::send_one(socket_.native_handle(), packet)
                                  : platform::send_unfragmented(socket_.native_handle(), packet);
  // A packet that does not fit is an answer to the question, no trouble.
  if (!error || error == boost::asio::error::message_size) return;
  counters_.drop(Drop::kSendFailed);
  if (error != boost::asio::error::would_block && error != boost::asio::error::no_buffer_space)
    events_.on_socket_error(error);
}

}  // namespace sixlink::datapath
