// SPDX-License-Identifier: BSD-3-Clause
#include "registry/dns/update_queue.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

using namespace sixlink;
using namespace sixlink::registry;
using namespace sixlink::registry::dns;
using namespace std::chrono_literals;

namespace {

const UpdateQueue::TimePoint kStart = UpdateQueue::TimePoint() + 1000s;

Change change(const std::string& zone, int number, bool is_addition = true) {
  std::string digits = std::to_string(number);
  digits.insert(0, 5 - digits.size(), '0');
  return {{zone, "n" + digits + "." + zone, "AAAA", "2001:db8::1"}, is_addition};
}

std::vector<Change> many(const std::string& zone, int count) {
  std::vector<Change> changes;
  for (int i = 0; i < count; ++i) changes.push_back(change(zone, i));
  return changes;
}

}  // namespace

TEST_CASE("dns queue: nothing to do") {
  UpdateQueue queue(1);
  CHECK_FALSE(queue.next(kStart).has_value());
  CHECK_FALSE(queue.next_due().has_value());
}

TEST_CASE("dns queue: batches are of one zone and bounded") {
  UpdateQueue queue(1);
  auto changes = many("a.net", 250);
  for (auto& other : many("b.net", 3)) changes.push_back(other);
  queue.set(changes);
  std::size_t sent = 0;
  int rounds = 0;
  while (const auto batch = queue.next(kStart)) {
    REQUIRE(++rounds < 10);
    CHECK(batch->names <= UpdateQueue::kLargestBatch);
    for (const auto& one : batch->changes) CHECK(one.record.zone == batch->zone);
    // Zones take turns.
    if (rounds == 2) CHECK(batch->zone == "b.net");
    sent += batch->changes.size();
    queue.succeeded(*batch);
  }
  CHECK(sent == 253);
  CHECK(rounds == 4);
  CHECK(queue.size() == 0);
}

TEST_CASE("dns queue: one name's changes stay together") {
  UpdateQueue queue(1);
  std::vector<Change> changes;
  for (int i = 0; i < 150; ++i) {
    changes.push_back(change("a.net", i, false));
    changes.push_back(change("a.net", i, true));
    changes.back().record.data = "2001:db8::2";
  }
  queue.set(changes);
  const auto batch = queue.next(kStart);
  REQUIRE(batch);
  CHECK(batch->names == 100);
  CHECK(batch->changes.size() == 200);
}

TEST_CASE("dns queue: a silent server is tried again, less and less often") {
  UpdateQueue queue(1);
  queue.set(many("a.net", 2));
  auto now = kStart;
  std::chrono::milliseconds before{0};
  for (int i = 0; i < 12; ++i) {
    const auto batch = queue.next(now);
    REQUIRE(batch);
    CHECK(batch->names == 2);
    queue.failed(*batch, UpdateQueue::Failure::kZone, now);
    CHECK_FALSE(queue.next(now).has_value());
    const auto due = queue.next_due();
    REQUIRE(due);
    const auto delay = std::chrono::duration_cast<std::chrono::milliseconds>(*due - now);
    CHECK(delay >= 800ms);
    CHECK(delay <= 72s);
    if (i > 0 && i < 5) CHECK(delay > before);
    before = delay;
    // The leases change meanwhile: no reason to bother the server more often.
    queue.set(many("a.net", 2));
    CHECK_FALSE(queue.next(now).has_value());
    now = *due;
  }
  CHECK(before >= 48s);
  CHECK(queue.failures("a.net") == 12);
  const auto batch = queue.next(now);
  REQUIRE(batch);
  queue.succeeded(*batch);
  CHECK(queue.failures("a.net") == 0);
  queue.set(many("a.net", 1));
  CHECK(queue.next(now).has_value());
}

TEST_CASE("dns queue: one zone's trouble is not the other's") {
  UpdateQueue queue(1);
  auto changes = many("a.net", 1);
  changes.push_back(change("b.net", 1));
  queue.set(changes);
  auto batch = queue.next(kStart);
  REQUIRE(batch);
  const auto troubled = batch->zone;
  queue.failed(*batch, UpdateQueue::Failure::kRefused, kStart);
  batch = queue.next(kStart);
  REQUIRE(batch);
  CHECK(batch->zone != troubled);
}

TEST_CASE("dns queue: retry_now forgets the delays") {
  UpdateQueue queue(1);
  queue.set(many("a.net", 1));
  auto batch = queue.next(kStart);
  REQUIRE(batch);
  queue.failed(*batch, UpdateQueue::Failure::kRefused, kStart);
  CHECK_FALSE(queue.next(kStart + 10s).has_value());  // put off: refused alone
  queue.retry_now();
  CHECK(queue.next(kStart + 10s).has_value());
}

TEST_CASE("dns queue: names that the server refuses do not hold up the others") {
  UpdateQueue queue(1);
  queue.set(many("a.net", 300));
  const std::set<std::string> bad = {"n00017.a.net", "n00200.a.net", "n00299.a.net"};
  std::set<std::string> done;
  auto now = kStart;
  int attempts = 0;
  while (done.size() < 297) {
    REQUIRE(++attempts < 120);
    const auto batch = queue.next(now);
    if (!batch) {
      const auto due = queue.next_due();
      REQUIRE(due);
      REQUIRE(*due > now);
      now = *due;
      continue;
    }
    bool is_refused = false;
    for (const auto& one : batch->changes) is_refused = is_refused || bad.contains(one.record.name);
    if (is_refused) {
      queue.failed(*batch, UpdateQueue::Failure::kRefused, now);
      continue;
    }
    for (const auto& one : batch->changes) done.insert(one.record.name);
    queue.succeeded(*batch);
  }
  CHECK(now - kStart < 15min);
  CHECK(queue.size() == 3);
  // They are asked again later, for good.
  const auto due = queue.next_due();
  REQUIRE(due);
  CHECK(queue.next(*due).has_value());
}
