// SPDX-License-Identifier: BSD-3-Clause
// A tunnel whose packets the kernel moves.
#include "src/tunnel/kernel_link.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <cerrno>

#include "platform/platform.h"
#include "src/net/big_endian.h"
#include "src/net/icmp.h"
#include "src/tunnel/echo_packet.h"

namespace sixlink::tunnel {
namespace {

std::optional<datapath::Counters> interface_counters(const std::string& interface) {
  const auto found = platform::interface_counters(interface);
  if (!found) return std::nullopt;
  datapath::Counters counters;
  counters.packets_in = found->packets_in;
  counters.packets_out = found->packets_out;
  counters.bytes_in = found->bytes_in;
  counters.bytes_out = found->bytes_out;
  return counters;
}

// Without the IPv6 header. The kernel has verified the checksum, and the socket is connected and bound.
std::optional<net::EchoReply> parse_icmpv6_message(std::span<const std::uint8_t> message) {
  constexpr std::size_t kHeaderSize = 8;
  constexpr std::uint8_t kEchoReply = 129;
  if (message.size() < kHeaderSize || message[0] != kEchoReply || message[1] != 0) return std::nullopt;
  return net::EchoReply{net::get16(message, 4), net::get16(message, 6), message.subspan(kHeaderSize), {}, {}};
}

// The interface or its address went away, or was set down.
bool is_interface_error(int error) {
  return error == ENODEV || error == ENXIO || error == ENETDOWN || error == EADDRNOTAVAIL;
}

}  // namespace

boost::system::result<std::unique_ptr<KernelLink>> KernelLink::open(
    const boost::asio::any_io_executor& executor, const TunnelParameters& parameters,
    const boost::asio::ip::address& echo_target, LinkEvents events) {
  const auto before = interface_counters(parameters.interface);
  if (!before) return boost::system::error_code(ENODEV, boost::system::system_category());
  std::unique_ptr<KernelLink> link(new KernelLink(executor, parameters, echo_target, std::move(events)));
  link->before_ = *before;
  if (echo_target.is_unspecified()) return link;
  const auto socket = platform::open_echo(parameters.client_inner, echo_target, parameters.interface);
  if (!socket) return socket.error();
  link->socket_.assign(*socket);
  link->wait();
  return link;
}

KernelLink::KernelLink(const boost::asio::any_io_executor& executor, const TunnelParameters& parameters,
                       const boost::asio::ip::address& echo_target, LinkEvents events)
    : interface_(parameters.interface),
      source_(parameters.client_inner),
      target_(echo_target),
      events_(std::move(events)),
      socket_(executor) {}

KernelLink::~KernelLink() {
  *is_alive_ = false;
}

void KernelLink::wait() {
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [this, alive = is_alive_](const boost::system::error_code& error) {
                       if (!*alive || error == boost::asio::error::operation_aborted) return;
                       read();
                       if (*alive) wait();
                     });
}

void KernelLink::read() {
  for (int round = 0; round < 16; ++round) {
    const auto size = ::recv(socket_.native_handle(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (size < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return;
      const boost::system::error_code error(errno, boost::system::system_category());
      is_interface_error(errno) ? events_.on_interface_error(error) : events_.on_outer_error(error);
      return;
    }
    const auto message = std::span<const std::uint8_t>(buffer_).first(static_cast<std::size_t>(size));
    const auto reply = target_.is_v4() ? net::parse_echo_reply(message) : parse_icmpv6_message(message);
    if (reply) events_.on_echo_reply(*reply);
  }
}

void KernelLink::send_echo(const EchoMessage& echo) {
  if (target_.is_unspecified()) return;
  const auto packet = make_echo_packet(echo, source_, target_);
  const auto message = packet.bytes().subspan(source_.is_v4() ? 20 : 40);
  const auto error = platform::send_one(socket_.native_handle(), message);
  if (!error) {
    ++echoes_sent_;
    echo_bytes_sent_ += packet.bytes().size();
    return;
  }
  if (error == boost::asio::error::message_size || error == boost::asio::error::would_block ||
      error == boost::asio::error::no_buffer_space) {
    return;
  }
  is_interface_error(error.value()) ? events_.on_interface_error(error) : events_.on_outer_error(error);
}

std::optional<datapath::Counters> KernelLink::counters() {
  auto now = interface_counters(interface_);
  if (!now) return std::nullopt;
  now->packets_in -= before_.packets_in;
  now->bytes_in -= before_.bytes_in;
  now->packets_out -= std::min(now->packets_out, before_.packets_out + echoes_sent_);
  now->bytes_out -= std::min(now->bytes_out, before_.bytes_out + echo_bytes_sent_);
  return now;
}

}  // namespace sixlink::tunnel
