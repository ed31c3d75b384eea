// SPDX-License-Identifier: BSD-3-Clause
// src/datapath/coalesce.cc beside the running kernel's GRO: TCP packets that we join, it joins too, into the
// same frame. It gets them by a TUN with IFF_NAPI, and forwards what it has joined to one that takes frames.
// What needs the privilege to create interfaces is left out without it.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <thread>

#include "platform/packet_io.h"
#include "src/datapath/coalesce.h"
#include "tests/unit/datapath/frame_oracle.h"
#include "tests/unit/platform/in_own_network.h"

using namespace sixlink;
using namespace sixlink::platform;
using test::Bytes;
using test::Shape;

namespace {

struct Frame {
  datapath::FrameHeader header;
  Bytes bytes;
};

// test -> gro0 (the kernel joins) -> kernel -> frames0 -> test
class Joiner {
 public:
  Joiner() = default;
  Joiner(const Joiner&) = delete;
  Joiner& operator=(const Joiner&) = delete;
  ~Joiner() {
    if (in_ >= 0) ::close(in_);
  }

  // 0; 255: not possible here.
  int open() {
    auto frames = open_tun_queues("frames0", 1, {});
    if (!frames || !(*frames)[0]->granted().tun_tcp) return 255;
    out_ = std::move(*frames);
    in_ = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    ifreq request{};
    std::strcpy(request.ifr_name, "gro0");
    request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_NAPI;
    if (::ioctl(in_, TUNSETIFF, &request) != 0) return 255;
    // What was joined waits for more until the end of a tick; /sys shows this namespace only when mounted in
    // it.
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("sysfs", "/sys", "sysfs", 0, nullptr) != 0) {
      return 255;
    }
    if (std::system("echo 20000000 >/sys/class/net/gro0/gro_flush_timeout &&"
                    "echo 10 >/sys/class/net/gro0/napi_defer_hard_irqs") != 0) {
      return 255;
    }
    const bool is_set =
        test::set_sysctl("ipv6/conf/all/forwarding", "1") && test::set_sysctl("ipv4/ip_forward", "1") &&
        test::set_sysctl("ipv4/conf/all/rp_filter", "0") &&
        test::set_sysctl("ipv4/conf/gro0/rp_filter", "0") && test::ip("link set frames0 up") &&
        test::ip("link set gro0 up") && test::ip("route add 192.0.2.0/24 dev gro0") &&
        test::ip("route add 198.51.100.0/24 dev frames0") &&
        test::ip("-6 route add 2001:db8:0:1::/64 dev gro0") &&
        test::ip("-6 route add 2001:db8:0:2::/64 dev frames0");
    return is_set ? 0 : 1;
  }

  // What the kernel makes of packets that come at once. A tick that ends between them keeps them apart: the
  // fewest frames of several tries.
  std::vector<Frame> join(const std::vector<Bytes>& packets, std::size_t wanted) {
    std::vector<Frame> best;
    for (int tries = 0; tries < 30; ++tries) {
      for (const auto& packet : packets)
        if (::write(in_, packet.data(), packet.size()) < 0) return {};
      auto frames = read(packets);
      if (best.empty() || frames.size() < best.size()) best = std::move(frames);
      if (best.size() == wanted) break;
    }
    return best;
  }

 private:
  std::vector<Frame> read(const std::vector<Bytes>& packets) {
    std::vector<Frame> frames;
    std::size_t wanted = 0;
    for (const auto& packet : packets) wanted += packet.size() - header_of(packet);
    std::size_t seen = 0;
    Bytes buffer(datapath::kFrameBuffer);
    for (int tries = 0; tries < 200 && seen < wanted; ++tries) {
      Frame frame;
      const auto size = out_[0]->read(frame.header, buffer);
      if (size <= 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        continue;
      }
      frame.bytes = test::slice(buffer, 0, static_cast<std::size_t>(size));
      const bool is_tcp = frame.bytes[0] >> 4 == 4 ? frame.bytes[9] == 6 : frame.bytes[6] == 6;
      if (!is_tcp) continue;
      seen += frame.bytes.size() - header_of(frame.bytes);
      frames.push_back(std::move(frame));
    }
    return frames;
  }
  static std::size_t header_of(const Bytes& packet) {
    const std::size_t at = packet[0] >> 4 == 4 ? (packet[0] & 15U) * 4U : 40;
    return at + (packet.at(at + 12) >> 4) * 4U;
  }

  int in_ = -1;
  std::vector<std::unique_ptr<TunQueue>> out_;
};

std::vector<Frame> join_ourselves(const std::vector<Bytes>& packets) {
  datapath::Coalescer coalescer;
  for (const auto& packet : packets)
    if (!coalescer.add(packet)) return {};
  std::vector<Frame> frames;
  for (std::size_t i = 0; i < coalescer.frames(); ++i) {
    const auto frame = coalescer.frame(i);
    frames.push_back({frame.header, {}});
    for (const auto& piece : frame.pieces) {
      const auto* from = static_cast<const std::uint8_t*>(piece.iov_base);
      frames.back().bytes.insert(frames.back().bytes.end(), from, from + piece.iov_len);
    }
  }
  return frames;
}

// The kernel forwards: one hop less, in IPv4's checksum too.
Bytes forwarded(Bytes frame) {
  if (frame[0] >> 4 == 6) {
    --frame[7];
    return frame;
  }
  --frame[8];
  test::put16(frame, 10, 0);
  test::put16(frame, 10, 0xffffU - test::slow_sum(test::slice(frame, 0, 20)));
  return frame;
}

struct Case {
  const char* name;
  std::function<void(Shape&)> change;  // of the second packet
};

const std::vector<Case> kCases{
    {"nothing", [](Shape&) {}},
    {"PSH", [](Shape& s) { s.flags = 0x18; }},
    {"ECE", [](Shape& s) { s.flags = 0x50; }},
    {"FIN", [](Shape& s) { s.flags = 0x11; }},
    {"CWR", [](Shape& s) { s.flags = 0x90; }},
    {"less data", [](Shape& s) { s.data.resize(10); }},
    {"more data", [](Shape& s) { s.data.resize(400); }},
    {"a gap", [](Shape& s) { s.sequence += 1; }},
    {"another acknowledgement", [](Shape& s) { s.acknowledgement += 1; }},
    {"other options", [](Shape& s) { s.tcp_options += 4; }},
    {"another port", [](Shape& s) { s.source_port += 1; }},
    {"another traffic class", [](Shape& s) { s.traffic_class = 1; }},
    {"another hop limit", [](Shape& s) { s.hop_limit = 60; }},
    {"DF", [](Shape& s) { s.may_fragment = !s.may_fragment; }},
    {"an identification that jumps", [](Shape& s) { s.identification += 5; }},
    // Not that it stays the same: what the kernel has joined so, it cuts again before a TUN, which cannot be
    // told.
};

}  // namespace

TEST_CASE("kernel gro: what we join, the kernel joins into the same frame") {
  const int result = test::in_own_network([] {
    Joiner kernel;
    if (const int failure = kernel.open()) return failure;
    int joined = 0;
    for (const bool is_v4 : {false, true}) {
      for (const bool may_fragment : {false, true}) {
        if (!is_v4 && may_fragment) continue;
        for (const auto& one : kCases) {
          Shape first;
          first.is_v4 = is_v4;
          first.may_fragment = may_fragment;
          first.tcp_options = 12;
          first.data = Bytes(300, 1);
          Shape second = first;
          second.sequence += 300;
          second.identification = static_cast<std::uint16_t>(first.identification + 1);
          one.change(second);
          const std::vector<Bytes> packets{test::make_packet(first), test::make_packet(second)};
          const auto ours = join_ourselves(packets);
          const auto theirs = kernel.join(packets, ours.size());
          if (ours.size() == 2 && theirs.size() == 2) continue;
          if (ours.size() != 1) {
            std::printf("IPv%d, %s: joined by the kernel alone\n", is_v4 ? 4 : 6, one.name);
            continue;
          }
          ++joined;
          const bool is_same = theirs.size() == 1 && theirs[0].bytes == forwarded(ours[0].bytes) &&
                               theirs[0].header.segmentation == ours[0].header.segmentation &&
                               theirs[0].header.segment_size == ours[0].header.segment_size &&
                               theirs[0].header.checksum_start == ours[0].header.checksum_start &&
                               theirs[0].header.checksum_offset == ours[0].header.checksum_offset;
          if (is_same) continue;
          std::printf("IPv%d, %s: the kernel makes %zu frames of it\n", is_v4 ? 4 : 6, one.name,
                      theirs.size());
          return 10;
        }
      }
    }
    return joined >= 10 ? 0 : 11;
  });
  if (result < 0) {
    MESSAGE("not tested: needs root, /dev/net/tun and a kernel whose TUN has NAPI");
    return;
  }
  CHECK(result == 0);
}

TEST_CASE("kernel gro: a run of segments becomes one frame there and here") {
  const int result = test::in_own_network([] {
    Joiner kernel;
    if (const int failure = kernel.open()) return failure;
    for (const bool is_v4 : {false, true}) {
      Shape shape;
      shape.is_v4 = is_v4;
      shape.tcp_options = 12;
      shape.flags = 0x18;
      shape.sequence = 0xfffffc00;
      shape.data = Bytes(12 * 1000 + 77, 3);
      const auto packets = test::cut_slowly(shape, 1000);
      const auto ours = join_ourselves(packets);
      const auto theirs = kernel.join(packets, 1);
      if (ours.size() != 1 || theirs.size() != 1) return 10 + static_cast<int>(theirs.size());
      if (theirs[0].bytes != forwarded(ours[0].bytes)) return 2;
      if (theirs[0].header.segment_size != 1000) return 3;
    }
    return 0;
  });
  if (result < 0) {
    MESSAGE("not tested: needs root, /dev/net/tun and a kernel whose TUN has NAPI");
    return;
  }
  CHECK(result == 0);
}
