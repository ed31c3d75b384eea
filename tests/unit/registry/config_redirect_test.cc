// SPDX-License-Identifier: BSD-3-Clause
#include "registry/config_redirect.h"

#include <doctest/doctest.h>

#include <string>

using namespace sixlink;
using namespace sixlink::registry;

namespace {

const std::string kPrefix = "prefix=2001:db8:42::/48\n";

RedirectConfig parse(const std::string& text) {
  auto loaded = parse_config("test.conf", kPrefix + text);
  for (const auto& problem : loaded.problems) MESSAGE(config::to_string("test.conf", problem));
  REQUIRE(loaded.config.has_value());
  CHECK(loaded.warnings.empty());
  return loaded.config->redirect;
}

// The first problem, or else the first warning.
std::string complaint(const std::string& text) {
  const auto loaded = parse_config("test.conf", kPrefix + text);
  const auto& all = loaded.problems.empty() ? loaded.warnings : loaded.problems;
  REQUIRE_FALSE(all.empty());
  return (loaded.problems.empty() ? "warning: " : "") + config::to_string("test.conf", all.front());
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("redirect keys: nothing is redirected unless told so") {
  const auto redirect = parse("");
  CHECK(redirect.brokers.empty());
  CHECK(redirect.above_tunnels == 0);
  CHECK(redirect.above_load == 0);
}

TEST_CASE("redirect keys: brokers alone make a front door, a limit makes them a way out") {
  const auto front = parse("redirect=b.example.net 192.0.2.1:3654,[2001:db8::1]:3653\n");
  CHECK(front.when == RedirectWhen::kAlways);
  REQUIRE(front.brokers.size() == 3);
  CHECK(front.brokers[1].text == "192.0.2.1:3654");
  CHECK(parse("redirect=b.example.net\nredirect_above_tunnels=2000\n").when == RedirectWhen::kLoad);
  const auto load = parse("redirect=b.example.net\nredirect_above_load=70\n");
  CHECK(load.when == RedirectWhen::kLoad);
  CHECK(load.above_load == 70);
  CHECK(parse("redirect=b.example.net\nredirect_when=drain\n").when == RedirectWhen::kDrain);
}

TEST_CASE("redirect keys: what does not fit together is told") {
  CHECK(contains(complaint("redirect_above_load=50\n"), "there is no broker to redirect to"));
  CHECK(contains(complaint("redirect=b\nredirect_when=load\n"), "load needs a limit"));
  CHECK(contains(complaint("redirect_when=drain\n"), "warning: "));
  CHECK(contains(complaint("redirect=b\nredirect_when=drain\nredirect_above_load=5\n"), "without effect"));
  for (const auto* bad : {"redirect=no/broker", "redirect=fe80::1%eth0", "redirect=192.0.2.300",
                          "redirect_when=never", "redirect_above_load=101", "redirect_above_tunnels=-1"})
    CHECK_FALSE_MESSAGE(parse_config("test.conf", kPrefix + bad + "\n").config.has_value(), bad);
  std::string many = "redirect=";
  for (int i = 0; i < 17; ++i) many += "b" + std::to_string(i) + " ";
  CHECK_FALSE(parse_config("test.conf", kPrefix + many + "\n").config.has_value());
}

TEST_CASE("redirect keys: a registry does not redirect to itself") {
  const std::string listen = "listen=192.0.2.1 192.0.2.2:99\n";
  CHECK(contains(complaint(listen + "redirect=192.0.2.9 192.0.2.1\n"), "192.0.2.1 is this registry itself"));
  CHECK(contains(complaint(listen + "redirect=192.0.2.2:99\n"), "is this registry itself"));
  CHECK(contains(complaint("server_v4=198.51.100.1\nredirect=198.51.100.1\n"), "is this registry itself"));
  CHECK(parse(listen + "redirect=192.0.2.2 192.0.2.1:98\n").brokers.size() == 2);
}
