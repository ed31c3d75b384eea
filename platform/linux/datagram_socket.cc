// SPDX-License-Identifier: BSD-3-Clause
// Super datagrams: recvmmsg(2) with UDP_GRO, sendmmsg(2) with UDP_SEGMENT (udp(7)), IP_PKTINFO and IP_TOS
// (ip(7)), IPV6_PKTINFO and IPV6_TCLASS (RFC 3542).
#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "platform/packet_io.h"
#include "platform/posix/send_batch.h"

namespace sixlink::platform {
namespace {

using boost::asio::ip::address;
using boost::asio::ip::address_v4;
using boost::asio::ip::address_v6;

// linux/udp.h, which older C libraries do not have.
constexpr int kUdpSegment = 103;
constexpr int kUdpGro = 104;

constexpr std::size_t kMessagesACall = 64;

boost::system::error_code to_error(int number) {
  return {number, boost::system::system_category()};
}

// With a full queue the rest would fail as well; other reasons concern one datagram only.
bool is_queue_full(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS;
}

// Reasons not to cut a super datagram, where the datagrams one by one may well go.
bool is_refusal(int error) {
  return error == EIO || error == EINVAL || error == EMSGSIZE || error == EOPNOTSUPP;
}

bool switch_on(int fd, int level, int option) {
  const int on = 1;
  return ::setsockopt(fd, level, option, &on, sizeof on) == 0;
}

// Room for the local address, the traffic class and the segment size, or what else is received.
struct alignas(cmsghdr) ControlBuffer {
  char bytes[CMSG_SPACE(sizeof(in6_pktinfo)) + 3 * CMSG_SPACE(sizeof(int))];
};

// CMSG_DATA has no alignment promise, so structures are copied.
template <typename T>
bool read_control(const cmsghdr* control, T& value) {
  if (control->cmsg_len < CMSG_LEN(sizeof value)) return false;
  std::memcpy(&value, CMSG_DATA(control), sizeof value);
  return true;
}

void read_ipv4_control(const cmsghdr* control, Route& route) {
  in_pktinfo info;
  std::uint8_t traffic_class = 0;
  if (control->cmsg_type == IP_PKTINFO && read_control(control, info)) {
    route.local = address_v4(ntohl(info.ipi_addr.s_addr));
  } else if (control->cmsg_type == IP_TOS && read_control(control, traffic_class)) {
    route.traffic_class = traffic_class;
  }
}

void read_ipv6_control(const cmsghdr* control, Route& route) {
  in6_pktinfo info;
  int traffic_class = 0;
  if (control->cmsg_type == IPV6_PKTINFO && read_control(control, info)) {
    address_v6::bytes_type bytes;
    std::memcpy(bytes.data(), &info.ipi6_addr, bytes.size());
    route.local = address_v6(bytes);
  } else if (control->cmsg_type == IPV6_TCLASS && read_control(control, traffic_class)) {
    route.traffic_class = static_cast<std::uint8_t>(traffic_class);
  }
}

void read_controls(msghdr& message, ReceiveBatch::Entry& entry) {
  entry.route.local = address();
  entry.route.traffic_class = 0;
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level == IPPROTO_IP) {
      read_ipv4_control(control, entry.route);
    } else if (control->cmsg_level == IPPROTO_IPV6) {
      read_ipv6_control(control, entry.route);
    } else if (control->cmsg_level == IPPROTO_UDP && control->cmsg_type == kUdpGro) {
      int size = 0;
      if (read_control(control, size) && size > 0)
        entry.segment_size = std::min(entry.size, static_cast<std::size_t>(size));
    }
  }
}

// Control messages of one datagram, one behind the other.
class ControlWriter {
 public:
  ControlWriter(msghdr& message, ControlBuffer& buffer) : message_(message), buffer_(buffer) {}

  template <typename T>
  void add(int level, int type, const T& value) {
    auto* control = reinterpret_cast<cmsghdr*>(buffer_.bytes + size_);
    control->cmsg_level = level;
    control->cmsg_type = type;
    control->cmsg_len = CMSG_LEN(sizeof value);
    std::memcpy(CMSG_DATA(control), &value, sizeof value);
    size_ += CMSG_SPACE(sizeof value);
    message_.msg_control = buffer_.bytes;
    message_.msg_controllen = size_;
  }

 private:
  msghdr& message_;
  ControlBuffer& buffer_;
  std::size_t size_ = 0;
};

void add_source(ControlWriter& writer, const address& source) {
  if (source.is_v4()) {
    in_pktinfo info{};
    info.ipi_spec_dst.s_addr = htonl(source.to_v4().to_uint());
    writer.add(IPPROTO_IP, IP_PKTINFO, info);
  } else {
    in6_pktinfo info{};
    const auto bytes = source.to_v6().to_bytes();
    std::memcpy(&info.ipi6_addr, bytes.data(), bytes.size());
    writer.add(IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
}

struct SocketKind {
  int fd;
  bool is_v6;
  bool is_connected;
};

}  // namespace

// ---- Receiving
// ---------------------------------------------------------------------------------------------

// Set up once; what the kernel changed is put back after each call.
struct ReceiveBatch::Scratch {
  explicit Scratch(std::size_t capacity) : headers(capacity), vectors(capacity), controls(capacity) {}
  std::vector<mmsghdr> headers;
  std::vector<iovec> vectors;
  std::vector<ControlBuffer> controls;

  void reset(std::size_t i, Entry& entry) {
    msghdr& header = headers[i].msg_hdr;
    header.msg_name = entry.route.peer.data();
    header.msg_namelen = static_cast<socklen_t>(entry.route.peer.capacity());
    header.msg_control = controls[i].bytes;
    header.msg_controllen = sizeof controls[i].bytes;
    header.msg_flags = 0;
  }
};

ReceiveBatch::ReceiveBatch(std::size_t capacity, std::size_t buffer_size)
    : buffer_size_(buffer_size),
      storage_(new std::uint8_t[capacity * buffer_size]),
      entries_(capacity),
      scratch_(std::make_unique<Scratch>(capacity)) {
  for (std::size_t i = 0; i < capacity; ++i) {
    entries_[i].data = storage_.get() + i * buffer_size_;
    scratch_->vectors[i] = {entries_[i].data, buffer_size_};
    scratch_->headers[i].msg_hdr.msg_iov = &scratch_->vectors[i];
    scratch_->headers[i].msg_hdr.msg_iovlen = 1;
    scratch_->reset(i, entries_[i]);
  }
}
ReceiveBatch::ReceiveBatch(ReceiveBatch&&) noexcept = default;
ReceiveBatch& ReceiveBatch::operator=(ReceiveBatch&&) noexcept = default;
ReceiveBatch::~ReceiveBatch() = default;

boost::system::error_code DatagramSocket::receive(ReceiveBatch& batch) {
  auto& scratch = *batch.scratch_;
  for (std::size_t i = 0; i < batch.count_; ++i) scratch.reset(i, batch.entries_[i]);
  batch.count_ = 0;
  int received = 0;
  do {
    received = ::recvmmsg(fd_, scratch.headers.data(), static_cast<unsigned>(scratch.headers.size()),
                          MSG_DONTWAIT, nullptr);
  } while (received < 0 && errno == EINTR);
  if (received < 0)
    return errno == EAGAIN || errno == EWOULDBLOCK ? boost::system::error_code() : to_error(errno);
  batch.count_ = static_cast<std::size_t>(received);
  for (std::size_t i = 0; i < batch.count_; ++i) {
    auto& entry = batch.entries_[i];
    msghdr& header = scratch.headers[i].msg_hdr;
    entry.size = scratch.headers[i].msg_len;
    entry.segment_size = entry.size;
    entry.is_truncated = (header.msg_flags & MSG_TRUNC) != 0;
    // A connected socket still reports the peer; a stream-like one reports none.
    if (header.msg_namelen > 0) entry.route.peer.resize(header.msg_namelen);
    read_controls(header, entry);
  }
  return {};
}

// ---- Sending
// -----------------------------------------------------------------------------------------------

namespace {

// Datagrams and super datagrams of one call; more calls as it fills.
class DatagramSender {
 public:
  using Message = SendBatch::Message;

  DatagramSender(const SocketKind& socket, SendBatch::Scratch& scratch, std::atomic<bool>& may_segment,
                 SendResult& result)
      : socket_(socket), scratch_(scratch), may_segment_(may_segment), result_(result) {}

  // The whole message, for the kernel to cut if it is more than one datagram. False: the queue is full.
  bool add_whole(const Message& message) {
    if (count_ == kMessagesACall && !flush()) return false;
    start(message, message.datagrams, &scratch_.pieces[message.first_piece], message.pieces);
    return true;
  }

  // The same, cut here.
  bool add_pieces(const Message& message) {
    const iovec* from = &scratch_.pieces[message.first_piece];
    std::size_t used = 0;  // of *from
    for (std::uint32_t left = message.size, i = 0; i < message.datagrams; ++i) {
      std::size_t size = std::min(left, message.segment_size);
      left -= static_cast<std::uint32_t>(size);
      // A datagram has at most SendBatch::kMaximumPieces, and one more where pieces were joined.
      if ((count_ == kMessagesACall || split_count_ + SendBatch::kMaximumPieces + 1 > split_.size()) &&
          !flush()) {
        return false;
      }
      iovec* const first = &split_[split_count_];
      std::size_t pieces = 0;
      while (size > 0) {
        const std::size_t taken = std::min(size, from->iov_len - used);
        if (taken > 0) first[pieces++] = {static_cast<char*>(from->iov_base) + used, taken};
        size -= taken;
        used += taken;
        if (used == from->iov_len) {
          ++from;
          used = 0;
        }
      }
      split_count_ += pieces;
      start(message, 1, first, pieces);
    }
    return true;
  }

  bool flush();

 private:
  void start(const Message& message, std::uint32_t datagrams, iovec* pieces, std::size_t piece_count) {
    msghdr& header = headers_[count_].msg_hdr;
    header = {};
    header.msg_iov = pieces;
    header.msg_iovlen = piece_count;
    ControlWriter writer(header, controls_[count_]);
    if (!socket_.is_connected) {
      header.msg_name = const_cast<sockaddr*>(message.route.peer.data());
      header.msg_namelen = static_cast<socklen_t>(message.route.peer.size());
      if (!message.route.local.is_unspecified()) add_source(writer, message.route.local);
    }
    if (message.route.traffic_class != 0) {
      const int traffic_class = message.route.traffic_class;
      if (socket_.is_v6) {
        writer.add(IPPROTO_IPV6, IPV6_TCLASS, traffic_class);
      } else {
        writer.add(IPPROTO_IP, IP_TOS, traffic_class);
      }
    }
    if (datagrams > 1) writer.add(IPPROTO_UDP, kUdpSegment, static_cast<std::uint16_t>(message.segment_size));
    messages_[count_] = &message;
    datagrams_[count_] = datagrams;
    ++count_;
  }

  bool resend_in_pieces(const Message& message, int reason);
  void count_sent(std::uint32_t datagrams) {
    result_.sent += datagrams;
    if (datagrams > 1 && !may_segment_.load(std::memory_order_relaxed))
      may_segment_.store(true, std::memory_order_relaxed);
  }

  SocketKind socket_;
  SendBatch::Scratch& scratch_;
  std::atomic<bool>& may_segment_;
  SendResult& result_;
  std::size_t count_ = 0;
  std::size_t split_count_ = 0;
  std::array<mmsghdr, kMessagesACall> headers_;
  std::array<ControlBuffer, kMessagesACall> controls_;
  std::array<const Message*, kMessagesACall> messages_;
  std::array<std::uint32_t, kMessagesACall> datagrams_;
  std::array<iovec, SendBatch::Scratch::kMostPieces> split_;
};

bool DatagramSender::resend_in_pieces(const Message& message, int reason) {
  // EIO: the way out computes no checksums, whatever the size.
  scratch_.remember_refusal(message, reason == EIO || reason == EOPNOTSUPP ? 0 : message.segment_size);
  if (reason == EIO || reason == EOPNOTSUPP) may_segment_.store(false, std::memory_order_relaxed);
  DatagramSender again(socket_, scratch_, may_segment_, result_);
  return again.add_pieces(message) && again.flush();
}

bool DatagramSender::flush() {
  const std::size_t count = std::exchange(count_, 0);
  split_count_ = 0;
  std::size_t retried = count;  // none yet
  for (std::size_t done = 0; done < count;) {
    const int sent =
        ::sendmmsg(socket_.fd, headers_.data() + done, static_cast<unsigned>(count - done), MSG_DONTWAIT);
    if (sent > 0) {
      for (int i = 0; i < sent; ++i) count_sent(datagrams_[done++]);
      continue;
    }
    const int reason = errno;
    if (sent < 0 && reason == EINTR) continue;
    if (is_queue_full(reason)) {
      result_.is_queue_full = true;
      if (!result_.error) result_.error = to_error(reason);
      return false;
    }
    if (datagrams_[done] > 1 && is_refusal(reason)) {
      if (!resend_in_pieces(*messages_[done], reason)) return false;
      ++done;
      continue;
    }
    if (!result_.error) result_.error = to_error(reason);
    // What an ICMP message told about an earlier datagram fails the next one on a connected socket, which the
    // kernel has not even looked at.
    if (socket_.is_connected && retried != done) {
      retried = done;
      continue;
    }
    ++done;
  }
  return true;
}

}  // namespace

DatagramSocket::DatagramSocket(int fd, Kind kind, bool is_connected, const Offloads& wanted)
    : fd_(fd), is_connected_(is_connected) {
  int family = AF_INET;
  socklen_t size = sizeof family;
  ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
  is_v6_ = family == AF_INET6;
  // What fails is lost: the traffic class is 0 then.
  if (is_v6_) {
    switch_on(fd, IPPROTO_IPV6, IPV6_RECVTCLASS);
  } else {
    switch_on(fd, IPPROTO_IP, IP_RECVTOS);
  }
  if (kind == Kind::kRaw) return;
  has_gro_ = wanted.udp_gro && switch_on(fd, IPPROTO_UDP, kUdpGro);
  int segment = 0;
  size = sizeof segment;
  can_segment_ = wanted.udp_segment && ::getsockopt(fd, IPPROTO_UDP, kUdpSegment, &segment, &size) == 0;
  may_segment_ = can_segment_;
}

Offloads DatagramSocket::granted() const {
  Offloads granted = Offloads::none();
  granted.udp_gro = has_gro_;
  granted.udp_segment = may_segment_.load(std::memory_order_relaxed);
  return granted;
}

void DatagramSocket::set_joining(bool is_on) {
  const int value = is_on ? 1 : 0;
  if (has_gro_) ::setsockopt(fd_, IPPROTO_UDP, kUdpGro, &value, sizeof value);
}

SendResult DatagramSocket::send(SendBatch& batch) {
  SendResult result;
  auto& scratch = *batch.scratch_;
  DatagramSender sender({fd_, is_v6_, is_connected_}, scratch, may_segment_, result);
  bool has_room = true;
  for (std::size_t i = 0; has_room && i < batch.message_count_; ++i) {
    const auto& message = scratch.messages[i];
    if (message.datagrams == 1 || (can_segment_ && scratch.may_segment(message))) {
      has_room = sender.add_whole(message);
    } else {
      has_room = sender.add_pieces(message);
    }
  }
  if (has_room) sender.flush();
  result.failed = batch.datagrams_ - result.sent;
  return result;
}

}  // namespace sixlink::platform
