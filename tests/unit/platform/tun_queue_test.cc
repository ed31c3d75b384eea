// SPDX-License-Identifier: BSD-3-Clause
// platform/<os>/tun_queue.cc, and what the running kernel makes of frames: it must cut as
// src/datapath/segment.cc does, accept what src/datapath/coalesce.cc makes, and carry connections over both.
// What needs the privilege to create interfaces is left out without it.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <deque>
#include <random>
#include <thread>

#include "platform/packet_io.h"
#include "src/datapath/coalesce.h"
#include "src/datapath/segment.h"
#include "tests/unit/datapath/frame_oracle.h"
#include "tests/unit/platform/in_own_network.h"

using namespace sixlink;
using namespace sixlink::platform;
using datapath::Coalescer;
using datapath::FrameHeader;
using datapath::Segmentation;
using datapath::Segmenter;
using test::Bytes;
using test::Shape;

namespace {

using Queues = std::vector<std::unique_ptr<TunQueue>>;

constexpr char kNotTested[] = "not tested: needs the privilege to create interfaces, and /dev/net/tun";

// What a body in a namespace says: 255 becomes "not permitted here".
constexpr int kNotPermitted = 255;

int status_of(const boost::system::error_code& error) {
  return error == boost::system::errc::no_such_file_or_directory ||
                 error == boost::system::errc::operation_not_permitted
             ? kNotPermitted
             : 1;
}

int write_whole(TunQueue& queue, const FrameHeader& header, Bytes frame) {
  const iovec piece{frame.data(), frame.size()};
  return queue.write(header, {&piece, 1});
}

}  // namespace

TEST_CASE("tun queue: names as with open_tun(), and gone with the last queue") {
  const int result = test::in_own_network([] {
    auto first = open_tun_queues("tun", 1, {});
    if (!first) return status_of(first.error());
    auto second = open_tun_queues("tun", 1, Offloads::none());
    if (!second || (*first)[0]->name() != "tun0" || (*second)[0]->name() != "tun1") return 2;
    auto named = open_tun_queues("sixlink-test0", 3, {});
    if (!named || named->empty() || ::if_nametoindex("sixlink-test0") == 0) return 3;
    for (const auto& queue : *named)
      if (queue->name() != "sixlink-test0" || queue->granted() != named->front()->granted()) return 4;
    if (open_tun_queues("sixlink-test0", 1, {}).error().value() != EEXIST) return 5;
    if (open_tun_queues("lo", 1, {}).error().value() != EEXIST) return 6;
    if (open_tun_queues("a-name-too-long-for-an-interface", 1, {}).error().value() != ENAMETOOLONG) return 7;
    // Nothing there, and an interface that is down takes nothing: neither may block.
    Bytes buffer(datapath::kFrameBuffer);
    FrameHeader header;
    if (named->front()->read(header, buffer) != 0) return 8;
    if (write_whole(*named->front(), {}, Bytes(100, 0x60)) != -EIO) return 9;
    if (named->front()->write({}, {}) != -EINVAL) return 10;
    named->pop_back();
    if (::if_nametoindex("sixlink-test0") == 0) return 11;
    named->clear();
    return ::if_nametoindex("sixlink-test0") == 0 ? 0 : 12;
  });
  if (result < 0) {
    MESSAGE(kNotTested);
    return;
  }
  CHECK(result == 0);
}

TEST_CASE("tun queue: what is not wanted is not granted") {
  const int result = test::in_own_network([] {
    auto opened = open_tun_queues("all0", 1, {});
    if (!opened) return status_of(opened.error());
    const Offloads all = (*opened)[0]->granted();
    if (all.udp_segment || all.udp_gro) return 2;  // the socket's
    // Each needs those before it.
    if ((all.tun_tcp || all.tun_udp) && !all.tun_checksum) return 3;
    Offloads wanted;
    wanted.tun_udp = false;
    opened = open_tun_queues("no-udp0", 1, wanted);
    if (!opened || (*opened)[0]->granted().tun_udp) return 4;
    if ((*opened)[0]->granted().tun_tcp != all.tun_tcp) return 5;
    wanted.tun_udp = true;
    wanted.tun_tcp = false;
    opened = open_tun_queues("no-tcp0", 1, wanted);
    if (!opened || (*opened)[0]->granted().tun_tcp || (*opened)[0]->granted().tun_udp != all.tun_udp)
      return 6;
    wanted.tun_checksum = false;
    for (const auto& none : {wanted, Offloads::none()}) {
      opened = open_tun_queues("none0", 2, none);
      if (!opened || (*opened)[0]->granted() != Offloads::none()) return 7;
      // Frames cannot even be said.
      FrameHeader header;
      header.needs_checksum = true;
      if (write_whole(*(*opened)[0], header, Bytes(100, 0x60)) != -EINVAL) return 8;
      opened->clear();
    }
    std::printf("offloads of this kernel's TUN: %s\n", to_string(all).c_str());
    return 0;
  });
  if (result < 0) {
    MESSAGE(kNotTested);
    return;
  }
  CHECK(result == 0);
}

TEST_CASE("tun queue: offloads are told by name") {
  CHECK(to_string(Offloads::none()) == "none");
  CHECK(to_string(Offloads{}) == "tun-checksum tun-tcp tun-udp udp-segment udp-gro");
  Offloads some = Offloads::none();
  some.tun_tcp = some.udp_gro = true;
  CHECK(to_string(some) == "tun-tcp udp-gro");
}

namespace {

// A host that forwards from one TUN, which takes frames, to another one, which takes packets alone.
//
//   test -> frames0 -> kernel -> packets0 -> test
class Forwarder {
 public:
  // 0, or what the test's body returns.
  int open() {
    auto frames = open_tun_queues("frames0", 1, {});
    if (!frames) return status_of(frames.error());
    auto packets = open_tun_queues("packets0", 1, Offloads::none());
    if (!packets) return 2;
    frames_ = std::move(*frames);
    packets_ = std::move(*packets);
    if (!frames_[0]->granted().tun_tcp) return kNotPermitted;
    const bool is_set =
        test::set_sysctl("ipv6/conf/all/forwarding", "1") &&
        test::set_sysctl("ipv6/conf/packets0/router_solicitations", "0") &&
        test::set_sysctl("ipv4/ip_forward", "1") && test::set_sysctl("ipv4/conf/all/rp_filter", "0") &&
        test::set_sysctl("ipv4/conf/frames0/rp_filter", "0") && test::ip("link set frames0 up") &&
        test::ip("link set packets0 up") && test::ip("route add 192.0.2.0/24 dev frames0") &&
        test::ip("route add 198.51.100.0/24 dev packets0") &&
        test::ip("-6 route add 2001:db8:0:1::/64 dev frames0") &&
        test::ip("-6 route add 2001:db8:0:2::/64 dev packets0");
    return is_set ? 0 : 3;
  }
  TunQueue& in() { return *frames_[0]; }
  // What comes out of a frame; nothing of the kernel's own.
  std::vector<Bytes> out(std::size_t expected) {
    std::vector<Bytes> packets;
    Bytes buffer(datapath::kFrameBuffer);
    for (int tries = 0; tries < 200 && packets.size() < expected; ++tries) {
      FrameHeader header;
      const auto size = packets_[0]->read(header, buffer);
      if (size < 0) break;
      if (size == 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        continue;
      }
      tries = 0;
      Bytes packet = test::slice(buffer, 0, static_cast<std::size_t>(size));
      const bool is_ours = packet[0] >> 4 == 4 ? packet[9] == 6 || packet[9] == 17 : packet[24] == 0x20;
      if (is_ours) packets.push_back(std::move(packet));
    }
    return packets;
  }

 private:
  Queues frames_;
  Queues packets_;
};

// As a packet is after the kernel has forwarded it.
Bytes forwarded(Bytes packet) {
  if (packet[0] >> 4 == 6) {
    --packet[7];
    return packet;
  }
  --packet[8];
  const std::size_t header = (packet[0] & 15U) * 4U;
  test::put16(packet, 10, 0);
  test::put16(packet, 10, 0xffffU - test::slow_sum(test::slice(packet, 0, header)));
  return packet;
}

void report(const char* what, int round, const std::vector<Bytes>& expected,
            const std::vector<Bytes>& found) {
  std::printf("%s %d: %zu packets expected, %zu found\n", what, round, expected.size(), found.size());
  for (std::size_t i = 0; i < std::min(expected.size(), found.size()); ++i) {
    if (expected[i] == found[i]) continue;
    std::printf("packet %zu: %zu bytes expected, %zu found\n", i, expected[i].size(), found[i].size());
    for (std::size_t at = 0; at < std::min(expected[i].size(), found[i].size()); ++at)
      if (expected[i][at] != found[i][at])
        std::printf(" at %zu: %02x expected, %02x found\n", at, expected[i][at], found[i][at]);
    break;
  }
  std::fflush(stdout);
}

}  // namespace

TEST_CASE("tun queue: the kernel cuts frames as we do") {
  const int result = test::in_own_network([] {
    Forwarder forwarder;
    if (const int failure = forwarder.open()) return failure;
    std::mt19937 random(60);
    for (int round = 0; round < 400; ++round) {
      Shape shape = test::random_shape(random);
      shape.hop_limit = 64;
      // What this kernel does not forward or cut is no matter of ours: IPv6 in front of UDP frames, routing.
      if (!shape.final_destination.empty() || !shape.is_tcp) {
        shape.extensions.clear();
        shape.final_destination.clear();
      }
      const std::size_t segment_size = 100 + random() % 1200;
      const std::size_t packets = 2 + random() % 40;
      const std::size_t most = std::min<std::size_t>(65535 - shape.header(), segment_size * packets);
      shape.data = test::random_bytes(random, segment_size + 1 + random() % (most - segment_size));
      const auto header = test::frame_header(shape, segment_size);
      if (shape.is_tcp ? !forwarder.in().granted().tun_tcp : !forwarder.in().granted().tun_udp) continue;

      auto frame = test::make_packet(shape, false);
      const int written = write_whole(forwarder.in(), header, frame);
      std::vector<Bytes> expected;
      Segmenter segmenter;
      if (!segmenter.start(header, frame)) return 10;
      Bytes buffer(segmenter.largest());
      while (const auto size = segmenter.next_into(buffer))
        expected.push_back(forwarded(test::slice(buffer, 0, size)));
      const auto found = forwarder.out(expected.size());
      if (written != 0 || found != expected) {
        std::printf("write: %d; IPv%d %s, %zu bytes of headers\n", written, shape.is_v4 ? 4 : 6,
                    shape.is_tcp ? "TCP" : "UDP", shape.header());
        report("cutting, round", round, expected, found);
        return 11;
      }
    }
    return 0;
  });
  if (result < 0) {
    MESSAGE(kNotTested);
    return;
  }
  CHECK(result == 0);
}

TEST_CASE("tun queue: the kernel takes joined frames, and cuts them into the packets that they were") {
  const int result = test::in_own_network([] {
    Forwarder forwarder;
    if (const int failure = forwarder.open()) return failure;
    std::mt19937 random(61);
    Coalescer coalescer({.tcp = true, .udp = forwarder.in().granted().tun_udp});
    std::size_t joined = 0;
    for (int round = 0; round < 200; ++round) {
      Shape shape;
      shape.is_v4 = random() % 2 != 0;
      shape.is_tcp = random() % 2 != 0;
      shape.tcp_options = random() % 11 * 4;
      shape.sequence = static_cast<std::uint32_t>(random());
      shape.identification = static_cast<std::uint16_t>(random());
      shape.may_fragment = random() % 2 != 0;
      shape.flags = random() % 2 != 0 ? 0x18 : 0x50;
      const std::size_t segment_size = 1 + random() % 1300;
      shape.data = test::random_bytes(random, 1 + random() % std::min<std::size_t>(segment_size * 70, 90000));
      const auto packets = test::cut_slowly(shape, segment_size);
      std::vector<Bytes> expected;
      for (const auto& packet : packets) expected.push_back(forwarded(packet));
      if (packets.size() > 400) continue;  // more than the interface's queue
      for (const auto& packet : packets)
        if (!coalescer.add(packet)) return 10;
      joined += packets.size() - coalescer.frames();
      for (std::size_t i = 0; i < coalescer.frames(); ++i) {
        const auto frame = coalescer.frame(i);
        if (forwarder.in().write(frame.header, frame.pieces) != 0) return 11;
      }
      coalescer.clear();
      const auto found = forwarder.out(expected.size());
      if (found != expected) {
        report("joining, round", round, expected, found);
        return 12;
      }
    }
    return joined > 1000 ? 0 : 13;
  });
  if (result < 0) {
    MESSAGE(kNotTested);
    return;
  }
  CHECK(result == 0);
}

namespace {

// From one TUN to another one, as the lanes do it.
class Pump {
 public:
  Pump(TunQueue& from, TunQueue& to)
      : from_(from), to_(to), coalescer_({.tcp = to.granted().tun_tcp, .udp = to.granted().tun_udp}) {}

  // False: something is wrong.
  bool run() {
    FrameHeader header;
    frames_.resize(8);
    std::size_t used = 0;
    std::deque<Bytes> packets;
    for (auto& buffer : frames_) {
      buffer.resize(datapath::kFrameBuffer);
      const auto size = from_.read(header, buffer);
      if (size < 0) return false;
      if (size == 0) break;
      ++frames_read;
      if (!segmenter_.start(header, std::span(buffer).first(static_cast<std::size_t>(size)))) return false;
      for (;;) {
        Bytes packet(segmenter_.largest());
        const auto written = segmenter_.next_into(packet);
        if (written == 0) break;
        packet.resize(written);
        packets.push_back(std::move(packet));
      }
      ++used;
    }
    packets_read += packets.size();
    for (const auto& packet : packets)
      if (!coalescer_.add(packet)) return false;
    for (std::size_t i = 0; i < coalescer_.frames(); ++i) {
      const auto frame = coalescer_.frame(i);
      ++frames_written;
      const int result = to_.write(frame.header, frame.pieces);
      if (result != 0 && result != -ENOBUFS) return false;
    }
    coalescer_.clear();
    return true;
  }

  std::size_t frames_read = 0;
  std::size_t packets_read = 0;
  std::size_t frames_written = 0;

 private:
  TunQueue& from_;
  TunQueue& to_;
  Segmenter segmenter_;
  Coalescer coalescer_;
  std::vector<Bytes> frames_;
};

std::uint8_t data_at(std::size_t at) {
  return static_cast<std::uint8_t>(at * 7 + at / 251);
}

struct Ends {
  Queues near;
  Queues far;
  int client = -1;
  int server = -1;
};

sockaddr_storage address_of(bool is_v4, const char* text, std::uint16_t port, socklen_t& size) {
  sockaddr_storage storage{};
  if (is_v4) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    ::inet_pton(AF_INET, text, &v4->sin_addr);
    size = sizeof *v4;
  } else {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    ::inet_pton(AF_INET6, text, &v6->sin6_addr);
    size = sizeof *v6;
  }
  return storage;
}

// Two network namespaces with a TUN each: the near one with the client's socket is left for the far one.
int open_ends(Ends& ends, bool is_v4, const Offloads& near, const Offloads& far) {
  const int family = is_v4 ? AF_INET : AF_INET6;
  auto opened = open_tun_queues("near0", 1, near);
  if (!opened) return status_of(opened.error());
  ends.near = std::move(*opened);
  if (!test::ip("addr add 192.0.2.1/24 dev near0") || !test::ip("addr add 2001:db8::1/64 dev near0 nodad") ||
      !test::ip("link set near0 up mtu 1420")) {
    return 2;
  }
  ends.client = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (::unshare(CLONE_NEWNET) != 0) return 3;
  opened = open_tun_queues("far0", 1, far);
  if (!opened) return 4;
  ends.far = std::move(*opened);
  if (!test::ip("addr add 192.0.2.2/24 dev far0") || !test::ip("addr add 2001:db8::2/64 dev far0 nodad") ||
      !test::ip("link set far0 up mtu 1420")) {
    return 5;
  }
  ends.server = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
  socklen_t size = 0;
  const auto address = address_of(is_v4, is_v4 ? "192.0.2.2" : "2001:db8::2", 4000, size);
  if (::bind(ends.server, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::listen(ends.server, 1) != 0) {
    return 6;
  }
  if (::connect(ends.client, reinterpret_cast<const sockaddr*>(&address), size) != 0 && errno != EINPROGRESS)
    return 7;
  return 0;
}

// A connection between the two over our cutting and joining: all of `total` bytes arrive as they were sent.
int transfer(bool is_v4, const Offloads& near, const Offloads& far, std::size_t total) {
  Ends ends;
  if (const int failure = open_ends(ends, is_v4, near, far)) return failure;
  Pump out(*ends.near[0], *ends.far[0]);
  Pump back(*ends.far[0], *ends.near[0]);
  std::size_t sent = 0;
  std::size_t received = 0;
  int accepted = -1;
  Bytes buffer(1 << 16);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (received < total && std::chrono::steady_clock::now() < end) {
    if (!out.run() || !back.run()) return 20;
    if (accepted < 0) accepted = ::accept4(ends.server, nullptr, nullptr, SOCK_NONBLOCK);
    const std::size_t piece = std::min(buffer.size(), total - sent);
    for (std::size_t i = 0; i < piece; ++i) buffer[i] = data_at(sent + i);
    if (piece > 0) {
      const auto written = ::send(ends.client, buffer.data(), piece, MSG_NOSIGNAL);
      if (written > 0) sent += static_cast<std::size_t>(written);
    }
    const auto got = accepted >= 0 ? ::recv(accepted, buffer.data(), buffer.size(), 0) : -1;
    for (ssize_t i = 0; i < got; ++i)
      if (buffer[static_cast<std::size_t>(i)] != data_at(received++)) return 21;
    if (got <= 0) {
      pollfd wait[3] = {
          {ends.near[0]->fd(), POLLIN, 0}, {ends.far[0]->fd(), POLLIN, 0}, {accepted, POLLIN, 0}};
      ::poll(wait, accepted < 0 ? 2 : 3, 10);
    }
  }
  if (received < total) return 22;
  std::printf("IPv%d: %zu frames read, %zu packets, %zu frames written; back %zu, %zu, %zu\n", is_v4 ? 4 : 6,
              out.frames_read, out.packets_read, out.frames_written, back.frames_read, back.packets_read,
              back.frames_written);
  // That the data came in frames, and not packet by packet.
  if (ends.near[0]->granted().tun_tcp && out.packets_read < 4 * out.frames_read) return 23;
  if (ends.far[0]->granted().tun_tcp && ends.near[0]->granted().tun_tcp &&
      out.packets_read < 4 * out.frames_written) {
    return 24;
  }
  if (!ends.near[0]->granted().tun_tcp && out.packets_read != out.frames_read) return 25;
  if (!ends.far[0]->granted().tun_tcp && out.packets_read != out.frames_written) return 26;
  return 0;
}

}  // namespace

TEST_CASE(
    "tun queue: a TCP connection of the kernel's goes through cutting and joining, with and without "
    "offloads") {
  for (const bool is_v4 : {false, true}) {
    for (const auto& [near, far] :
         {std::pair{Offloads{}, Offloads{}}, std::pair{Offloads::none(), Offloads{}},
          std::pair{Offloads{}, Offloads::none()}, std::pair{Offloads::none(), Offloads::none()}}) {
      CAPTURE(is_v4);
      CAPTURE(to_string(near));
      CAPTURE(to_string(far));
      const int result =
          test::in_own_network([&, one = near, two = far] { return transfer(is_v4, one, two, 4 << 20); });
      if (result < 0) {
        MESSAGE(kNotTested);
        return;
      }
      CHECK(result == 0);
    }
  }
}

TEST_CASE("tun queue: several queues each read what the kernel gives them, and all may write") {
  const int result = test::in_own_network([] {
    auto opened = open_tun_queues("many0", 4, {});
    if (!opened) return status_of(opened.error());
    if (opened->size() != 4) return kNotPermitted;
    if (!test::ip("addr add 192.0.2.1/24 dev many0") || !test::ip("link set many0 up")) return 2;
    // A flow that a queue has written comes back on that queue.
    Bytes buffer(datapath::kFrameBuffer);
    for (std::size_t i = 0; i < opened->size(); ++i) {
      Shape shape;
      shape.is_v4 = true;
      shape.is_tcp = false;
      shape.source_port = static_cast<std::uint16_t>(2000 + i);
      shape.target_port = 9;
      shape.host = 2;
      shape.data = Bytes(10, 1);
      auto packet = test::make_packet(shape);
      const Bytes to{192, 0, 2, 1};
      std::copy(to.begin(), to.end(), packet.begin() + 16);
      test::seal(packet, shape);
      if (write_whole(*(*opened)[i], {}, packet) != 0) return 3;
      // Nobody listens there: the kernel says so with ICMP, on any queue.
      bool is_answered = false;
      for (int tries = 0; tries < 1000 && !is_answered; ++tries) {
        for (const auto& queue : *opened) {
          FrameHeader header;
          while (queue->read(header, buffer) > 0) is_answered |= buffer[0] == 0x45 && buffer[9] == 1;
        }
        if (!is_answered) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      if (!is_answered) return 4;
    }
    return 0;
  });
  if (result < 0) {
    MESSAGE(kNotTested);
    return;
  }
  CHECK(result == 0);
}
