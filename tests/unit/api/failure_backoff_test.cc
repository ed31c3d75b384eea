// SPDX-License-Identifier: BSD-3-Clause
#include "registry/api/failure_backoff.h"

#include <doctest/doctest.h>

using sixlink::registry::FailureBackoff;
using std::chrono::seconds;

namespace {

const FailureBackoff::TimePoint kStart{std::chrono::hours(1000)};

boost::asio::ip::address at(const char* text) {
  return boost::asio::ip::make_address(text);
}

}  // namespace

TEST_CASE("failure backoff: doubles after some failures, up to an hour, for that address alone") {
  FailureBackoff backoff;
  auto now = kStart;
  for (unsigned i = 0; i < FailureBackoff::kFree; ++i) backoff.failed(at("192.0.2.1"), now);
  CHECK(backoff.wait(at("192.0.2.1"), now) == seconds(0));
  seconds expected{1};
  for (int i = 0; i < 20; ++i) {
    backoff.failed(at("192.0.2.1"), now);
    CHECK(backoff.wait(at("192.0.2.1"), now) == std::min<seconds>(expected, seconds(3600)));
    CHECK(backoff.wait(at("192.0.2.2"), now) == seconds(0));
    now += std::min<seconds>(expected, seconds(3600));
    CHECK(backoff.wait(at("192.0.2.1"), now) == seconds(0));
    expected *= 2;
  }
  now += FailureBackoff::kMemory + seconds(1);
  backoff.expire(now);
  CHECK(backoff.size() == 0);
}

TEST_CASE("failure backoff: an IPv6 /64 is one address, and memory is bounded") {
  FailureBackoff backoff;
  for (int i = 0; i < 10; ++i) backoff.failed(at(("2001:db8::" + std::to_string(i)).c_str()), kStart);
  CHECK(backoff.size() == 1);
  CHECK(backoff.wait(at("2001:db8::ffff"), kStart) == seconds(64));
  CHECK(backoff.wait(at("2001:db8:0:1::1"), kStart) == seconds(0));
  for (unsigned i = 0; i < 70000; ++i)
    backoff.failed(boost::asio::ip::address_v4(0x0a000000U + i), kStart + seconds(1));
  CHECK(backoff.size() <= FailureBackoff::kMostAddresses);
}
