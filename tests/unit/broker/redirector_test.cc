// SPDX-License-Identifier: BSD-3-Clause
#include "registry/broker/redirector.h"

#include <doctest/doctest.h>

#include <initializer_list>

using namespace sixlink::registry;
using Decision = Redirector::Decision;

namespace {

constexpr bool kHolds = true;
constexpr bool kNew = false;

}  // namespace

TEST_CASE("redirector: without brokers everybody is served, and told to come back while draining") {
  Redirector redirector({false, RedirectWhen::kAlways, 0, 0});
  CHECK(redirector.decide(kNew) == Decision::kServe);
  CHECK_FALSE(redirector.redirects_all());
  CHECK_FALSE(redirector.measured(1000000, 100));
  CHECK(redirector.decide(kNew) == Decision::kServe);
  redirector.drain();
  CHECK(redirector.decide(kNew) == Decision::kBusy);
  CHECK(redirector.decide(kHolds) == Decision::kBusy);
  CHECK_FALSE(redirector.answers_echo());
  redirector.undrain();
  CHECK(redirector.decide(kNew) == Decision::kServe);
  CHECK(redirector.answers_echo());
}

TEST_CASE("redirector: a front door serves nobody") {
  const Redirector redirector({true, RedirectWhen::kAlways, 0, 0});
  CHECK(redirector.redirects_all());
  CHECK(redirector.decide(kNew) == Decision::kRedirect);
  CHECK(redirector.decide(kHolds) == Decision::kRedirect);
  CHECK(redirector.answers_echo());
}

TEST_CASE("redirector: above the number of tunnels newcomers are sent on until a tenth is free") {
  Redirector redirector({true, RedirectWhen::kLoad, 100, 0});
  CHECK_FALSE(redirector.redirects_all());
  CHECK_FALSE(redirector.measured(99, 100));
  CHECK(redirector.decide(kNew) == Decision::kServe);
  // The hundredth came since the measurement.
  CHECK(redirector.granted());
  CHECK(redirector.decide(kNew) == Decision::kRedirect);
  CHECK(redirector.decide(kHolds) == Decision::kServe);
  CHECK(redirector.answers_echo());
  CHECK_FALSE(redirector.measured(91, 0));
  CHECK(redirector.decide(kNew) == Decision::kRedirect);
  CHECK(redirector.measured(90, 0));
  CHECK(redirector.decide(kNew) == Decision::kServe);
  CHECK_FALSE(redirector.measured(99, 0));
  CHECK(redirector.measured(100, 0));
}

TEST_CASE("redirector: small limits let go as well") {
  Redirector redirector({true, RedirectWhen::kLoad, 1, 0});
  CHECK(redirector.granted());
  CHECK_FALSE(redirector.measured(1, 0));
  CHECK(redirector.measured(0, 0));
}

TEST_CASE("redirector: above the load newcomers are sent on until it is a fifth less") {
  Redirector redirector({true, RedirectWhen::kLoad, 0, 50});
  CHECK_FALSE(redirector.measured(1000000, 49.9));
  CHECK(redirector.measured(0, 50));
  CHECK(redirector.decide(kNew) == Decision::kRedirect);
  CHECK_FALSE(redirector.measured(0, 41));
  CHECK(redirector.measured(0, 40));
  CHECK(redirector.decide(kNew) == Decision::kServe);
}

TEST_CASE("redirector: both limits have to be left behind") {
  Redirector redirector({true, RedirectWhen::kLoad, 10, 50});
  CHECK(redirector.measured(10, 60));
  CHECK_FALSE(redirector.measured(5, 45));
  CHECK_FALSE(redirector.measured(10, 10));
  CHECK(redirector.measured(9, 10));
}

TEST_CASE("redirector: draining goes before everything, and ends where it began") {
  for (const auto when : {RedirectWhen::kLoad, RedirectWhen::kDrain}) {
    Redirector redirector({true, when, 10, 0});
    redirector.measured(20, 0);
    const auto before = redirector.decide(kNew);
    redirector.drain();
    CHECK(redirector.is_draining());
    CHECK(redirector.decide(kNew) == Decision::kRedirect);
    CHECK(redirector.decide(kHolds) == Decision::kRedirect);
    CHECK_FALSE(redirector.answers_echo());
    redirector.undrain();
    CHECK(redirector.decide(kNew) == before);
  }
}
