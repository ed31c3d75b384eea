// SPDX-License-Identifier: BSD-3-Clause
#include "src/datapath/segment.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "tests/unit/datapath/frame_oracle.h"

using namespace sixlink;
using namespace sixlink::datapath;
using test::Bytes;
using test::Shape;

namespace {

// All packets, by both ways.
std::vector<Bytes> all_of(const FrameHeader& header, Bytes frame) {
  Segmenter segmenter;
  std::vector<Bytes> packets;
  REQUIRE(segmenter.start(header, frame));
  const std::size_t count = segmenter.count();
  std::size_t largest = 0;
  std::vector<Bytes> storage;  // every header has its own, as in a batch
  std::vector<Segment> segments;
  for (;;) {
    storage.emplace_back(segmenter.header_size());
    const auto segment = segmenter.next(storage.back());
    if (!segment) break;
    segments.push_back(*segment);
  }
  for (const auto& segment : segments) {
    Bytes packet(segment.header.begin(), segment.header.end());
    packet.insert(packet.end(), segment.data.begin(), segment.data.end());
    largest = std::max(largest, packet.size());
    packets.push_back(std::move(packet));
  }
  CHECK(packets.size() == count);
  CHECK(largest == segmenter.largest());

  Bytes again = frame;
  REQUIRE(segmenter.start(header.segmentation == Segmentation::kNone ? FrameHeader{} : header, again));
  std::size_t i = 0;
  Bytes buffer(segmenter.largest() + 8, 0xee);
  while (const std::size_t size = segmenter.next_into(std::span(buffer).first(segmenter.largest()))) {
    REQUIRE(i < packets.size());
    CHECK(test::slice(buffer, 0, size) == packets[i++]);
    CHECK(std::all_of(buffer.end() - 8, buffer.end(), [](auto byte) { return byte == 0xee; }));
  }
  CHECK(i == packets.size());
  return packets;
}

bool is_refused(const FrameHeader& header, Bytes frame) {
  Segmenter segmenter;
  return !segmenter.start(header, frame) && segmenter.count() == 0 && !segmenter.next({}).has_value() &&
         segmenter.next_into({}) == 0;
}

}  // namespace

TEST_CASE("segment: frames are cut as if each packet had been made alone") {
  std::mt19937 random(40);
  for (int round = 0; round < 3000; ++round) {
    Shape shape = test::random_shape(random);
    const std::size_t segment_size = 1 + random() % 1500;
    const std::size_t most =
        std::min<std::size_t>(65535 - shape.header(), segment_size * (1 + random() % 60));
    shape.data = test::random_bytes(random, 1 + random() % most);
    const auto header = test::frame_header(shape, segment_size);
    const auto expected = test::cut_slowly(shape, segment_size);
    const auto found = all_of(header, test::make_packet(shape, false));
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) REQUIRE(found[i] == expected[i]);
  }
}

TEST_CASE("segment: a frame of the largest size, and one of a single packet") {
  for (const bool is_tcp : {false, true}) {
    for (const bool is_v4 : {false, true}) {
      Shape shape;
      shape.is_tcp = is_tcp;
      shape.is_v4 = is_v4;
      std::mt19937 random(41);
      shape.data = test::random_bytes(random, 65535 - shape.header());
      CHECK(all_of(test::frame_header(shape, 1400), test::make_packet(shape, false)) ==
            test::cut_slowly(shape, 1400));
      CHECK(all_of(test::frame_header(shape, 65535), test::make_packet(shape, false)).size() == 1);
      shape.data.resize(100);
      CHECK(all_of(test::frame_header(shape, 100), test::make_packet(shape, false)) ==
            std::vector<Bytes>{test::make_packet(shape)});
    }
  }
}

TEST_CASE("segment: no data is one packet") {
  Shape shape;
  CHECK(all_of(test::frame_header(shape, 100), test::make_packet(shape, false)) ==
        std::vector<Bytes>{test::make_packet(shape)});
}

TEST_CASE("segment: an identification that does not grow") {
  std::mt19937 random(42);
  Shape shape;
  shape.is_v4 = true;
  shape.data = test::random_bytes(random, 5000);
  auto header = test::frame_header(shape, 999);
  header.has_fixed_id = true;
  CHECK(all_of(header, test::make_packet(shape, false)) == test::cut_slowly(shape, 999, true));
}

TEST_CASE("segment: checksums are made anew even where the kernel has finished them") {
  std::mt19937 random(43);
  Shape shape;
  shape.data = test::random_bytes(random, 5000);
  auto header = test::frame_header(shape, 999);
  header.needs_checksum = false;
  header.checksum_start = header.checksum_offset = 0;
  CHECK(all_of(header, test::make_packet(shape)) == test::cut_slowly(shape, 999));
}

TEST_CASE("segment: without segmentation a packet is finished in place, or left alone") {
  std::mt19937 random(44);
  for (int round = 0; round < 500; ++round) {
    Shape shape = test::random_shape(random);
    shape.data = test::random_bytes(random, random() % 2000);
    auto header = test::frame_header(shape, 0);
    header.segmentation = Segmentation::kNone;
    auto expected = test::make_packet(shape);
    const std::size_t at = shape.transport() + header.checksum_offset;
    if (test::get16(expected, at) == 0) test::put16(expected, at, 0xffff);
    CHECK(all_of(header, test::make_packet(shape, false)) == std::vector<Bytes>{expected});
    CHECK(all_of({}, expected) == std::vector<Bytes>{expected});
  }
}

TEST_CASE("segment: a UDP checksum that comes out as 0 is sent as ffff") {
  Shape shape;
  shape.is_tcp = false;
  shape.data = Bytes(2000, 0);
  // The first packet's last word makes its sum all ones.
  const auto first = test::cut_slowly(shape, 1000).at(0);
  test::put16(shape.data, 998, test::get16(first, shape.transport() + 6));
  const auto packets = all_of(test::frame_header(shape, 1000), test::make_packet(shape, false));
  CHECK(test::get16(packets.at(0), shape.transport() + 6) == 0xffff);
  CHECK(packets == test::cut_slowly(shape, 1000));
}

TEST_CASE("segment: what is malformed is refused") {
  Shape shape;
  shape.data = Bytes(3000, 1);
  const auto header = test::frame_header(shape, 1000);
  const auto frame = test::make_packet(shape, false);
  REQUIRE(!is_refused(header, frame));
  Shape old = shape;
  old.is_v4 = true;
  const auto old_header = test::frame_header(old, 1000);
  const auto old_frame = test::make_packet(old, false);
  REQUIRE(!is_refused(old_header, old_frame));

  const auto with = [](Bytes bytes, std::size_t at, std::uint8_t value) {
    bytes.at(at) = value;
    return bytes;
  };
  SUBCASE("no size") {
    CHECK(is_refused(test::frame_header(shape, 0), frame));
  }
  SUBCASE("another protocol") {
    CHECK(is_refused(header, with(frame, 6, 17)));
    CHECK(is_refused(old_header, with(old_frame, 9, 17)));
  }
  SUBCASE("another version") {
    CHECK(is_refused(header, with(frame, 0, 0x50)));
  }
  SUBCASE("lengths that are not the frame's") {
    CHECK(is_refused(header, with(frame, 5, frame[5] - 1)));
    CHECK(is_refused(old_header, with(old_frame, 3, old_frame[3] + 1)));
    CHECK(is_refused(header, test::slice(frame, 0, frame.size() - 1)));
  }
  SUBCASE("headers that are cut off") {
    for (std::size_t size = 0; size < shape.header(); ++size) {
      auto cut = test::slice(frame, 0, size);
      if (size >= 40) test::put16(cut, 4, size - 40);
      CHECK(is_refused(header, cut));
      auto old_cut = test::slice(old_frame, 0, std::min(size, old.header() - 1));
      if (old_cut.size() >= 20) test::put16(old_cut, 2, old_cut.size());
      CHECK(is_refused(old_header, old_cut));
    }
  }
  SUBCASE("a TCP header of a wrong length") {
    CHECK(is_refused(header, with(frame, 52, 0x40)));
    auto small = shape;
    small.data.resize(10);
    CHECK(is_refused(header, with(test::make_packet(small, false), 52, 0xf0)));
  }
  SUBCASE("an IPv4 header of a wrong length") {
    CHECK(is_refused(old_header, with(old_frame, 0, 0x44)));
    CHECK(is_refused(old_header, with(old_frame, 0, 0x46)));
  }
  SUBCASE("a fragment") {
    CHECK(is_refused(old_header, with(old_frame, 6, 0x20)));
    CHECK(is_refused(old_header, with(old_frame, 7, 0x01)));
    Shape fragment = shape;
    fragment.extensions = {6, 0, 0, 1, 0, 0, 0, 1};
    fragment.first_next = 44;
    CHECK(is_refused(test::frame_header(fragment, 1000), test::make_packet(fragment, false)));
  }
  SUBCASE("a checksum that begins elsewhere") {
    auto wrong = header;
    wrong.checksum_start += 4;
    CHECK(is_refused(wrong, frame));
  }
  SUBCASE("headers larger than the storage") {
    Shape large = shape;
    large.extensions = Bytes(512, 0);
    large.extensions[0] = 6;
    large.extensions[1] = 63;
    large.first_next = 60;
    CHECK(is_refused(test::frame_header(large, 1000), test::make_packet(large, false)));
  }
  SUBCASE("a checksum outside the packet, or across words") {
    FrameHeader plain;
    plain.needs_checksum = true;
    plain.checksum_start = 40;
    plain.checksum_offset = 16;
    CHECK(!is_refused(plain, frame));
    plain.checksum_offset = 17;
    CHECK(is_refused(plain, frame));
    plain.checksum_offset = static_cast<std::uint16_t>(frame.size() - 41);
    CHECK(is_refused(plain, frame));
    plain.checksum_start = 65535;
    plain.checksum_offset = 65534;
    CHECK(is_refused(plain, frame));
    CHECK(is_refused({}, {}));
  }
}
