// SPDX-License-Identifier: BSD-3-Clause
// Datagram sockets of systems that neither cut nor join datagrams.
#include "platform/posix/one_by_one.h"

namespace sixlink::platform {
namespace {

bool is_socket_v6(int fd) {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  return ::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) == 0 && bound.ss_family == AF_INET6;
}

}  // namespace

struct ReceiveBatch::Scratch {};

ReceiveBatch::ReceiveBatch(std::size_t capacity, std::size_t buffer_size)
    : buffer_size_(buffer_size), storage_(new std::uint8_t[capacity * buffer_size]), entries_(capacity) {
  for (std::size_t i = 0; i < capacity; ++i) entries_[i].data = storage_.get() + i * buffer_size_;
}
ReceiveBatch::ReceiveBatch(ReceiveBatch&&) noexcept = default;
ReceiveBatch& ReceiveBatch::operator=(ReceiveBatch&&) noexcept = default;
ReceiveBatch::~ReceiveBatch() = default;

DatagramSocket::DatagramSocket(int fd, Kind, bool is_connected, const Offloads&)
    : fd_(fd), is_v6_(is_socket_v6(fd)), is_connected_(is_connected) {
  posix::enable_traffic_class(fd, is_v6_);
}

Offloads DatagramSocket::granted() const {
  return Offloads::none();
}

void DatagramSocket::set_joining(bool) {}

boost::system::error_code DatagramSocket::receive(ReceiveBatch& batch) {
  return posix::one_by_one_calls().receive(fd_, batch.entries_, batch.buffer_size_, batch.count_);
}

SendResult DatagramSocket::send(SendBatch& batch) {
  SendResult result;
  posix::one_by_one_calls().send({fd_, is_v6_, is_connected_}, batch.scratch(), batch.message_count_,
                                 traffic_class_, result);
  result.failed = batch.datagrams_ - result.sent;
  return result;
}

}  // namespace sixlink::platform
