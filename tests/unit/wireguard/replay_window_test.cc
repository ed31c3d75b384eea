// SPDX-License-Identifier: BSD-3-Clause
#include "src/wireguard/replay_window.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>

#include "src/wireguard/protocol.h"

using namespace sixlink::wireguard;

namespace {

// The slow one: remembers everything.
class Oracle {
 public:
  bool accept(std::uint64_t counter) {
    if (counter >= kRejectAfterMessages) return false;
    if (!seen_.empty() && counter + ReplayWindow::kSize < *seen_.rbegin() + 1) return false;
    return seen_.insert(counter).second;
  }
  std::uint64_t newest() const { return seen_.empty() ? 0 : *seen_.rbegin(); }

 private:
  std::set<std::uint64_t> seen_;
};

}  // namespace

TEST_CASE("replay: each counter once, in any order") {
  ReplayWindow window;
  for (const std::uint64_t counter : {0, 1, 3, 2, 63, 62, 64, 65, 8127}) {
    CAPTURE(counter);
    CHECK_FALSE(window.is_refused(counter));
    CHECK(window.accept(counter));
    CHECK(window.is_refused(counter));
    CHECK_FALSE(window.accept(counter));
  }
  CHECK(window.accept(4));
  CHECK(window.accept(8126));
}

TEST_CASE("replay: at least 8128 counters are told apart, and older ones refused") {
  ReplayWindow window;
  CHECK(window.accept(1'000'000));
  CHECK(window.accept(1'000'000 - 8127));
  CHECK_FALSE(window.accept(1'000'000 - 8128));
  CHECK(window.accept(1'000'001));
  CHECK_FALSE(window.accept(1'000'001 - 8128));
  CHECK(window.accept(1'000'001 - 8126));
}

TEST_CASE("replay: far ahead forgets what was before, and REJECT_AFTER_MESSAGES ends it") {
  ReplayWindow window;
  CHECK(window.accept(5));
  CHECK(window.accept(std::uint64_t{1} << 60));
  CHECK_FALSE(window.accept(5));
  CHECK_FALSE(window.accept(6));
  CHECK(window.accept((std::uint64_t{1} << 60) - 5));
  CHECK_FALSE(window.accept(kRejectAfterMessages));
  CHECK_FALSE(window.accept(UINT64_MAX));
  CHECK(window.accept(kRejectAfterMessages - 1));
  CHECK_FALSE(window.accept(kRejectAfterMessages - 1));
  CHECK(window.accept(kRejectAfterMessages - 2));
}

TEST_CASE("replay: agrees with a set that remembers everything") {
  std::mt19937_64 random(6479);
  for (int round = 0; round < 40; ++round) {
    ReplayWindow window;
    Oracle oracle;
    // Each round another mixture of near and far.
    const std::uint64_t spread = std::uint64_t{1} << (random() % 16);
    for (int i = 0; i < 20000; ++i) {
      const auto newest = oracle.newest();
      std::uint64_t counter = 0;
      switch (random() % 8) {
        case 0:
          counter = newest + random() % spread;
          break;
        case 1:
          counter = newest - std::min(newest, random() % (ReplayWindow::kSize + 70));
          break;
        case 2:
          counter = newest - std::min(newest, ReplayWindow::kSize - 1 + random() % 3);
          break;
        case 3:
          counter = newest & ~std::uint64_t{63};
          break;
        default:
          counter = newest + 1 - std::min(newest + 1, random() % spread);
          break;
      }
      const bool is_refused = window.is_refused(counter);
      const bool is_accepted = oracle.accept(counter);
      REQUIRE(window.accept(counter) == is_accepted);
      REQUIRE(is_refused == !is_accepted);
    }
  }
}
