// SPDX-License-Identifier: BSD-3-Clause
#include "registry/broker/address_budget.h"

#include <doctest/doctest.h>

using namespace sixlink::registry;
using namespace std::chrono_literals;
using boost::asio::ip::make_address;

namespace {

constexpr AddressBudget::TimePoint kStart{1000h};

}  // namespace

TEST_CASE("address budget: a burst, then the rate") {
  AddressBudget budget(3, 0.5);
  const auto address = make_address("192.0.2.1");
  for (int i = 0; i < 3; ++i) CHECK(budget.take(address, kStart));
  CHECK_FALSE(budget.has(address, kStart));
  CHECK_FALSE(budget.take(address, kStart + 1s));
  CHECK(budget.take(address, kStart + 2s));
  CHECK_FALSE(budget.take(address, kStart + 3s));
  // Never more than the burst, however long it was quiet.
  for (int i = 0; i < 3; ++i) CHECK(budget.take(address, kStart + 1h));
  CHECK_FALSE(budget.take(address, kStart + 1h));
}

TEST_CASE("address budget: asking takes nothing") {
  AddressBudget budget(1, 1);
  const auto address = make_address("192.0.2.1");
  for (int i = 0; i < 5; ++i) CHECK(budget.has(address, kStart));
  CHECK(budget.size() == 0);
  CHECK(budget.take(address, kStart));
  CHECK_FALSE(budget.has(address, kStart));
}

TEST_CASE("address budget: IPv4 addresses each, IPv6 addresses by their /64") {
  AddressBudget budget(1, 0.001);
  CHECK(budget.take(make_address("192.0.2.1"), kStart));
  CHECK(budget.take(make_address("192.0.2.2"), kStart));
  CHECK(budget.take(make_address("2001:db8:1::1"), kStart));
  CHECK_FALSE(budget.take(make_address("2001:db8:1::2"), kStart));
  CHECK(budget.take(make_address("2001:db8:1:1::1"), kStart));
}

TEST_CASE("address budget: memory is bounded whatever the number of addresses") {
  AddressBudget budget(1, 0.001);
  for (std::uint32_t i = 0; i < 200000; ++i)
    CHECK(budget.take(boost::asio::ip::address_v4(0x0a000000U + i), kStart));
  CHECK(budget.size() <= 65536);
  budget.expire(kStart + 2000s);
  CHECK(budget.size() == 0);
}

TEST_CASE("address budget: what is given back can be taken again, and is never more than the burst") {
  AddressBudget budget(2, 0.001);
  const auto address = make_address("2001:db8::1");
  budget.give_back(address, kStart);
  CHECK(budget.size() == 0);
  CHECK(budget.take(address, kStart));
  CHECK(budget.take(address, kStart));
  CHECK_FALSE(budget.take(address, kStart));
  budget.give_back(make_address("2001:db8::2"), kStart);  // the same /64
  CHECK(budget.take(address, kStart));
  for (int i = 0; i < 5; ++i) budget.give_back(address, kStart);
  CHECK(budget.take(address, kStart));
  CHECK(budget.take(address, kStart));
  CHECK_FALSE(budget.take(address, kStart));
}
