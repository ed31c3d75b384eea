// SPDX-License-Identifier: BSD-3-Clause
// Many datagrams a system call: recvmmsg(2), sendmmsg(2), IP_PKTINFO (ip(7)), IPV6_PKTINFO (RFC 3542).
#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "platform/platform.h"

namespace sixlink::platform {
namespace {

using boost::asio::ip::address_v4;
using boost::asio::ip::address_v6;

constexpr std::size_t kControlSize = CMSG_SPACE(sizeof(in6_pktinfo));

boost::system::error_code to_error(int number) {
  return {number, boost::system::system_category()};
}

// CMSG_DATA has no alignment promise, so structures are copied.
template <typename T>
T read_control(const cmsghdr* control) {
  T value;
  std::memcpy(&value, CMSG_DATA(control), sizeof value);
  return value;
}

boost::asio::ip::address local_address(msghdr& message) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
      return address_v4(ntohl(read_control<in_pktinfo>(control).ipi_addr.s_addr));
    }
    if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
      address_v6::bytes_type bytes;
      const auto info = read_control<in6_pktinfo>(control);
      std::memcpy(bytes.data(), &info.ipi6_addr, bytes.size());
      return address_v6(bytes);
    }
  }
  return {};
}

template <typename T>
void write_control(msghdr& message, void* buffer, int level, int type, const T& value) {
  message.msg_control = buffer;
  message.msg_controllen = CMSG_SPACE(sizeof value);
  cmsghdr* control = CMSG_FIRSTHDR(&message);
  control->cmsg_level = level;
  control->cmsg_type = type;
  control->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(control), &value, sizeof value);
}

void set_source(msghdr& message, void* buffer, const boost::asio::ip::address& source) {
  if (source.is_v4()) {
    in_pktinfo info{};
    info.ipi_spec_dst.s_addr = htonl(source.to_v4().to_uint());
    write_control(message, buffer, IPPROTO_IP, IP_PKTINFO, info);
  } else {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, source.to_v6().to_bytes().data(), sizeof info.ipi6_addr);
    write_control(message, buffer, IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
}

struct alignas(cmsghdr) Control {
  std::array<char, kControlSize> bytes;
};

}  // namespace

boost::system::error_code receive_batch(int fd, DatagramBatch& batch) {
  std::array<mmsghdr, DatagramBatch::kCapacity> messages{};
  std::array<iovec, DatagramBatch::kCapacity> vectors;
  std::array<Control, DatagramBatch::kCapacity> controls;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    auto& datagram = batch[i];
    const auto buffer = batch.buffer(i);
    datagram.data = buffer.data();
    vectors[i] = {buffer.data(), buffer.size()};
    auto& header = messages[i].msg_hdr;
    header.msg_iov = &vectors[i];
    header.msg_iovlen = 1;
    header.msg_name = datagram.peer.data();
    header.msg_namelen = static_cast<socklen_t>(datagram.peer.capacity());
    header.msg_control = controls[i].bytes.data();
    header.msg_controllen = controls[i].bytes.size();
  }
  batch.count = 0;
  int received = 0;
  do {
    received = ::recvmmsg(fd, messages.data(), static_cast<unsigned>(messages.size()), MSG_DONTWAIT, nullptr);
  } while (received < 0 && errno == EINTR);
  if (received < 0)
    return errno == EAGAIN || errno == EWOULDBLOCK ? boost::system::error_code() : to_error(errno);
  batch.count = static_cast<std::size_t>(received);
  for (std::size_t i = 0; i < batch.count; ++i) {
    auto& datagram = batch[i];
    auto& header = messages[i].msg_hdr;
    datagram.size = messages[i].msg_len;
    datagram.is_truncated = (header.msg_flags & MSG_TRUNC) != 0;
    // A connected socket still reports the peer; a stream-like one reports none.
    if (header.msg_namelen > 0) datagram.peer.resize(header.msg_namelen);
    datagram.local = local_address(header);
  }
  return {};
}

std::size_t send_batch(int fd, DatagramBatch& batch, bool connected, boost::system::error_code& error) {
  std::array<mmsghdr, DatagramBatch::kCapacity> messages{};
  std::array<iovec, DatagramBatch::kCapacity> vectors;
  std::array<Control, DatagramBatch::kCapacity> controls;
  error = {};
  for (std::size_t i = 0; i < batch.count; ++i) {
    auto& datagram = batch[i];
    vectors[i] = {datagram.data, datagram.size};
    auto& header = messages[i].msg_hdr;
    header.msg_iov = &vectors[i];
    header.msg_iovlen = 1;
    if (!connected) {
      header.msg_name = datagram.peer.data();
      header.msg_namelen = static_cast<socklen_t>(datagram.peer.size());
      if (!datagram.local.is_unspecified()) set_source(header, controls[i].bytes.data(), datagram.local);
    }
  }
  std::size_t sent = 0;
  std::size_t done = 0;
  std::size_t retried = batch.count;  // none yet
  while (done < batch.count) {
    const int count =
        ::sendmmsg(fd, messages.data() + done, static_cast<unsigned>(batch.count - done), MSG_DONTWAIT);
    if (count > 0) {
      sent += static_cast<std::size_t>(count);
      done += static_cast<std::size_t>(count);
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    if (!error) error = to_error(errno);
    // What an ICMP message told about an earlier datagram fails the next one on a connected socket, which the
    // kernel has not even looked at.
    if (connected && errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS && retried != done) {
      retried = done;
      continue;
    }
    // With a full queue the rest would fail as well; other reasons concern this datagram only.
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) break;
    ++done;
  }
  return sent;
}

boost::system::error_code enable_packet_info(int fd, bool is_v6) {
  const int on = 1;
  const int result = is_v6 ? ::setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on)
                           : ::setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  return result == 0 ? boost::system::error_code() : to_error(errno);
}

}  // namespace sixlink::platform
