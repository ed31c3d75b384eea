// SPDX-License-Identifier: BSD-3-Clause
// The DatagramSocket of systems without UDP_SEGMENT and UDP_GRO: one recvmsg(2) or sendmsg(2) a datagram.
// `PacketInfo` is that of platform/posix/message_batch.h.
//
// The traffic class of what is sent is an option of the socket (IP_TOS, IPV6_TCLASS), changed when the next
// datagram has another one: not every system takes it in a control message. Datagrams of one socket seldom
// differ.
#pragma once

#include <netinet/in.h>
#include <netinet/ip.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "platform/packet_io.h"
#include "platform/posix/message_batch.h"
#include "platform/posix/send_batch.h"

namespace sixlink::platform::posix {

struct OneByOneSocket {
  int fd = -1;
  bool is_v6 = false;
  bool is_connected = false;
};

// Room for packet info of either version and the traffic class.
struct alignas(cmsghdr) ReceivedControl {
  char bytes[2 * CMSG_SPACE(sizeof(in6_pktinfo)) + 2 * CMSG_SPACE(sizeof(int))];
};

// Has the system tell the traffic class. Those that cannot tell it for IPv4 leave it 0.
inline void enable_traffic_class(int fd, bool is_v6) {
  const int on = 1;
  if (is_v6) {
    ::setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on);
    return;
  }
#ifdef IP_RECVTOS
  ::setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof on);
#endif
}

inline bool read_traffic_class(const cmsghdr* control, std::uint8_t& traffic_class) {
  if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_TCLASS) {
    int value = 0;
    if (!read_control(control, value)) return false;
    traffic_class = static_cast<std::uint8_t>(value);
    return true;
  }
#ifdef IP_RECVTOS
  // Linux says IP_TOS, the others the name of the option.
  if (control->cmsg_level == IPPROTO_IP && (control->cmsg_type == IP_TOS || control->cmsg_type == IP_RECVTOS))
    return read_control(control, traffic_class);
#endif
  return false;
}

template <typename PacketInfo>
boost::system::error_code receive_entries(int fd, std::span<ReceiveBatch::Entry> entries,
                                          std::size_t buffer_size, std::size_t& count) {
  count = 0;
  while (count < entries.size()) {
    auto& entry = entries[count];
    iovec vector{entry.data, buffer_size};
    ReceivedControl control;
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_name = entry.route.peer.data();
    message.msg_namelen = static_cast<socklen_t>(entry.route.peer.capacity());
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    const auto size = ::recvmsg(fd, &message, MSG_DONTWAIT);
    if (size < 0) {
      if (errno == EINTR) continue;
      // An error that comes after datagrams is lost; the next datagram that nobody takes brings another.
      if (errno == EAGAIN || errno == EWOULDBLOCK || count > 0) break;
      return system_error(errno);
    }
    entry.size = entry.segment_size = std::min(static_cast<std::size_t>(size), buffer_size);
    entry.is_truncated = (message.msg_flags & MSG_TRUNC) != 0;
    // A connected socket still reports the peer; a stream-like one reports none.
    if (message.msg_namelen > 0) entry.route.peer.resize(message.msg_namelen);
    entry.route.local = local_address<PacketInfo>(message);
    entry.route.traffic_class = 0;
    // msg_control is null where the socket gave none.
    cmsghdr* one = message.msg_controllen > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
    for (; one != nullptr; one = CMSG_NXTHDR(&message, one))
      read_traffic_class(one, entry.route.traffic_class);
    ++count;
  }
  return {};
}

// Takes `size` bytes off the front of pieces, the first of which has `used` bytes gone.
inline std::size_t take_pieces(const iovec*& from, std::size_t& used, std::size_t size, iovec* to) {
  std::size_t count = 0;
  while (size > 0) {
    const std::size_t taken = std::min<std::size_t>(size, from->iov_len - used);
    if (taken > 0) to[count++] = {static_cast<char*>(from->iov_base) + used, taken};
    size -= taken;
    used += taken;
    if (used == from->iov_len) {
      ++from;
      used = 0;
    }
  }
  return count;
}

inline void set_traffic_class(const OneByOneSocket& socket, std::atomic<int>& current, int wanted) {
  if (current.load(std::memory_order_relaxed) == wanted) return;
  if (socket.is_v6) {
    ::setsockopt(socket.fd, IPPROTO_IPV6, IPV6_TCLASS, &wanted, sizeof wanted);
  } else {
    ::setsockopt(socket.fd, IPPROTO_IP, IP_TOS, &wanted, sizeof wanted);
  }
  // One that does not take it is not asked again for the same.
  current.store(wanted, std::memory_order_relaxed);
}

// 0, or errno.
inline int send_message(const OneByOneSocket& socket, const msghdr& message) {
  bool is_again = false;
  for (;;) {
    if (::sendmsg(socket.fd, &message, MSG_DONTWAIT) >= 0) return 0;
    if (errno == EINTR) continue;
    // What an ICMP message told about an earlier datagram fails the next one on a connected socket, which the
    // kernel has not even looked at.
    if (!socket.is_connected || is_again || is_queue_full(errno)) return errno;
    is_again = true;
  }
}

template <typename PacketInfo>
void send_messages(const OneByOneSocket& socket, SendBatch::Scratch& scratch, std::size_t count,
                   std::atomic<int>& traffic_class, SendResult& result) {
  const bool takes_source = !socket.is_connected && PacketInfo::takes_source(socket.fd);
  std::array<iovec, SendBatch::kMaximumPieces> pieces;
  for (std::size_t i = 0; i < count; ++i) {
    auto& from = scratch.messages[i];
    const iovec* piece = &scratch.pieces[from.first_piece];
    std::size_t used = 0;
    std::size_t left = from.size;
    set_traffic_class(socket, traffic_class, from.route.traffic_class);
    for (std::uint32_t n = 0; n < from.datagrams; ++n) {
      const std::size_t size = std::min<std::size_t>(left, from.segment_size);
      left -= size;
      msghdr message{};
      ControlBuffer control;
      message.msg_iov = pieces.data();
      // Some systems count them in an int.
      message.msg_iovlen =
          static_cast<decltype(message.msg_iovlen)>(take_pieces(piece, used, size, pieces.data()));
      if (!socket.is_connected) {
        message.msg_name = from.route.peer.data();
        message.msg_namelen = static_cast<socklen_t>(from.route.peer.size());
        if (takes_source && !from.route.local.is_unspecified())
          set_source<PacketInfo>(message, control, from.route.local);
      }
      const int reason = send_message(socket, message);
      if (reason == 0) {
        ++result.sent;
        continue;
      }
      if (!result.error) result.error = system_error(reason);
      if (is_queue_full(reason)) {
        result.is_queue_full = true;
        return;
      }
    }
  }
}

// With the system's PacketInfo: platform/<os>/one_by_one.cc.
struct OneByOneCalls {
  boost::system::error_code (*receive)(int fd, std::span<ReceiveBatch::Entry> entries,
                                       std::size_t buffer_size, std::size_t& count);
  void (*send)(const OneByOneSocket& socket, SendBatch::Scratch& scratch, std::size_t count,
               std::atomic<int>& traffic_class, SendResult& result);
};
OneByOneCalls one_by_one_calls();

}  // namespace sixlink::platform::posix
