// SPDX-License-Identifier: BSD-3-Clause
#include "src/config/setters.h"

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <string>

namespace config = sixlink::config;

namespace {

struct Sample {
  bool flag = false;
  int count = 7;
  std::chrono::seconds wait{7};
  std::string name = "linux";
  struct {
    int inner = 7;
  } part;
};
using Setter = std::function<bool(Sample&, const std::string&)>;

}  // namespace

TEST_CASE("setters: store what is allowed, leave the rest") {
  Sample sample;
  const Setter flag = config::yes_no(&Sample::flag);
  CHECK(flag(sample, "Yes"));
  CHECK_FALSE(flag(sample, "1"));
  CHECK(sample.flag);
  const Setter count = config::number(&Sample::count, 1, 9);
  CHECK(count(sample, "9"));
  CHECK_FALSE(count(sample, "10"));
  CHECK_FALSE(count(sample, "0"));
  CHECK(sample.count == 9);
  const Setter wait = config::number(&Sample::wait, 0, 60);
  CHECK(wait(sample, "60"));
  CHECK_FALSE(wait(sample, "1.5"));
  CHECK(sample.wait == std::chrono::seconds(60));
  const Setter name = config::template_name(&Sample::name);
  CHECK(name(sample, "freebsd"));
  CHECK_FALSE(name(sample, "../x"));
  CHECK(sample.name == "freebsd");
}

TEST_CASE("setters: reach into a part of the configuration") {
  Sample sample;
  const Setter inner = config::number([](Sample& all) -> int& { return all.part.inner; }, 0, 9);
  CHECK(inner(sample, "3"));
  CHECK(sample.part.inner == 3);
}
