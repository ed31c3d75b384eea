// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/contact_book.h"

#include <algorithm>

#include "src/mesh/destinations.h"
#include "tests/unit/mesh/mesh_network.h"

using namespace sixlink;
using namespace sixlink::test;
using namespace std::chrono_literals;
using mesh::ContactBook;
using Taken = mesh::ContactBook::Taken;

namespace {

const TimePoint kStart{1000s};

mesh::SignedContact a_contact(unsigned number, std::uint64_t sequence = 1) {
  mesh::SignedContact made;
  made.contact.prefix = prefix_of(number);
  made.contact.sequence = sequence;
  made.der = {static_cast<std::uint8_t>(number), static_cast<std::uint8_t>(number >> 8),
              static_cast<std::uint8_t>(sequence)};
  return made;
}

mesh::ContactRef contact(unsigned number, std::uint64_t sequence = 1) {
  return std::make_shared<const mesh::SignedContact>(a_contact(number, sequence));
}

}  // namespace

TEST_CASE("contact book: of a node the newest counts") {
  mesh::SeededRandom random(1);
  ContactBook book(10);
  CHECK(book.take(contact(1, 5), kStart, random) == Taken::kNew);
  CHECK(book.take(contact(1, 5), kStart, random) == Taken::kKnown);
  CHECK(book.take(contact(1, 4), kStart, random) == Taken::kOld);
  auto other = a_contact(1, 5);
  other.der.push_back(0);
  CHECK(book.take(std::make_shared<const mesh::SignedContact>(other), kStart, random) == Taken::kOld);
  CHECK(book.find(prefix_of(1))->contact->contact.sequence == 5);
  CHECK(book.take(contact(1, 6), kStart, random) == Taken::kNew);
  CHECK(book.find(prefix_of(1))->contact->contact.sequence == 6);
  CHECK(book.size() == 1);
}

TEST_CASE("contact book: knows what was verified, for a while") {
  mesh::SeededRandom random(1);
  ContactBook book(10);
  book.take(contact(1), kStart, random);
  CHECK(book.find_signed(contact(1)->der, kStart - 1s));
  CHECK_FALSE(book.find_signed(contact(1)->der, kStart + 1s));
  CHECK_FALSE(book.find_signed(contact(2)->der, kStart - 1s));
  CHECK_FALSE(book.find_signed({}, kStart - 1s));
  book.take(contact(1), kStart + 2s, random);
  CHECK(book.find_signed(contact(1)->der, kStart + 1s));
}

TEST_CASE("contact book: finds exactly these bytes, whatever else ends as they do") {
  mesh::SeededRandom random(1);
  ContactBook book(50);
  const auto with = [](unsigned number, std::uint8_t first) {
    auto made = a_contact(number);
    made.der.assign(40, 7);
    made.der[0] = first;
    return std::make_shared<const mesh::SignedContact>(made);
  };
  for (unsigned i = 0; i < 20; ++i) book.take(with(i, static_cast<std::uint8_t>(i)), kStart, random);
  for (unsigned i = 0; i < 20; i += 3) book.remove(prefix_of(i));
  for (unsigned i = 0; i < 20; ++i) {
    const auto found = book.find_signed(with(i, static_cast<std::uint8_t>(i))->der, kStart - 1s);
    REQUIRE((found != nullptr) == (i % 3 != 0));
    if (found) CHECK(found->contact.prefix == prefix_of(i));
  }
  CHECK_FALSE(book.find_signed(with(1, 99)->der, kStart - 1s));
}

TEST_CASE("contact book: is bounded, and keeps those that worked") {
  mesh::SeededRandom random(1);
  ContactBook book(100);
  for (unsigned i = 0; i < 10; ++i) {
    book.take(contact(i), kStart, random);
    if (i < 5) book.find(prefix_of(i))->is_neighbour = true;
    if (i >= 5) book.find(prefix_of(i))->worked = kStart;
  }
  for (unsigned i = 10; i < 5000; ++i) {
    book.take(contact(i), kStart, random);
    CHECK(book.size() <= 100);
  }
  for (unsigned i = 0; i < 5; ++i) CHECK(book.find(prefix_of(i)));
  unsigned kept = 0;
  for (unsigned i = 5; i < 10; ++i) kept += book.find(prefix_of(i)) ? 1 : 0;
  CHECK(kept >= 4);
  // Every one is found where it says that it is.
  std::size_t found = 0;
  for (unsigned i = 0; i < 5000; ++i) {
    const auto* entry = book.find(prefix_of(i));
    if (!entry) continue;
    ++found;
    CHECK(entry->contact->contact.prefix == prefix_of(i));
  }
  CHECK(found == book.size());
}

TEST_CASE("contact book: is bounded where nearly all are neighbours") {
  mesh::SeededRandom random(1);
  ContactBook book(20);
  for (unsigned i = 0; i < 18; ++i) {
    book.take(contact(i), kStart, random);
    book.find(prefix_of(i))->is_neighbour = true;
  }
  for (unsigned i = 18; i < 200; ++i) {
    book.take(contact(i), kStart, random);
    CHECK(book.size() <= 20);
  }
  for (unsigned i = 0; i < 18; ++i) CHECK(book.find(prefix_of(i)));
}

TEST_CASE("contact book: more neighbours than it is to have make it larger for as long as they are some") {
  mesh::SeededRandom random(1);
  ContactBook book(20);
  for (unsigned i = 0; i < 30; ++i) {
    book.take(contact(i), kStart, random);
    book.find(prefix_of(i))->is_neighbour = true;
  }
  CHECK(book.size() == 30);
  for (unsigned i = 0; i < 25; ++i) book.find(prefix_of(i))->is_neighbour = false;
  book.take(contact(30), kStart, random);
  CHECK(book.size() == 20);
  for (unsigned i = 25; i < 31; ++i) CHECK(book.find(prefix_of(i)));
}

TEST_CASE("contact book: against an obvious one") {
  mesh::SeededRandom random(7);
  ContactBook book(1000);
  std::map<unsigned, std::uint64_t> oracle;
  for (int step = 0; step < 5000; ++step) {
    const auto number = static_cast<unsigned>(random.below(200));
    if (random.below(4) == 0) {
      CHECK(book.remove(prefix_of(number)) == (oracle.erase(number) == 1));
    } else {
      const auto sequence = 1 + random.below(50);
      book.take(contact(number, sequence), kStart, random);
      oracle[number] = std::max<std::uint64_t>(oracle[number], sequence);
    }
    CHECK(book.size() == oracle.size());
  }
  for (const auto& [number, sequence] : oracle)
    CHECK(book.find(prefix_of(number))->contact->contact.sequence == sequence);
  book.remove_if([](const ContactBook::Entry& entry) { return entry.contact->contact.sequence < 25; });
  for (const auto& [number, sequence] : oracle)
    CHECK((book.find(prefix_of(number)) != nullptr) == (sequence >= 25));
}

TEST_CASE("backoffs: longer each time, never for ever, and forgotten after success") {
  mesh::SeededRandom random(1);
  mesh::Backoffs backoffs;
  auto now = kStart;
  CHECK(backoffs.may_try(prefix_of(1), now));
  std::chrono::nanoseconds last{0};
  for (int i = 0; i < 100; ++i) {
    backoffs.failed(prefix_of(1), now, 600s, random);
    CHECK_FALSE(backoffs.may_try(prefix_of(1), now));
    const auto began = now;
    while (!backoffs.may_try(prefix_of(1), now)) now += 100ms;
    CHECK(now - began <= 601s);
    last = now - began;
  }
  CHECK(last >= 300s);
  backoffs.failed(prefix_of(1), now, 600s, random);
  CHECK(backoffs.may_try(prefix_of(2), now));
  backoffs.shorten(now + 1s);
  CHECK(backoffs.may_try(prefix_of(1), now + 1s));
  backoffs.clear(prefix_of(1));
  CHECK(backoffs.may_try(prefix_of(1), now));
  backoffs.hold(prefix_of(1), now + 5s, random);
  CHECK_FALSE(backoffs.may_try(prefix_of(1), now + 4s));
  for (unsigned i = 0; i < 5000; ++i) backoffs.failed(prefix_of(i), now, 600s, random);
  CHECK(backoffs.size() == mesh::Backoffs::kMost);
}

TEST_CASE("destinations: found, counted, without this node, in whatever order they come") {
  mesh::SeededRandom random(3);
  std::vector<mesh::Reached> reached;
  for (unsigned i = 0; i < 3000; ++i)
    reached.push_back({prefix_of(static_cast<unsigned>(random.below(4000))), 0});
  mesh::Destinations destinations;
  destinations.replace(reached, prefix_of(7));
  std::set<std::string> oracle;
  for (const auto& one : reached) {
    if (one.node != prefix_of(7)) oracle.insert(one.node.to_string());
  }
  CHECK(destinations.size() == oracle.size());
  for (unsigned i = 0; i < 4000; ++i)
    CHECK(destinations.contains(prefix_of(i)) == oracle.contains(prefix_of(i).to_string()));
  for (std::size_t i = 0; i < destinations.size(); ++i)
    CHECK(oracle.contains(destinations.at(i).to_string()));
  destinations.replace({}, prefix_of(7));
  CHECK(destinations.size() == 0);
}
