// SPDX-License-Identifier: BSD-3-Clause
#include "src/net/internet_checksum.h"

#include <doctest/doctest.h>

#include <random>

#include "tests/unit/net/ipv4_packet.h"

using namespace sixlink::net;
using sixlink::test::Packet;
using sixlink::test::slow_checksum;

TEST_CASE("checksum: the example of RFC 1071 section 3") {
  const Packet bytes{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  CHECK(finish_checksum(add_words(bytes)) == 0x220d);  // ~ddf2
}

TEST_CASE("checksum: the example of RFC 1624 section 4") {
  CHECK(update_checksum(0xdd2f, 0x5555, 0x3285) == 0x0000);
}

TEST_CASE("checksum: agrees with a slow oracle at every size, and in parts of an even size") {
  std::mt19937 random(3);
  Packet bytes;
  for (std::size_t size = 0; size < 2000; ++size) {
    REQUIRE(finish_checksum(add_words(bytes)) == slow_checksum(bytes));
    const auto split = (random() % (size + 1)) & ~std::size_t{1};
    const auto whole = std::span(bytes);
    REQUIRE(finish_checksum(add_words(whole.subspan(split), add_words(whole.first(split)))) ==
            slow_checksum(bytes));
    bytes.push_back(static_cast<std::uint8_t>(random()));
  }
  CHECK(finish_checksum(add_words(Packet(65535, 0xff))) == slow_checksum(Packet(65535, 0xff)));
}

TEST_CASE("checksum: an update agrees with a new sum") {
  std::mt19937 random(4);
  for (int round = 0; round < 100000; ++round) {
    Packet bytes(8);
    for (auto& byte : bytes) byte = round % 3 == 0 ? 0xff : static_cast<std::uint8_t>(random());
    const auto before = finish_checksum(add_words(bytes));
    const auto old_word = static_cast<std::uint16_t>(bytes[2] << 8 | bytes[3]);
    const auto new_word = static_cast<std::uint16_t>(round % 5 == 0 ? random() % 2 * 0xffff : random());
    sixlink::test::put_checksum(bytes, 2, new_word);
    const auto updated = update_checksum(before, old_word, new_word);
    const auto fresh = slow_checksum(bytes);
    // 0 and 0xffff are the same number, and only of all zeros the sum is the other one.
    REQUIRE((updated == fresh || (updated == 0xffff && fresh == 0) || (updated == 0 && fresh == 0xffff)));
  }
}
