// SPDX-License-Identifier: BSD-3-Clause
// Datagrams to and from the system's message headers, and batches of them by one recvmsg(2) or sendmsg(2)
// each, for systems that have no call for many. The address that a datagram was sent to travels in a control
// message that differs between systems: `PacketInfo` knows it for IPv4 (IPv6's is that of RFC 3542
// everywhere).
//
//   struct PacketInfo {
//     // Options to receive the address; setsockopt's result.
//     static int enable(int fd);
//     static bool read(const cmsghdr* control, address_v4& local);
//     static void write(msghdr& message, ControlBuffer& buffer, address_v4 source);
//     // Whether a source may be given for this socket at all.
//     static bool takes_source(int fd);
//   };
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "platform/platform.h"

namespace sixlink::platform::posix {

using boost::asio::ip::address_v4;
using boost::asio::ip::address_v6;

// Room for the largest control message that we use or ask for.
struct alignas(cmsghdr) ControlBuffer {
  char bytes[CMSG_SPACE(sizeof(in6_pktinfo))];
};

// CMSG_DATA has no alignment promise, so structures are copied.
template <typename T>
bool read_control(const cmsghdr* control, T& value) {
  if (control->cmsg_len < CMSG_LEN(sizeof value)) return false;
  std::memcpy(&value, CMSG_DATA(control), sizeof value);
  return true;
}

template <typename T>
void write_control(msghdr& message, ControlBuffer& buffer, int level, int type, const T& value) {
  static_assert(CMSG_SPACE(sizeof(T)) <= sizeof(ControlBuffer));
  std::memset(&buffer, 0, sizeof buffer);
  message.msg_control = buffer.bytes;
  message.msg_controllen = CMSG_SPACE(sizeof value);
  cmsghdr* control = CMSG_FIRSTHDR(&message);
  control->cmsg_level = level;
  control->cmsg_type = type;
  control->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(control), &value, sizeof value);
}

template <typename PacketInfo>
boost::asio::ip::address local_address(msghdr& message) {
  // msg_control is null where the socket gave none.
  if (message.msg_controllen == 0) return {};
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control; control = CMSG_NXTHDR(&message, control)) {
    address_v4 v4;
    if (control->cmsg_level == IPPROTO_IP && PacketInfo::read(control, v4)) return v4;
    in6_pktinfo v6;
    if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO &&
        read_control(control, v6)) {
      address_v6::bytes_type bytes;
      std::memcpy(bytes.data(), &v6.ipi6_addr, bytes.size());
      return address_v6(bytes);
    }
  }
  return {};
}

template <typename PacketInfo>
void set_source(msghdr& message, ControlBuffer& buffer, const boost::asio::ip::address& source) {
  if (source.is_v4()) return PacketInfo::write(message, buffer, source.to_v4());
  in6_pktinfo info{};
  const auto bytes = source.to_v6().to_bytes();
  std::memcpy(&info.ipi6_addr, bytes.data(), bytes.size());
  write_control(message, buffer, IPPROTO_IPV6, IPV6_PKTINFO, info);
}

inline void prepare_receive(DatagramBatch& batch, std::size_t i, msghdr& message, iovec& vector,
                            ControlBuffer& control) {
  auto& datagram = batch[i];
  const auto buffer = batch.buffer(i);
  datagram.data = buffer.data();
  vector = {buffer.data(), buffer.size()};
  message = {};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_name = datagram.peer.data();
  message.msg_namelen = static_cast<socklen_t>(datagram.peer.capacity());
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
}

template <typename PacketInfo>
void finish_receive(DatagramBatch::Datagram& datagram, msghdr& message, std::size_t size) {
  datagram.size = std::min(size, message.msg_iov->iov_len);
  datagram.is_truncated = (message.msg_flags & MSG_TRUNC) != 0;
  // A connected socket still reports the peer; a stream-like one reports none.
  if (message.msg_namelen > 0) datagram.peer.resize(message.msg_namelen);
  datagram.local = local_address<PacketInfo>(message);
}

template <typename PacketInfo>
void prepare_send(DatagramBatch::Datagram& datagram, bool is_connected, bool takes_source, msghdr& message,
                  iovec& vector, ControlBuffer& control) {
  vector = {datagram.data, datagram.size};
  message = {};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (is_connected) return;
  message.msg_name = datagram.peer.data();
  message.msg_namelen = static_cast<socklen_t>(datagram.peer.size());
  if (takes_source && !datagram.local.is_unspecified())
    set_source<PacketInfo>(message, control, datagram.local);
}

// With a full queue the rest of a batch would fail as well; other reasons concern one datagram only.
inline bool is_queue_full(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS;
}

inline boost::system::error_code system_error(int number) {
  return {number, boost::system::system_category()};
}

template <typename PacketInfo>
boost::system::error_code enable_packet_info(int fd, bool is_v6) {
  const int on = 1;
  const int result =
      is_v6 ? ::setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) : PacketInfo::enable(fd);
  return result == 0 ? boost::system::error_code() : system_error(errno);
}

// receive_batch() of platform.h by recvmsg(2).
template <typename PacketInfo>
boost::system::error_code receive_one_by_one(int fd, DatagramBatch& batch) {
  batch.count = 0;
  while (batch.count < DatagramBatch::kCapacity) {
    msghdr message;
    iovec vector;
    ControlBuffer control;
    prepare_receive(batch, batch.count, message, vector, control);
    const auto size = ::recvmsg(fd, &message, MSG_DONTWAIT);
    if (size < 0) {
      if (errno == EINTR) continue;
      // An error that comes after datagrams is lost; the next datagram that nobody takes brings another.
      if (errno == EAGAIN || errno == EWOULDBLOCK || batch.count > 0) break;
      return system_error(errno);
    }
    finish_receive<PacketInfo>(batch[batch.count++], message, static_cast<std::size_t>(size));
  }
  return {};
}

// send_batch() of platform.h by sendmsg(2).
template <typename PacketInfo>
std::size_t send_one_by_one(int fd, DatagramBatch& batch, bool is_connected,
                            boost::system::error_code& error) {
  error = {};
  const bool takes_source = !is_connected && PacketInfo::takes_source(fd);
  std::size_t sent = 0;
  std::size_t retried = batch.count;  // none yet
  for (std::size_t i = 0; i < batch.count;) {
    msghdr message;
    iovec vector;
    ControlBuffer control;
    prepare_send<PacketInfo>(batch[i], is_connected, takes_source, message, vector, control);
    if (::sendmsg(fd, &message, MSG_DONTWAIT) >= 0) {
      ++sent;
    } else if (errno == EINTR) {
      continue;
    } else {
      const int reason = errno;
      if (!error) error = system_error(reason);
      if (is_queue_full(reason)) break;
      // What an ICMP message told about an earlier datagram fails the next one on a connected socket, which
      // the kernel has not even looked at.
      if (is_connected && retried != i) {
        retried = i;
        continue;
      }
    }
    ++i;
  }
  return sent;
}

}  // namespace sixlink::platform::posix
