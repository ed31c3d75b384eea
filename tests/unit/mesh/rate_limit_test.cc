// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/rate_limit.h"

#include <doctest/doctest.h>

#include <random>

#include "src/mesh/parameters_pull.h"

using namespace sixlink;
using namespace std::chrono_literals;
using mesh::ParametersPull;
using mesh::RateLimit;
using mesh::SeededRandom;

namespace {

const mesh::TimePoint kStart{1000s};

boost::asio::ip::address address(std::uint32_t number) {
  return boost::asio::ip::address_v4(0xCB007100 + number);
}

}  // namespace

TEST_CASE("rate limit: a burst, then so many a second, for each and for all") {
  SeededRandom random(1);
  RateLimit limit({10, 20}, {50, 60});
  int taken = 0;
  for (int i = 0; i < 100; ++i) taken += limit.take(address(1), kStart, random) ? 1 : 0;
  CHECK(taken == 20);
  for (int i = 0; i < 100; ++i) taken += limit.take(address(1), kStart + 1s, random) ? 1 : 0;
  CHECK(taken == 30);
  taken = 0;
  for (std::uint32_t i = 2; i < 200; ++i) taken += limit.take(address(i), kStart + 1s, random) ? 1 : 0;
  CHECK(taken == 50);
  // A site has one /64.
  RateLimit one({0, 1}, {100, 100});
  CHECK(one.take(boost::asio::ip::make_address("2001:db8:1::1"), kStart, random));
  CHECK_FALSE(one.take(boost::asio::ip::make_address("2001:db8:1::2"), kStart, random));
  CHECK(one.take(boost::asio::ip::make_address("2001:db8:1:1::2"), kStart, random));
}

TEST_CASE("rate limit: remembers a bounded number, and lets new ones in") {
  SeededRandom random(1);
  RateLimit limit({1, 2}, {1e9, 1e9});
  for (std::uint32_t i = 0; i < 100000; ++i) CHECK(limit.take(address(i), kStart, random));
  CHECK(limit.size() <= RateLimit::kMostAddresses);
  limit.take(address(1), kStart + 10s, random);
  CHECK(limit.size() <= 2);
}

TEST_CASE("seeded random: SipHash-2-4's vector") {
  std::vector<std::uint8_t> bytes;
  for (std::uint8_t i = 0; i < 15; ++i) bytes.push_back(i);
  // Appendix A of the paper.
  CHECK(mesh::siphash({0x0706050403020100, 0x0f0e0d0c0b0a0908}, bytes) == 0xa129ca6149be45e5);
}

TEST_CASE("seeded random: repeatable, spread, within bounds") {
  SeededRandom a(5);
  SeededRandom b(5);
  SeededRandom c(6);
  CHECK(a() == b());
  CHECK(a() != c());
  std::array<int, 10> counts{};
  for (int i = 0; i < 10000; ++i) ++counts[a.below(10)];
  for (const int count : counts) CHECK(std::abs(count - 1000) < 200);
  for (int i = 0; i < 1000; ++i) {
    const auto duration = a.jitter(10s, 0.5, 1.5);
    CHECK(duration >= 5s);
    CHECK(duration <= 15s);
  }
}

TEST_CASE("parameters pull: all pieces, however they come") {
  std::mt19937 random(1);
  for (const std::size_t size : {1U, 700U, 701U, 5600U, 5601U, 65000U}) {
    std::vector<std::uint8_t> document(size);
    for (auto& byte : document) byte = static_cast<std::uint8_t>(random());
    ParametersPull pull(1, 9, kStart);
    auto now = kStart;
    bool is_complete = false;
    int questions = 0;
    while (!is_complete) {
      now = std::max(now, pull.due());
      const auto question = pull.ask(now);
      REQUIRE(question);
      ++questions;
      for (const auto& piece : mesh::parameters_pieces(9, document, question->offset)) {
        CHECK(to_text(piece).size() <= 1100);
        if (random() % 5 == 0) continue;
        if (pull.take(piece, now)) is_complete = true;
        CHECK_FALSE(pull.take(piece, now));
      }
      REQUIRE(questions < 100);
    }
    CHECK(pull.bytes() == document);
  }
}

TEST_CASE("parameters pull: from somebody who has none it ends") {
  ParametersPull pull(1, 9, kStart);
  unsigned questions = 0;
  auto now = kStart;
  while (pull.ask(now)) {
    ++questions;
    now = pull.due();
  }
  CHECK(questions == ParametersPull::kTries);
  CHECK(now - kStart <= 3s);
  CHECK(pull.is_stuck());
}

TEST_CASE("parameters pull: pieces that do not belong to it") {
  const std::vector<std::uint8_t> document(2000, 7);
  const auto pieces = mesh::parameters_pieces(9, document, 0);
  REQUIRE(pieces.size() == 3);
  ParametersPull pull(1, 9, kStart);
  (void)pull.ask(kStart);
  auto wrong = pieces[0];
  wrong.version = 8;
  CHECK_FALSE(pull.take(wrong, kStart));
  wrong = pieces[0];
  wrong.offset = 1;
  CHECK_FALSE(pull.take(wrong, kStart));
  wrong = pieces[0];
  wrong.bytes.resize(10);
  CHECK_FALSE(pull.take(wrong, kStart));
  CHECK_FALSE(pull.take(pieces[0], kStart));
  wrong = pieces[1];
  wrong.size = 3000;
  CHECK_FALSE(pull.take(wrong, kStart));
  CHECK_FALSE(pull.take(pieces[2], kStart));
  CHECK(pull.take(pieces[1], kStart));
  CHECK(pull.bytes() == document);
  CHECK(mesh::parameters_pieces(9, document, 1).empty());
  CHECK(mesh::parameters_pieces(9, document, 2100).empty());
  CHECK(mesh::parameters_pieces(9, {}, 0).empty());
}
