// SPDX-License-Identifier: BSD-3-Clause
#include "registry/ca/prefix_book.h"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <vector>

using namespace sixlink;
using namespace sixlink::registry;

namespace {

const net::Prefix kWhole = *net::Prefix::parse("2001:db8:42::/56");

struct Book {
  std::unique_ptr<Database> database = open_sqlite(":memory:").database;

  Book() {
    REQUIRE(upgrade_schema(*database).empty());
    database->run(
        "INSERT INTO mesh_network (id, network, revision, version, parameters) VALUES (1, $1, 1, 0, '')",
        {kWhole.to_string()});
    REQUIRE_FALSE(database->has_failed());
  }

  void store(const net::Prefix& prefix) {
    database->run(
        "INSERT INTO mesh_nodes (prefix, key_hash, subject, created, serial, certificate, expires)"
        " VALUES ($1, $1, '', 0, '', '', 0)",
        {prefix.to_string()});
    REQUIRE_MESSAGE(!database->has_failed(), database->problem());
  }
  void drop(const net::Prefix& prefix) {
    database->run("DELETE FROM mesh_nodes WHERE prefix = $1", {prefix.to_string()});
  }
};

// One /64 each, in the obvious way: best fit by trying every place, lowest first.
class Oracle {
 public:
  Oracle() { used_[0] = true; }

  std::optional<int> take(int length) {
    const int size = 1 << (64 - length);
    std::optional<int> best;
    int best_room = 0;
    for (int at = 0; at < 256; at += size) {
      if (!is_free(at, size)) continue;
      // The free block that buddies would keep here: double it while the doubled one is free as a whole.
      int room = size;
      int start = at;
      while (room < 256 && is_free(start & ~(2 * room - 1), 2 * room)) {
        start &= ~(2 * room - 1);
        room *= 2;
      }
      if (!best || room < best_room) {
        best = at;
        best_room = room;
      }
    }
    if (best) set(*best, size, true);
    return best;
  }
  void give_back(int at, int length) { set(at, 1 << (64 - length), false); }

 private:
  bool is_free(int at, int size) const {
    for (int i = at; i < at + size; ++i) {
      if (used_[static_cast<std::size_t>(i)]) return false;
    }
    return true;
  }
  void set(int at, int size, bool value) {
    for (int i = at; i < at + size; ++i) used_[static_cast<std::size_t>(i)] = value;
  }
  std::vector<bool> used_ = std::vector<bool>(256, false);
};

int number_of(const net::Prefix& prefix) {
  return prefix.address.to_bytes()[7];
}

}  // namespace

TEST_CASE("prefix book: agrees with an obvious allocator, also when read again") {
  Book store;
  PrefixBook book(kWhole, {});
  Oracle oracle;
  std::mt19937 random(5);
  std::map<int, net::Prefix> held;
  for (int step = 0; step < 3000; ++step) {
    // Another registry's view, or this one after a restart.
    if (step % 97 == 0) book = PrefixBook(kWhole, {});
    if (step % 31 == 0) book.forget();
    if (held.empty() || random() % 100 < 55) {
      const int length = 58 + static_cast<int>(random() % 7);
      const auto taken = book.take(*store.database, length);
      const auto expected = oracle.take(length);
      REQUIRE(taken.has_value() == expected.has_value());
      if (!taken) continue;
      REQUIRE(number_of(taken->prefix) == *expected);
      REQUIRE(taken->prefix.length == length);
      store.store(taken->prefix);
      held[*expected] = taken->prefix;
    } else {
      auto at = held.begin();
      std::advance(at, static_cast<long>(random() % held.size()));
      book.give_back(*store.database, at->second, {});
      store.drop(at->second);
      oracle.give_back(at->first, at->second.length);
      held.erase(at);
    }
  }
  REQUIRE_FALSE(store.database->has_failed());
}

TEST_CASE("prefix book: the network's own first prefix is nobody's") {
  Book store;
  PrefixBook book(kWhole, {});
  for (int i = 1; i < 256; ++i) {
    const auto taken = book.take(*store.database, 64);
    REQUIRE(taken);
    REQUIRE(taken->prefix.address != kWhole.address);
    store.store(taken->prefix);
  }
  CHECK_FALSE(book.take(*store.database, 64));
  CHECK_FALSE(book.take(*store.database, 56));
}
