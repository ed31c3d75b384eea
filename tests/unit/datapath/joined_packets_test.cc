// SPDX-License-Identifier: BSD-3-Clause
#include "src/datapath/joined_packets.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "tests/unit/net/ipv6_packet.h"

using namespace sixlink;
using namespace sixlink::datapath;

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kAck = 0x10;

// Slow and obvious: RFC 1071 over a copy that has the pseudo-header before the data.
std::uint16_t reference_sum(const Bytes& packet, std::size_t transport, std::uint8_t protocol,
                            bool pseudo_header_alone) {
  Bytes all;
  const bool is_v4 = packet[0] >> 4 == 4;
  const std::size_t from = is_v4 ? 12 : 8;
  all.insert(all.end(), packet.begin() + static_cast<std::ptrdiff_t>(from),
             packet.begin() + static_cast<std::ptrdiff_t>(is_v4 ? 20 : 40));
  const std::size_t length = packet.size() - transport;
  all.insert(all.end(),
             {0, protocol, static_cast<std::uint8_t>(length >> 8), static_cast<std::uint8_t>(length)});
  if (!pseudo_header_alone)
    all.insert(all.end(), packet.begin() + static_cast<std::ptrdiff_t>(transport), packet.end());
  if (all.size() % 2 != 0) all.push_back(0);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < all.size(); i += 2) sum += static_cast<std::uint64_t>(all[i] << 8 | all[i + 1]);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

void put(Bytes& bytes, std::size_t at, std::size_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

std::size_t get(const Bytes& bytes, std::size_t at) {
  return std::size_t{bytes[at]} << 8 | bytes[at + 1];
}

struct Shape {
  bool is_v4 = false;
  std::size_t tcp_options = 12;
  std::size_t data = 0;
  std::uint8_t flags = kAck;
  std::size_t transport() const { return is_v4 ? 20 : 40; }
  std::size_t headers() const { return transport() + 20 + tcp_options; }
};

// A TCP packet whose data are numbered, with the checksum that the kernel leaves to the network card.
Bytes tcp_packet(const Shape& shape) {
  Bytes packet(shape.headers() + shape.data);
  if (shape.is_v4) {
    packet[0] = 0x45;
    put(packet, 2, packet.size());
    put(packet, 4, 0x1234);
    packet[8] = 64;
    packet[9] = kTcp;
    std::iota(packet.begin() + 12, packet.begin() + 20, std::uint8_t{1});
  } else {
    packet[0] = 0x60;
    put(packet, 4, packet.size() - 40);
    packet[6] = kTcp;
    packet[7] = 64;
    std::iota(packet.begin() + 8, packet.begin() + 40, std::uint8_t{0x20});
  }
  const auto tcp = shape.transport();
  put(packet, tcp, 53060);
  put(packet, tcp + 2, 80);
  put(packet, tcp + 4, 0xffff);  // the sequence number runs over
  put(packet, tcp + 6, 0xf000);
  packet[tcp + 12] = static_cast<std::uint8_t>((5 + shape.tcp_options / 4) << 4);
  packet[tcp + 13] = shape.flags;
  std::fill_n(packet.begin() + static_cast<std::ptrdiff_t>(tcp) + 20, shape.tcp_options, std::uint8_t{1});
  for (std::size_t i = 0; i < shape.data; ++i)
    packet[shape.headers() + i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  put(packet, tcp + 16, reference_sum(packet, tcp, kTcp, true));
  return packet;
}

std::vector<Bytes> all_of(Bytes packet, std::size_t mtu) {
  std::vector<Bytes> found;
  JoinedPackets joined(packet, mtu);
  while (const auto piece = joined.next()) found.emplace_back(piece->begin(), piece->end());
  CHECK(!joined.next().has_value());
  return found;
}

bool has_right_checksum(const Bytes& packet, const Shape& shape) {
  return reference_sum(packet, shape.transport(), kTcp, false) == 0xffff;
}

}  // namespace

TEST_CASE("joined packets: a packet that is whole and fits is left alone") {
  Shape shape;
  shape.data = 500;
  for (const bool is_v4 : {false, true}) {
    shape.is_v4 = is_v4;
    auto packet = tcp_packet(shape);
    const auto right = all_of(packet, 1280).at(0);
    CHECK(has_right_checksum(right, shape));
    const auto again = all_of(right, 1280);
    REQUIRE(again.size() == 1);
    CHECK(again[0] == right);
    // A wrong checksum stays wrong: it is the receiver's to see.
    auto wrong = right;
    wrong[shape.headers() + 3] ^= 0x40;
    CHECK(all_of(wrong, 1280).at(0) == wrong);
  }
}

TEST_CASE("joined packets: a checksum of the pseudo-header alone is completed") {
  for (const bool is_v4 : {false, true}) {
    for (const std::size_t data : {0U, 1U, 2U, 777U}) {
      Shape shape;
      shape.is_v4 = is_v4;
      shape.data = data;
      const auto packet = tcp_packet(shape);
      CHECK(!has_right_checksum(packet, shape));
      const auto pieces = all_of(packet, 1280);
      REQUIRE(pieces.size() == 1);
      CHECK(has_right_checksum(pieces[0], shape));
    }
  }
}

TEST_CASE("joined packets: UDP checksums are completed, and none stays none") {
  Bytes packet = tcp_packet({.is_v4 = false, .tcp_options = 0, .data = 12, .flags = 0});
  packet[6] = kUdp;
  put(packet, 44, packet.size() - 40);
  put(packet, 46, 0);
  put(packet, 46, reference_sum(packet, 40, kUdp, true));
  auto pieces = all_of(packet, 1280);
  REQUIRE(pieces.size() == 1);
  CHECK(reference_sum(pieces[0], 40, kUdp, false) == 0xffff);
  put(packet, 46, 0);
  CHECK(all_of(packet, 1280).at(0) == packet);
}

TEST_CASE("joined packets: joined TCP is cut into packets that say the same") {
  std::mt19937 random(20);
  for (int round = 0; round < 400; ++round) {
    Shape shape;
    shape.is_v4 = random() % 2 != 0;
    shape.tcp_options = random() % 11 * 4;
    const std::size_t mtu = 1280 + random() % 300;
    shape.data = mtu + random() % 20000;
    shape.flags = static_cast<std::uint8_t>(kAck | (random() % 2 ? 0x01 : 0) | (random() % 2 ? 0x08 : 0) |
                                            (random() % 2 ? 0x80 : 0) | (random() % 2 ? 0x40 : 0));
    const auto packet = tcp_packet(shape);
    const auto pieces = all_of(packet, mtu);
    REQUIRE(pieces.size() > 1);
    Bytes data;
    const auto tcp = shape.transport();
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const auto& piece = pieces[i];
      CHECK(piece.size() <= 1280);
      CHECK(has_right_checksum(piece, shape));
      const std::uint32_t sequence =
          static_cast<std::uint32_t>(get(piece, tcp + 4) << 16 | get(piece, tcp + 6));
      CHECK(sequence == static_cast<std::uint32_t>(0xfffff000U + data.size()));
      CHECK((piece[tcp + 13] & 0x80) == (i == 0 ? shape.flags & 0x80 : 0));
      CHECK((piece[tcp + 13] & 0x09) == (i + 1 == pieces.size() ? shape.flags & 0x09 : 0));
      CHECK((piece[tcp + 13] & 0x50) == (shape.flags & 0x50));
      if (shape.is_v4) {
        CHECK(get(piece, 2) == piece.size());
        CHECK(get(piece, 4) == 0x1234 + i);
        std::uint32_t sum = 0;
        for (std::size_t at = 0; at < 20; at += 2) sum += static_cast<std::uint32_t>(get(piece, at));
        while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
        CHECK(sum == 0xffff);
      } else {
        CHECK(get(piece, 4) + 40 == piece.size());
      }
      CHECK(std::equal(piece.begin() + static_cast<std::ptrdiff_t>(tcp) + 8,
                       piece.begin() + static_cast<std::ptrdiff_t>(tcp) + 13,
                       packet.begin() + static_cast<std::ptrdiff_t>(tcp) + 8));
      data.insert(data.end(), piece.begin() + static_cast<std::ptrdiff_t>(shape.headers()), piece.end());
    }
    CHECK(std::equal(data.begin(), data.end(), packet.begin() + static_cast<std::ptrdiff_t>(shape.headers()),
                     packet.end()));
  }
}

TEST_CASE("joined packets: what cannot be cut comes out as it is") {
  Shape shape;
  shape.data = 3000;
  const auto packet = tcp_packet(shape);
  const auto untouched = [](const Bytes& bytes) {
    const auto pieces = all_of(bytes, 1280);
    return pieces.size() == 1 && pieces[0] == bytes;
  };
  for (const int flag : {0x02, 0x04, 0x20}) {  // SYN, RST, URG
    auto special = packet;
    special[40 + 13] |= static_cast<std::uint8_t>(flag);
    put(special, 40 + 16, 1);
    CHECK(untouched(special));
  }
  auto other = packet;
  other[6] = 58;
  CHECK(untouched(other));
  auto long_header = packet;
  long_header[40 + 12] = 0x40;  // shorter than a TCP header
  put(long_header, 40 + 16, 1);
  CHECK(untouched(long_header));
  auto wrong_length = packet;
  put(wrong_length, 4, 2999);
  CHECK(untouched(wrong_length));
  auto fragment = tcp_packet({.is_v4 = true, .tcp_options = 0, .data = 3000, .flags = kAck});
  put(fragment, 6, 0x2000);
  CHECK(untouched(fragment));
  CHECK(untouched({0x60}));
  CHECK(untouched({0x4f, 0, 0, 1}));
}

TEST_CASE("joined packets: survives anything") {
  std::mt19937 random(21);
  for (int round = 0; round < 20000; ++round) {
    Bytes bytes(random() % 200);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    if (!bytes.empty()) {
      const bool is_v4 = random() % 2 != 0;
      bytes[0] = static_cast<std::uint8_t>(is_v4 ? 0x40 | (random() & 0xf) : 0x60);
      if (is_v4 && bytes.size() > 9) {
        put(bytes, 2, bytes.size());
        put(bytes, 6, 0);
        bytes[9] = kTcp;
      } else if (!is_v4 && bytes.size() >= 40) {
        put(bytes, 4, bytes.size() - 40);
        bytes[6] = random() % 2 ? kTcp : kUdp;
      }
    }
    const std::size_t mtu = random() % 150;
    std::size_t pieces = 0;
    JoinedPackets joined(bytes, mtu);
    while (const auto piece = joined.next()) {
      CHECK(piece->size() <= bytes.size());
      REQUIRE(++pieces <= bytes.size() + 1);
    }
  }
}
