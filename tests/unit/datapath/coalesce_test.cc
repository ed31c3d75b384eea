// SPDX-License-Identifier: BSD-3-Clause
#include "src/datapath/coalesce.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>

#include "src/datapath/segment.h"
#include "tests/unit/datapath/frame_oracle.h"

using namespace sixlink;
using namespace sixlink::datapath;
using test::Bytes;
using test::Shape;

namespace {

struct Made {
  FrameHeader header;
  Bytes bytes;
  std::size_t packets = 0;
};

std::vector<Made> frames_of(Coalescer& coalescer, const std::vector<Bytes>& packets) {
  std::vector<Made> frames;
  const auto take = [&] {
    for (std::size_t i = 0; i < coalescer.frames(); ++i) {
      const auto frame = coalescer.frame(i);
      Made made{frame.header, {}, frame.packets};
      REQUIRE(frame.pieces.size() < 1024);
      for (const auto& piece : frame.pieces) {
        const auto* from = static_cast<const std::uint8_t*>(piece.iov_base);
        made.bytes.insert(made.bytes.end(), from, from + piece.iov_len);
      }
      REQUIRE(made.bytes.size() == frame.size);
      REQUIRE((frame.packets == 1 || frame.size <= kMaximumFrame));
      frames.push_back(std::move(made));
    }
    coalescer.clear();
  };
  for (const auto& packet : packets) {
    if (coalescer.add(packet)) continue;
    take();
    REQUIRE(coalescer.add(packet));
  }
  take();
  return frames;
}

std::vector<Made> frames_of(const std::vector<Bytes>& packets, const CoalesceOptions& options = {}) {
  Coalescer coalescer(options);
  return frames_of(coalescer, packets);
}

std::vector<std::size_t> sizes_of(const std::vector<Bytes>& packets, const CoalesceOptions& options = {}) {
  std::vector<std::size_t> sizes;
  for (const auto& frame : frames_of(packets, options)) sizes.push_back(frame.packets);
  return sizes;
}
using Sizes = std::vector<std::size_t>;

std::vector<Bytes> packets_of(const std::vector<Made>& frames) {
  std::vector<Bytes> packets;
  Segmenter segmenter;
  for (const auto& frame : frames) {
    Bytes bytes = frame.bytes;
    REQUIRE(segmenter.start(frame.header, bytes));
    CHECK(segmenter.count() == frame.packets);
    Bytes buffer(segmenter.largest());
    while (const std::size_t size = segmenter.next_into(buffer))
      packets.push_back(test::slice(buffer, 0, size));
  }
  return packets;
}

// The usual: packets of one flow that follow each other.
std::vector<Bytes> flow_of(Shape shape, std::size_t packets, std::size_t segment_size, std::size_t last = 0) {
  std::mt19937 random(7);
  shape.data = test::random_bytes(random, (packets - 1) * segment_size + (last == 0 ? segment_size : last));
  return test::cut_slowly(shape, segment_size);
}

Shape shape_of(bool is_v4, bool is_tcp) {
  Shape shape;
  shape.is_v4 = is_v4;
  shape.is_tcp = is_tcp;
  shape.tcp_options = 12;
  return shape;
}

}  // namespace

TEST_CASE("coalesce: packets that follow each other are one frame, which is cut into the same again") {
  for (const bool is_v4 : {false, true}) {
    for (const bool is_tcp : {false, true}) {
      for (const std::size_t last : {1U, 999U, 1000U}) {
        auto shape = shape_of(is_v4, is_tcp);
        shape.flags = 0x18;  // PSH: the last packet has it
        shape.sequence = 0xfffff800;
        shape.identification = 0xfffe;
        const auto packets = flow_of(shape, 40, 1000, last);
        const auto frames = frames_of(packets);
        REQUIRE(frames.size() == 1);
        CHECK(packets_of(frames) == packets);
        // What a kernel takes: the frame as it would have made it.
        std::mt19937 random(7);
        shape.data = test::random_bytes(random, 39 * 1000 + last);
        CHECK(frames[0].bytes == test::make_packet(shape, false));
        const auto header = test::frame_header(shape, 1000);
        CHECK(frames[0].header.segmentation == header.segmentation);
        CHECK(frames[0].header.segment_size == 1000);
        CHECK(frames[0].header.header_length == header.header_length);
        CHECK(frames[0].header.checksum_start == header.checksum_start);
        CHECK(frames[0].header.checksum_offset == header.checksum_offset);
        CHECK(frames[0].header.needs_checksum);
      }
    }
  }
}

TEST_CASE("coalesce: a packet alone is passed on as it is") {
  const auto packets = flow_of(shape_of(false, true), 1, 1000);
  const auto frames = frames_of(packets);
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].bytes == packets[0]);
  CHECK(frames[0].header.is_plain());
}

TEST_CASE("coalesce: what ends a frame") {
  for (const bool is_v4 : {false, true}) {
    const auto tcp = shape_of(is_v4, true);
    const auto udp = shape_of(is_v4, false);
    // Size: 65,535 bytes, 64 datagrams, a smaller packet, a larger one.
    CHECK(sizes_of(flow_of(tcp, 90, 1400)) == Sizes{46, 44});
    CHECK(sizes_of(flow_of(udp, 70, 100)) == Sizes{64, 6});
    CHECK(sizes_of(flow_of(tcp, 900, 10)) == Sizes{900});
    auto packets = flow_of(udp, 5, 500, 400);
    auto more = udp;
    more.identification = static_cast<std::uint16_t>(udp.identification + 5);
    for (const auto& packet : flow_of(more, 2, 500)) packets.push_back(packet);
    CHECK(sizes_of(packets) == Sizes{5, 2});
    // PSH within.
    auto pushed = tcp;
    pushed.flags = 0x18;
    packets = flow_of(pushed, 3, 500);
    more = tcp;
    more.sequence = tcp.sequence + 1500;
    more.identification = static_cast<std::uint16_t>(tcp.identification + 3);
    for (const auto& packet : flow_of(more, 3, 500)) packets.push_back(packet);
    CHECK(sizes_of(packets) == Sizes{3, 3});
    CHECK(packets_of(frames_of(packets)) == packets);
  }
}

TEST_CASE("coalesce: packets that differ in anything that a frame says once are not joined") {
  using Change = std::function<void(Shape&)>;
  struct Case {
    const char* name;
    bool is_tcp_only;
    int version;  // 0: both
    Change change;
  };
  const std::vector<Case> cases{
      {"traffic class", false, 0, [](Shape& s) { s.traffic_class ^= 3; }},
      {"hop limit", false, 0, [](Shape& s) { s.hop_limit = 63; }},
      {"DF", false, 4, [](Shape& s) { s.may_fragment = !s.may_fragment; }},
      {"identification", false, 4, [](Shape& s) { s.identification += 7; }},
      {"source port", false, 0, [](Shape& s) { s.source_port = 1; }},
      {"target port", false, 0, [](Shape& s) { s.target_port = 1; }},
      {"source", false, 0, [](Shape& s) { s.host = 99; }},
      {"gap", true, 0, [](Shape& s) { s.sequence += 1; }},
      {"overlap", true, 0, [](Shape& s) { s.sequence -= 1; }},
      {"acknowledgement", true, 0, [](Shape& s) { s.acknowledgement += 1; }},
      {"window", true, 0, [](Shape& s) { s.window += 1; }},
      {"options", true, 0, [](Shape& s) { s.tcp_options += 4; }},
      {"ECE", true, 0, [](Shape& s) { s.flags ^= 0x40; }},
      {"SYN", true, 0, [](Shape& s) { s.flags ^= 0x02; }},
      {"FIN", true, 0, [](Shape& s) { s.flags ^= 0x01; }},
      {"RST", true, 0, [](Shape& s) { s.flags ^= 0x04; }},
      {"URG", true, 0, [](Shape& s) { s.flags ^= 0x20; }},
      {"CWR", true, 0, [](Shape& s) { s.flags ^= 0x80; }},
      {"no ACK", true, 0, [](Shape& s) { s.flags ^= 0x10; }},
      {"no data", false, 0, [](Shape& s) { s.data.clear(); }},
      {"more data", false, 0, [](Shape& s) { s.data.push_back(1); }},
      {"IPv4 options", false, 4, [](Shape& s) { s.ip_options = 4; }},
      {"extension header", false, 6, [](Shape& s) { test::add_extension(s, 60); }},
  };
  for (const auto& one : cases) {
    for (const bool is_v4 : {false, true}) {
      for (const bool is_tcp : {false, true}) {
        if ((one.is_tcp_only && !is_tcp) || (one.version != 0 && (one.version == 4) != is_v4)) continue;
        CAPTURE(one.name);
        CAPTURE(is_v4);
        CAPTURE(is_tcp);
        Shape first = shape_of(is_v4, is_tcp);
        first.data = Bytes(100, 1);
        Shape second = first;
        second.sequence += 100;
        second.identification = static_cast<std::uint16_t>(first.identification + 1);
        CHECK(sizes_of({test::make_packet(first), test::make_packet(second)}) == Sizes{2});
        one.change(second);
        const std::vector<Bytes> packets{test::make_packet(first), test::make_packet(second)};
        CHECK(sizes_of(packets) == Sizes{1, 1});
        CHECK(packets_of(frames_of(packets)) == packets);
      }
    }
  }
  // Same length of options, other bytes; reserved bits.
  auto packets = flow_of(shape_of(false, true), 2, 100);
  for (const std::size_t at : {40U + 20U, 40U + 12U}) {
    auto changed = packets;
    changed[1][at] ^= 1;
    changed[1][41 + 16] ^= 0;
    auto shape = shape_of(false, true);
    test::seal(changed[1], shape);
    CHECK(sizes_of(changed) == Sizes{1, 1});
    if (at == 52) {  // the same in both
      changed[0][at] ^= 1;
      test::seal(changed[0], shape);
      CHECK(sizes_of(changed) == Sizes{1, 1});
    }
  }
}

TEST_CASE("coalesce: flow label") {
  auto packets = flow_of(shape_of(false, true), 2, 100);
  packets[1][3] ^= 1;
  CHECK(sizes_of(packets) == Sizes{1, 1});
}

TEST_CASE("coalesce: IPv4 identifications, as Linux's GRO has them") {
  const auto numbered = [](bool may_fragment, std::vector<int> steps) {
    std::vector<Bytes> packets;
    Shape shape = shape_of(true, true);
    shape.may_fragment = may_fragment;
    shape.identification = 0xffff;
    shape.data = Bytes(100, 9);
    packets.push_back(test::make_packet(shape));
    for (const int step : steps) {
      shape.sequence += 100;
      shape.identification = static_cast<std::uint16_t>(shape.identification + step);
      packets.push_back(test::make_packet(shape));
    }
    CHECK(packets_of(frames_of(packets)) == packets);
    return sizes_of(packets);
  };
  CHECK(numbered(true, {1, 1, 1}) == Sizes{4});
  CHECK(numbered(true, {0, 0, 0}) == Sizes{1, 1, 1, 1});
  CHECK(numbered(false, {1, 1, 1}) == Sizes{4});
  CHECK(numbered(false, {0, 0, 0}) == Sizes{4});
  CHECK(numbered(false, {0, 1, 1}) == Sizes{2, 2});
  CHECK(numbered(false, {1, 0, 0}) == Sizes{2, 2});
}

TEST_CASE("coalesce: a wrong checksum is passed on alone, unchanged") {
  for (const bool is_v4 : {false, true}) {
    for (const bool is_tcp : {false, true}) {
      for (std::size_t wrong = 0; wrong < 5; ++wrong) {
        const auto shape = shape_of(is_v4, is_tcp);
        auto packets = flow_of(shape, 5, 700);
        packets[wrong][shape.header() + 300] ^= 0x10;
        const auto frames = frames_of(packets);
        CHECK(packets_of(frames) == packets);
        for (const auto& frame : frames)
          if (frame.packets > 1) CHECK(frame.bytes.size() != packets[wrong].size());
        CHECK(std::any_of(frames.begin(), frames.end(), [&](const Made& made) {
          return made.packets == 1 && made.bytes == packets[wrong];
        }));
      }
    }
  }
  // IPv4's own.
  auto packets = flow_of(shape_of(true, true), 3, 700);
  packets[1][10] ^= 1;
  CHECK(sizes_of(packets) == Sizes{1, 1, 1});
  // UDP without one: IPv4 allows it, IPv6 does not, and neither is joined.
  for (const bool is_v4 : {false, true}) {
    auto none = flow_of(shape_of(is_v4, false), 3, 700);
    for (auto& packet : none) test::put16(packet, shape_of(is_v4, false).transport() + 6, 0);
    CHECK(sizes_of(none) == Sizes{1, 1, 1});
    CHECK(packets_of(frames_of(none)) == none);
  }
}

TEST_CASE("coalesce: the other zero of a checksum is not made the usual one") {
  Shape shape = shape_of(false, true);
  shape.data = Bytes(100, 0);
  const auto first = test::make_packet(shape);
  Shape second = shape;
  second.sequence += 100;
  test::put16(second.data, 0, test::get16(test::make_packet(second), 40 + 16));
  auto packet = test::make_packet(second);
  REQUIRE(test::get16(packet, 56) == 0);
  CHECK(sizes_of({first, packet}) == Sizes{2});
  test::put16(packet, 56, 0xffff);
  CHECK(sizes_of({first, packet}) == Sizes{1, 1});
}

TEST_CASE("coalesce: only what was granted") {
  const auto tcp = flow_of(shape_of(false, true), 3, 100);
  const auto udp = flow_of(shape_of(false, false), 3, 100);
  CHECK(sizes_of(tcp, {.tcp = false, .udp = true}) == Sizes{1, 1, 1});
  CHECK(sizes_of(udp, {.tcp = false, .udp = true}) == Sizes{3});
  CHECK(sizes_of(tcp, {.tcp = true, .udp = false}) == Sizes{3});
  CHECK(sizes_of(udp, {.tcp = true, .udp = false}) == Sizes{1, 1, 1});
}

TEST_CASE("coalesce: flows that take turns are joined each for itself") {
  std::vector<std::vector<Bytes>> flows;
  for (std::uint16_t i = 0; i < 6; ++i) {
    auto shape = shape_of(i % 2 != 0, i % 3 != 0);
    shape.source_port = static_cast<std::uint16_t>(1000 + i);
    flows.push_back(flow_of(shape, 10, 300));
  }
  std::vector<Bytes> packets;
  for (std::size_t i = 0; i < 10; ++i)
    for (const auto& flow : flows) packets.push_back(flow[i]);
  CHECK(sizes_of(packets) == Sizes(6, 10));
}

TEST_CASE("coalesce: what is not understood overtakes nothing, and nothing overtakes it") {
  const auto flow = flow_of(shape_of(true, false), 4, 300);
  Bytes fragment = flow[2];
  test::put16(fragment, 6, 0x2000);
  CHECK(sizes_of({flow[0], flow[1], fragment, flow[2], flow[3]}) == Sizes{2, 1, 2});
  Bytes icmp = flow[2];
  icmp[9] = 1;
  CHECK(sizes_of({flow[0], flow[1], icmp, flow[2], flow[3]}) == Sizes{4, 1});
  // A segment without data, and later ones.
  auto shape = shape_of(false, true);
  const auto tcp = flow_of(shape, 4, 300);
  shape.sequence += 600;
  const auto ack = test::make_packet(shape);
  CHECK(sizes_of({tcp[0], tcp[1], ack, tcp[2], tcp[3]}) == Sizes{2, 1, 2});
}

TEST_CASE("coalesce: anything is taken, of any size") {
  std::mt19937 random(50);
  std::vector<Bytes> packets;
  for (int round = 0; round < 20000; ++round) {
    Bytes packet = test::random_bytes(random, random() % 120);
    if (!packet.empty() && random() % 2 != 0) packet[0] = random() % 2 != 0 ? 0x45 : 0x60;
    if (packet.size() > 9 && random() % 2 != 0) packet[9] = packet[6] = random() % 2 != 0 ? 6 : 17;
    packets.push_back(std::move(packet));
  }
  packets.emplace_back(70000, 0x45);
  Coalescer coalescer;
  std::size_t count = 0;
  std::size_t next = 0;
  while (next < packets.size()) {
    while (next < packets.size() && coalescer.add(packets[next])) ++next;
    for (std::size_t i = 0; i < coalescer.frames(); ++i) count += coalescer.frame(i).packets;
    coalescer.clear();
  }
  CHECK(count == packets.size());
}

namespace {

// Of TCP and UDP that is no fragment and has no options: addresses, protocol and ports; empty: anything else.
Bytes flow_key(const Bytes& packet) {
  if (packet.size() < 28) return {};
  const bool is_v4 = packet[0] == 0x45;
  const std::uint8_t protocol = is_v4 ? packet[9] : packet[6];
  if ((protocol != 6 && protocol != 17) || (!is_v4 && packet[0] >> 4 != 6)) return {};
  if (is_v4 && (test::get16(packet, 6) & 0x3fff) != 0) return {};
  Bytes key{protocol};
  test::append(key, is_v4 ? test::slice(packet, 12, 12) : test::slice(packet, 8, 36));
  return key;
}

// Every flow's packets with those that may belong to any flow between them.
std::map<Bytes, std::vector<Bytes>> by_flow(const std::vector<Bytes>& packets) {
  std::map<Bytes, std::vector<Bytes>> flows;
  for (const auto& packet : packets) flows[flow_key(packet)];
  for (const auto& packet : packets) {
    const auto key = flow_key(packet);
    for (auto& [flow, list] : flows)
      if (flow == key || key.empty()) list.push_back(packet);
  }
  return flows;
}

struct Sender {
  Shape shape;
  std::size_t segment_size;
};

// The next packet of a flow: mostly what follows, sometimes anything.
Bytes next_packet(Sender& sender, std::mt19937& random) {
  Shape& shape = sender.shape;
  shape.data =
      test::random_bytes(random, random() % 12 == 0 ? random() % sender.segment_size : sender.segment_size);
  shape.flags = random() % 15 == 0 ? 0x18 : 0x10;
  if (random() % 40 == 0) shape.flags = static_cast<std::uint8_t>(random());
  if (random() % 40 == 0) ++shape.acknowledgement;
  if (random() % 40 == 0) shape.sequence += 5;
  if (random() % 40 == 0) shape.traffic_class ^= 3;
  if (random() % 40 == 0) sender.segment_size = 1 + random() % 1400;
  if (random() % 40 == 0) shape.tcp_options = random() % 11 * 4;
  auto packet = test::make_packet(shape);
  shape.sequence += static_cast<std::uint32_t>(shape.data.size());
  if (shape.may_fragment || random() % 30 != 0) ++shape.identification;
  if (random() % 60 == 0) packet[random() % packet.size()] ^= static_cast<std::uint8_t>(1U << random() % 8);
  return packet;
}

}  // namespace

TEST_CASE("coalesce: whatever flows mix, cutting gives the packets again, each flow's in order") {
  std::mt19937 random(51);
  Coalescer coalescer;
  std::size_t joined = 0;
  for (int round = 0; round < 300; ++round) {
    std::vector<Sender> senders(1 + random() % 8);
    for (auto& sender : senders) {
      sender.shape = test::random_shape(random);
      if (random() % 8 != 0) {
        sender.shape.ip_options = 0;
        sender.shape.extensions.clear();
        sender.shape.final_destination.clear();
      }
      sender.shape.host = static_cast<std::uint8_t>(random() % 3);
      sender.shape.source_port = static_cast<std::uint16_t>(random() % 4);
      sender.segment_size = 1 + random() % 1400;
    }
    std::vector<Bytes> packets;
    Sender* sender = &senders[0];
    for (std::size_t i = 0; i < 150; ++i) {
      if (random() % 3 == 0) sender = &senders[random() % senders.size()];
      packets.push_back(next_packet(*sender, random));
    }
    const auto frames = frames_of(coalescer, packets);
    for (const auto& frame : frames) joined += frame.packets - 1;
    const auto found = packets_of(frames);
    REQUIRE(found.size() == packets.size());
    const auto expected_flows = by_flow(packets);
    const auto found_flows = by_flow(found);
    REQUIRE(expected_flows == found_flows);
  }
  CHECK(joined > 10000);  // of 45,000: not for want of frames
}
