// SPDX-License-Identifier: BSD-3-Clause
// Datagrams one by one: Darwin has no public call for many (recvmsg_x is private to Apple).
#include "platform/posix/pktinfo.h"

namespace sixlink::platform {

boost::system::error_code receive_batch(int fd, DatagramBatch& batch) {
  return posix::receive_one_by_one<posix::PktInfo>(fd, batch);
}

std::size_t send_batch(int fd, DatagramBatch& batch, bool connected, boost::system::error_code& error) {
  return posix::send_one_by_one<posix::PktInfo>(fd, batch, connected, error);
}

boost::system::error_code enable_packet_info(int fd, bool is_v6) {
  return posix::enable_packet_info<posix::PktInfo>(fd, is_v6);
}

}  // namespace sixlink::platform
