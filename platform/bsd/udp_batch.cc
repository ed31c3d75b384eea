// SPDX-License-Identifier: BSD-3-Clause
// Many datagrams a call: recvmmsg and sendmmsg, which FreeBSD (11), NetBSD (7) and OpenBSD (7.2) have.
#include <sys/types.h>

#include <array>

#include "platform/bsd/dstaddr.h"

namespace sixlink::platform {
namespace {

using bsd::DstAddr;
constexpr auto kCapacity = DatagramBatch::kCapacity;

}  // namespace

boost::system::error_code receive_batch(int fd, DatagramBatch& batch) {
  std::array<mmsghdr, kCapacity> messages{};
  std::array<iovec, kCapacity> vectors;
  std::array<posix::ControlBuffer, kCapacity> controls;
  for (std::size_t i = 0; i < messages.size(); ++i)
    posix::prepare_receive(batch, i, messages[i].msg_hdr, vectors[i], controls[i]);
  batch.count = 0;
  ssize_t received = 0;
  do {
    received = ::recvmmsg(fd, messages.data(), kCapacity, MSG_DONTWAIT, nullptr);
  } while (received < 0 && errno == EINTR);
  if (received < 0) {
    return errno == EAGAIN || errno == EWOULDBLOCK ? boost::system::error_code() : posix::system_error(errno);
  }
  batch.count = static_cast<std::size_t>(received);
  for (std::size_t i = 0; i < batch.count; ++i)
    posix::finish_receive<DstAddr>(batch[i], messages[i].msg_hdr, messages[i].msg_len);
  return {};
}

std::size_t send_batch(int fd, DatagramBatch& batch, bool connected, boost::system::error_code& error) {
  std::array<mmsghdr, kCapacity> messages{};
  std::array<iovec, kCapacity> vectors;
  std::array<posix::ControlBuffer, kCapacity> controls;
  error = {};
  const bool takes_source = !connected && DstAddr::takes_source(fd);
  for (std::size_t i = 0; i < batch.count; ++i) {
    posix::prepare_send<DstAddr>(batch[i], connected, takes_source, messages[i].msg_hdr, vectors[i],
                                 controls[i]);
  }
  std::size_t sent = 0;
  std::size_t done = 0;
  while (done < batch.count) {
    const auto count =
        ::sendmmsg(fd, messages.data() + done, static_cast<unsigned>(batch.count - done), MSG_DONTWAIT);
    if (count > 0) {
      sent += static_cast<std::size_t>(count);
      done += static_cast<std::size_t>(count);
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    if (!error) error = posix::system_error(errno);
    if (posix::is_queue_full(errno)) break;
    ++done;
  }
  return sent;
}

boost::system::error_code enable_packet_info(int fd, bool is_v6) {
  return posix::enable_packet_info<DstAddr>(fd, is_v6);
}

}  // namespace sixlink::platform
