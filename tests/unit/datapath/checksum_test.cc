// SPDX-License-Identifier: BSD-3-Clause
#include "src/datapath/checksum.h"

#include <doctest/doctest.h>

#include <random>

#include "tests/unit/datapath/frame_oracle.h"

using namespace sixlink;
using namespace sixlink::datapath;
using test::Bytes;

namespace {

// In network byte order, as the oracle has it.
std::uint16_t folded(PartialSum total) {
  std::uint8_t bytes[2];
  store_sum(bytes, fold_sum(total));
  return static_cast<std::uint16_t>(bytes[0] * 256U + bytes[1]);
}

}  // namespace

TEST_CASE("checksum: sums of every size and alignment are those of word by word") {
  std::mt19937 random(1);
  const Bytes all = test::random_bytes(random, 70000);
  for (std::size_t size = 0; size < 700; ++size) {
    for (const std::size_t at : {0U, 1U, 2U, 3U, 7U, 31U}) {
      REQUIRE(folded(sum_bytes(all.data() + at, size)) == test::slow_sum(test::slice(all, at, size)));
    }
  }
  for (int round = 0; round < 200; ++round) {
    const std::size_t at = random() % 1000;
    const std::size_t size = random() % (all.size() - at);
    REQUIRE(folded(sum_bytes(all.data() + at, size)) == test::slow_sum(test::slice(all, at, size)));
  }
}

TEST_CASE("checksum: all ones and all zeros") {
  for (const std::size_t size : {1U, 2U, 63U, 64U, 65U, 65535U}) {
    CHECK(folded(sum_bytes(Bytes(size, 0xff))) == test::slow_sum(Bytes(size, 0xff)));
    CHECK(fold_sum(sum_bytes(Bytes(size, 0))) == 0);
  }
  CHECK(fold_sum(~PartialSum{0}) == 0xffff);
  CHECK(is_right_sum(add_sums(~PartialSum{0}, ~PartialSum{0})));
}

TEST_CASE("checksum: copying sums the same and copies no byte more") {
  std::mt19937 random(2);
  const Bytes all = test::random_bytes(random, 4000);
  for (std::size_t size = 0; size < 3000; size += 1 + size / 50) {
    Bytes copy(size + 1, 0xee);
    CHECK(fold_sum(copy_and_sum(copy.data(), all.data() + 1, size)) ==
          fold_sum(sum_bytes(all.data() + 1, size)));
    CHECK(test::slice(copy, 0, size) == test::slice(all, 1, size));
    CHECK(copy[size] == 0xee);
  }
}

TEST_CASE("checksum: sums of parts add up, and can be taken out again") {
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    const Bytes all = test::random_bytes(random, 2 + random() % 3000);
    const std::size_t cut = random() % all.size();
    const auto first = sum_bytes(all.data(), cut);
    auto second = sum_bytes(all.data() + cut, all.size() - cut);
    if (cut % 2 != 0) second = swap_sum(second);
    const auto whole = add_sums(first, second);
    CHECK(folded(whole) == test::slow_sum(all));
    // The two zeros of ones' complement are one.
    CHECK(fold_sum(subtract_sums(whole, second)) % 0xffff == fold_sum(first) % 0xffff);
  }
}

TEST_CASE("checksum: the pseudo-header") {
  for (const bool is_v4 : {false, true}) {
    test::Shape shape;
    shape.is_v4 = is_v4;
    shape.data = Bytes(333, 0xab);
    const Bytes packet = test::make_packet(shape);
    const auto length = packet.size() - shape.transport();
    const auto pseudo = pseudo_header_sum(packet.data(), 6, length);
    CHECK(folded(pseudo) == test::slow_sum(test::pseudo_header(packet, shape)));
    CHECK(is_right_sum(sum_bytes(packet.data() + shape.transport(), length, pseudo)));
  }
}
