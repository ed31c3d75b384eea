// SPDX-License-Identifier: BSD-3-Clause
// TUN queues with virtio-net headers: Documentation/networking/tuntap.rst, linux/virtio_net.h, virtio 1.2
// section 5.1.6.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "platform/packet_io.h"
#include "platform/posix/descriptor.h"

namespace sixlink::platform {
namespace {

using datapath::FrameHeader;
using datapath::Segmentation;
using posix::Descriptor;
using posix::last_error;

constexpr char kDevice[] = "/dev/net/tun";

// linux/virtio_net.h is no C++, and older ones lack what is new: struct virtio_net_hdr, in the machine's byte
// order, as neither TUNSETVNETLE nor TUNSETVNETBE is used.
struct VirtioHeader {
  std::uint8_t flags;
  std::uint8_t type;
  std::uint16_t header_length;
  std::uint16_t segment_size;
  std::uint16_t checksum_start;
  std::uint16_t checksum_offset;
};
static_assert(sizeof(VirtioHeader) == 10);
constexpr std::uint8_t kNeedsChecksum = 1;  // VIRTIO_NET_HDR_F_NEEDS_CSUM
constexpr std::uint8_t kTcpV4 = 1;          // VIRTIO_NET_HDR_GSO_TCPV4
constexpr std::uint8_t kTcpV6 = 4;          // VIRTIO_NET_HDR_GSO_TCPV6
constexpr std::uint8_t kUdp = 5;            // VIRTIO_NET_HDR_GSO_UDP_L4
constexpr std::uint8_t kCwr = 0x80;         // VIRTIO_NET_HDR_GSO_ECN

// Linux 6.2.
constexpr unsigned kOffloadUso4 = 0x20;  // TUN_F_USO4
constexpr unsigned kOffloadUso6 = 0x40;  // TUN_F_USO6

constexpr std::size_t kMostPieces = 1024;  // UIO_MAXIOV

FrameHeader from_virtio(const VirtioHeader& virtio) {
  FrameHeader header;
  switch (virtio.type & ~kCwr) {
    case kTcpV4:
    case kTcpV6:
      header.segmentation = Segmentation::kTcp;
      break;
    case kUdp:
      header.segmentation = Segmentation::kUdp;
      break;
    default:  // nothing else was asked for
      break;
  }
  header.has_cwr = (virtio.type & kCwr) != 0;
  header.needs_checksum = (virtio.flags & kNeedsChecksum) != 0;
  header.segment_size = virtio.segment_size;
  header.header_length = virtio.header_length;
  header.checksum_start = virtio.checksum_start;
  header.checksum_offset = virtio.checksum_offset;
  return header;
}

VirtioHeader to_virtio(const FrameHeader& header, bool is_v6) {
  VirtioHeader virtio{};
  if (header.needs_checksum) {
    virtio.flags = kNeedsChecksum;
    virtio.checksum_start = header.checksum_start;
    virtio.checksum_offset = header.checksum_offset;
  }
  if (header.segmentation == Segmentation::kNone) return virtio;
  if (header.segmentation == Segmentation::kUdp) {
    virtio.type = kUdp;
  } else {
    virtio.type = is_v6 ? kTcpV6 : kTcpV4;
    if (header.has_cwr) virtio.type |= kCwr;
  }
  virtio.segment_size = header.segment_size;
  virtio.header_length = header.header_length;
  return virtio;
}

class LinuxTunQueue final : public TunQueue {
 public:
  LinuxTunQueue(std::string name, Descriptor fd, bool has_headers, const Offloads& granted)
      : name_(std::move(name)), fd_(std::move(fd)), has_headers_(has_headers), granted_(granted) {}

  const std::string& name() const override { return name_; }
  int fd() const override { return fd_.get(); }
  Offloads granted() const override { return granted_; }

  std::ptrdiff_t read(FrameHeader& header, std::span<std::uint8_t> buffer) override {
    VirtioHeader virtio{};
    std::array<iovec, 2> pieces{{{&virtio, sizeof virtio}, {buffer.data(), buffer.size()}}};
    const int skipped = has_headers_ ? 0 : 1;
    for (;;) {
      const auto size = ::readv(fd_.get(), pieces.data() + skipped, 2 - skipped);
      if (size < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
        if (errno == EINTR) continue;
        return -errno;
      }
      if (!has_headers_) {
        header = {};
        return size;
      }
      if (size <= static_cast<ssize_t>(sizeof virtio)) return -EIO;
      header = from_virtio(virtio);
      return size - static_cast<ssize_t>(sizeof virtio);
    }
  }

  int write(const FrameHeader& header, std::span<const iovec> pieces) override {
    if (pieces.empty() || pieces[0].iov_len == 0) return -EINVAL;
    if (!has_headers_) return header.is_plain() ? write_pieces(pieces.data(), pieces.size()) : -EINVAL;
    if (pieces.size() >= kMostPieces) return -EINVAL;
    const bool is_v6 = *static_cast<const std::uint8_t*>(pieces[0].iov_base) >> 4 == 6;
    VirtioHeader virtio = to_virtio(header, is_v6);
    std::array<iovec, kMostPieces> all;
    all[0] = {&virtio, sizeof virtio};
    std::copy(pieces.begin(), pieces.end(), all.begin() + 1);
    return write_pieces(all.data(), pieces.size() + 1);
  }

 private:
  int write_pieces(const iovec* pieces, std::size_t count) const {
    for (;;) {
      if (::writev(fd_.get(), pieces, static_cast<int>(count)) >= 0) return 0;
      switch (errno) {
        case EINTR:
          continue;
        case EAGAIN:
        case ENOBUFS:
        case ENOMEM:
          return -ENOBUFS;
        default:
          return -errno;
      }
    }
  }

  std::string name_;
  Descriptor fd_;
  bool has_headers_;
  Offloads granted_;
};

struct Opened {
  Descriptor fd;
  std::string name;
  bool has_headers = false;
};

boost::system::result<Opened> attach(const std::string& name, int flags) {
  Opened opened{Descriptor(::open(kDevice, O_RDWR | O_NONBLOCK | O_CLOEXEC)), {}, false};
  if (!opened.fd) return last_error();
  ifreq request{};
  std::memcpy(request.ifr_name, name.c_str(), name.size() + 1);
  request.ifr_flags = static_cast<short>(IFF_TUN | IFF_NO_PI | flags);
  if (::ioctl(opened.fd.get(), TUNSETIFF, &request) != 0) return last_error();
  opened.name = request.ifr_name;
  if ((flags & IFF_VNET_HDR) == 0) return opened;
  int size = sizeof(VirtioHeader);
  if (::ioctl(opened.fd.get(), TUNSETVNETHDRSZ, &size) != 0) return last_error();
  opened.has_headers = true;
  return opened;
}

// The most of what is wanted that the kernel takes. Without any the headers stay, and say nothing.
Offloads set_offloads(const Descriptor& fd, const Offloads& wanted) {
  const auto set = [&](unsigned flags) {
    return ::ioctl(fd.get(), TUNSETOFFLOAD, static_cast<unsigned long>(flags)) == 0;
  };
  constexpr unsigned kTso = TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  constexpr unsigned kUso = kOffloadUso4 | kOffloadUso6;
  Offloads granted = Offloads::none();
  unsigned flags = 0;
  if (!wanted.tun_checksum || !set(TUN_F_CSUM)) return granted;
  granted.tun_checksum = true;
  flags = TUN_F_CSUM;
  if (wanted.tun_tcp && set(flags | kTso)) {
    granted.tun_tcp = true;
    flags |= kTso;
  }
  if (wanted.tun_udp && set(flags | kUso)) {
    granted.tun_udp = true;
    flags |= kUso;
  }
  // A refused call may have left anything.
  if (!set(flags)) granted = Offloads::none();
  return granted;
}

}  // namespace

boost::system::result<std::vector<std::unique_ptr<TunQueue>>> open_tun_queues(const std::string& name,
                                                                              std::size_t count,
                                                                              const Offloads& wanted) {
  const std::string asked = name == "tun" ? "tun%d" : name;
  if (asked.size() >= IFNAMSIZ) return posix::to_error(ENAMETOOLONG);
  // TUNSETIFF would attach to an existing persistent interface, which is not ours.
  if (asked == name && ::if_nametoindex(name.c_str()) != 0) return posix::to_error(EEXIST);

  int flags = wanted.tun_checksum ? IFF_VNET_HDR : 0;
  if (count > 1) flags |= IFF_MULTI_QUEUE;
  auto first = attach(asked, flags);
  if (!first && first.error().value() == EINVAL && flags != 0) {
    flags = 0;  // a kernel without one of them
    first = attach(asked, flags);
  }
  if (!first) return first.error();

  const Offloads granted = first->has_headers ? set_offloads(first->fd, wanted) : Offloads::none();
  const std::string given = first->name;
  const bool has_headers = first->has_headers;
  std::vector<std::unique_ptr<TunQueue>> queues;
  queues.push_back(std::make_unique<LinuxTunQueue>(given, std::move(first->fd), has_headers, granted));
  while ((flags & IFF_MULTI_QUEUE) != 0 && queues.size() < count) {
    auto next = attach(given, flags);
    if (!next) break;
    queues.push_back(std::make_unique<LinuxTunQueue>(given, std::move(next->fd), has_headers, granted));
  }
  return queues;
}

}  // namespace sixlink::platform
