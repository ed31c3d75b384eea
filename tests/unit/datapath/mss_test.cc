// SPDX-License-Identifier: BSD-3-Clause
#include "src/datapath/mss.h"

#include <doctest/doctest.h>

#include <random>

#include "tests/unit/net/ipv4_packet.h"

using namespace sixlink;
using namespace sixlink::datapath;
using test::ipv4_packet;
using test::ipv6_packet;
using test::Packet;
using test::slow_checksum;
using test::v6;

namespace {

constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kSynAck = 0x12;
constexpr std::uint8_t kAck = 0x10;

const Packet kMss1460{2, 4, 0x05, 0xb4};

// A header with options padded to words, and payload. The checksum is not filled in.
Packet tcp(Packet options, std::uint8_t flags = kSyn, const Packet& payload = {}) {
  while (options.size() % 4 != 0) options.push_back(0);
  Packet bytes{0x30, 0x39, 0x01, 0xbb, 1, 2, 3, 4, 5, 6, 7, 8};
  bytes.push_back(static_cast<std::uint8_t>((20 + options.size()) / 4 << 4));
  bytes.push_back(flags);
  bytes.insert(bytes.end(), {0xff, 0xff, 0, 0, 0, 0});
  bytes.insert(bytes.end(), options.begin(), options.end());
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

// RFC 9293 section 3.1, slowly, over pseudo-header and segment. 0 when the checksum within is right.
std::uint16_t slow_tcp_checksum(const Packet& packet, std::size_t at) {
  const bool is_v4 = packet[0] >> 4 == 4;
  const std::ptrdiff_t from = is_v4 ? 12 : 8;
  Packet words(packet.begin() + from, packet.begin() + (is_v4 ? 20 : 40));
  const auto size = packet.size() - at;
  words.insert(words.end(), {0, 6, static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size)});
  words.insert(words.end(), packet.begin() + static_cast<std::ptrdiff_t>(at), packet.end());
  return slow_checksum(words);
}

Packet with_checksum(Packet packet, std::size_t at) {
  test::put_checksum(packet, at + 16, 0);
  test::put_checksum(packet, at + 16, slow_tcp_checksum(packet, at));
  return packet;
}

Packet four(const Packet& segment) {
  return with_checksum(ipv4_packet("203.0.113.2", "192.0.2.9", 6, segment), 20);
}
Packet six(const Packet& segment) {
  return with_checksum(ipv6_packet(v6("2001:db8::1"), v6("2001:db8::2"), 6, segment), 40);
}

// The packet with the options that are expected in place of its own, sums made anew.
bool becomes(const Packet& before, std::size_t mtu, const Packet& after) {
  auto changed = before;
  const bool result = clamp_mss(changed, mtu);
  return result && changed == after;
}
bool is_left_alone(const Packet& before, std::size_t mtu) {
  auto same = before;
  return !clamp_mss(same, mtu) && same == before;
}

}  // namespace

TEST_CASE("mss: a SYN and its answer are told what the tunnel carries") {
  for (const auto flags : {kSyn, kSynAck}) {
    CHECK(becomes(four(tcp(kMss1460, flags)), 1280, four(tcp({2, 4, 0x04, 0xd8}, flags))));  // 1240
    CHECK(becomes(six(tcp(kMss1460, flags)), 1280, six(tcp({2, 4, 0x04, 0xc4}, flags))));    // 1220
  }
  CHECK(becomes(six(tcp(kMss1460)), 1519, six(tcp({2, 4, 0x05, 0xb3}))));
  CHECK(becomes(four(tcp(kMss1460)), 1499, four(tcp({2, 4, 0x05, 0xb3}))));
  CHECK(becomes(four(tcp({2, 4, 0xff, 0xff})), 65574, four(tcp({2, 4, 0xff, 0xfe}))));
}

TEST_CASE("mss: it is never raised") {
  CHECK(is_left_alone(six(tcp(kMss1460)), 1520));
  CHECK(is_left_alone(four(tcp(kMss1460)), 1500));
  CHECK(is_left_alone(four(tcp({2, 4, 0, 0})), 1280));
  CHECK(is_left_alone(four(tcp({2, 4, 0xff, 0xff})), 65575));
  CHECK(is_left_alone(four(tcp({2, 4, 0xff, 0xff})), 1000000));
  CHECK(is_left_alone(four(tcp({})), 1280));
}

TEST_CASE("mss: an MTU without room for a segment changes nothing") {
  CHECK(is_left_alone(four(tcp(kMss1460)), 40));
  CHECK(is_left_alone(six(tcp(kMss1460)), 60));
  CHECK(is_left_alone(six(tcp(kMss1460)), 0));
  CHECK(becomes(four(tcp(kMss1460)), 41, four(tcp({2, 4, 0, 1}))));
}

TEST_CASE("mss: only connections that begin") {
  CHECK(is_left_alone(four(tcp(kMss1460, kAck)), 1280));
  CHECK(is_left_alone(six(tcp(kMss1460, 0)), 1280));
  CHECK(is_left_alone(ipv6_packet(v6("2001:db8::1"), v6("2001:db8::2"), 17, tcp(kMss1460)), 1280));
  CHECK(is_left_alone(ipv4_packet("203.0.113.2", "192.0.2.9", 17, tcp(kMss1460)), 1280));
}

TEST_CASE("mss: it is found among other options, on odd places too") {
  const Packet usual{2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7};
  auto lowered = usual;
  lowered[2] = 0x04;
  lowered[3] = 0xc4;
  CHECK(becomes(six(tcp(usual)), 1280, six(tcp(lowered))));
  CHECK(becomes(six(tcp({1, 2, 4, 0x05, 0xb4})), 1280, six(tcp({1, 2, 4, 0x04, 0xc4}))));
  CHECK(becomes(four(tcp({3, 3, 7, 2, 4, 0x05, 0xb4})), 1280, four(tcp({3, 3, 7, 2, 4, 0x04, 0xd8}))));
  CHECK(becomes(four(tcp({2, 4, 0x05, 0xb4, 2, 4, 0x23, 0, 2, 4, 1, 0})), 1280,
                four(tcp({2, 4, 0x04, 0xd8, 2, 4, 0x04, 0xd8, 2, 4, 1, 0}))));
  Packet last(36, 1);
  last.insert(last.end(), kMss1460.begin(), kMss1460.end());
  auto last_lowered = last;
  last_lowered[38] = 0x04;
  last_lowered[39] = 0xd8;
  CHECK(becomes(four(tcp(last)), 1280, four(tcp(last_lowered))));
}

TEST_CASE("mss: options that make no sense are left alone") {
  CHECK(is_left_alone(four(tcp({0, 0, 0, 0, 2, 4, 0x05, 0xb4})), 1280));  // behind the end
  CHECK(is_left_alone(four(tcp({2, 3, 0x05, 0xb4})), 1280));
  CHECK(is_left_alone(four(tcp({2, 5, 0x05, 0xb4, 1, 1, 1, 1})), 1280));
  CHECK(is_left_alone(four(tcp({2, 0, 0x05, 0xb4})), 1280));
  CHECK(is_left_alone(four(tcp({2, 1, 0x05, 0xb4})), 1280));
  CHECK(is_left_alone(four(tcp({8, 0, 1, 1, 2, 4, 0x05, 0xb4})), 1280));
  CHECK(is_left_alone(four(tcp({8, 200, 1, 1, 2, 4, 0x05, 0xb4})), 1280));
  CHECK(is_left_alone(four(tcp({1, 1, 1, 2})), 1280));
  CHECK(is_left_alone(four(tcp({1, 1, 2, 4}, kSyn, {0x05, 0xb4})), 1280));  // its value is payload
}

TEST_CASE("mss: a header that does not fit is left alone") {
  auto segment = tcp(kMss1460);
  for (const int words : {0, 4, 7, 15}) {
    segment[12] = static_cast<std::uint8_t>(words << 4);
    CHECK(is_left_alone(four(segment), 1280));
    CHECK(is_left_alone(six(segment), 1280));
  }
  const auto whole = tcp(kMss1460);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Packet cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK(is_left_alone(ipv4_packet("203.0.113.2", "192.0.2.9", 6, cut), 1280));
    CHECK(is_left_alone(ipv6_packet(v6("2001:db8::1"), v6("2001:db8::2"), 6, cut), 1280));
  }
}

TEST_CASE("mss: behind IPv4 options and IPv6 extension headers, and in the first fragment only") {
  const auto with_options = [](const Packet& options, unsigned fragment) {
    return with_checksum(ipv4_packet("203.0.113.2", "192.0.2.9", 6, tcp(options), Packet(8, 1), fragment),
                         28);
  };
  CHECK(becomes(with_options(kMss1460, 0x4000), 1280, with_options({2, 4, 0x04, 0xd8}, 0x4000)));
  CHECK(becomes(with_options(kMss1460, 0x2000), 1280, with_options({2, 4, 0x04, 0xd8}, 0x2000)));
  CHECK(is_left_alone(with_options(kMss1460, 0x2001), 1280));
  CHECK(is_left_alone(with_options(kMss1460, 0x0100), 1280));

  const auto behind = [](std::uint8_t first, Packet extensions, const Packet& options) {
    const auto at = 40 + extensions.size();
    const auto segment = tcp(options);
    extensions.insert(extensions.end(), segment.begin(), segment.end());
    return with_checksum(ipv6_packet(v6("2001:db8::1"), v6("2001:db8::2"), first, extensions), at);
  };
  const Packet chain{60, 0, 1, 4, 0, 0, 0, 0, /* */ 6, 1, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  CHECK(becomes(behind(0, chain, kMss1460), 1280, behind(0, chain, {2, 4, 0x04, 0xc4})));
  const Packet first_fragment{6, 0, 0, 1, 0, 0, 0, 7};
  CHECK(becomes(behind(44, first_fragment, kMss1460), 1280, behind(44, first_fragment, {2, 4, 0x04, 0xc4})));
  CHECK(is_left_alone(behind(44, {6, 0, 0, 8, 0, 0, 0, 7}, kMss1460), 1280));
  CHECK(is_left_alone(behind(0, {6, 255, 1, 4, 0, 0, 0, 0}, kMss1460), 1280));
  CHECK(is_left_alone(
      behind(51, {6, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, kMss1460), 1280));
}

TEST_CASE("mss: agrees with a slow oracle on random options") {
  std::mt19937 random(17);
  const auto pick = [&](unsigned below) { return static_cast<std::uint8_t>(random() % below); };
  int changed = 0;
  for (int round = 0; round < 100000; ++round) {
    Packet options;
    while (options.size() < 36 && pick(8) != 0) {
      switch (pick(4)) {
        case 0:
          options.push_back(1);
          break;
        case 1:
          options.insert(options.end(), {2, 4, pick(16), pick(256)});
          break;
        case 2:
          options.insert(options.end(), {8, static_cast<std::uint8_t>(2 + pick(3))});
          options.resize(options.size() + options.back() - 2U, 0xee);
          break;
        default:
          if (pick(4) == 0) options.push_back(pick(256));
      }
    }
    options.resize(std::min<std::size_t>(options.size(), 40));
    const std::size_t mtu = 1280 + random() % 300;
    const bool is_v4 = pick(2) == 0;
    const auto segment = tcp(options, kSyn, Packet(pick(30), 0x77));
    const auto before = is_v4 ? four(segment) : six(segment);
    const std::size_t start = is_v4 ? 40 : 60;

    auto expected = before;
    const std::size_t limit = mtu - start;
    const std::size_t end = start - 20 + (before[start - 8] >> 4) * 4U;
    for (std::size_t at = start; at < end && expected[at] != 0;) {
      const std::size_t length = expected[at] == 1 ? 1 : at + 1 < end ? expected[at + 1] : 0;
      if (length == 0 || at + length > end || (length == 1 && expected[at] != 1)) break;
      if (expected[at] == 2 && length == 4 && expected[at + 2] * 256U + expected[at + 3] > limit) {
        expected[at + 2] = static_cast<std::uint8_t>(limit / 256);
        expected[at + 3] = static_cast<std::uint8_t>(limit % 256);
      }
      at += length;
    }
    auto actual = before;
    REQUIRE(clamp_mss(actual, mtu) == (expected != before));
    if (expected != before) ++changed;
    REQUIRE(slow_tcp_checksum(actual, start - 20) == 0);
    REQUIRE(actual == with_checksum(expected, start - 20));
  }
  CHECK(changed > 20000);
}

TEST_CASE("mss: random bytes are survived") {
  std::mt19937 random(18);
  for (int round = 0; round < 100000; ++round) {
    Packet packet(random() % 120);
    for (auto& byte : packet) byte = static_cast<std::uint8_t>(random());
    if (packet.size() >= 40 && round % 4 != 0) {
      packet[0] = 0x60;
      packet[4] = 0;
      packet[5] = static_cast<std::uint8_t>(packet.size() - 40);
      packet[6] = round % 8 < 4 ? 6 : 0;
      if (packet.size() > 53) packet[53] |= kSyn;
    }
    const auto before = packet;
    const bool is_changed = clamp_mss(packet, 100);
    REQUIRE(packet.size() == before.size());
    REQUIRE(is_changed == (packet != before));
  }
}
