// SPDX-License-Identifier: BSD-3-Clause
#include "registry/broker/process_load.h"

#include <doctest/doctest.h>

using namespace sixlink::registry;
using namespace std::chrono_literals;

TEST_CASE("load: percent of a core over the last ten seconds") {
  const ProcessLoad::TimePoint start{1000s};
  ProcessLoad load;
  CHECK(load.percent() == 0);
  load.add(start, 5s);
  CHECK(load.percent() == 0);
  load.add(start + 1s, 5500ms);
  CHECK(load.percent() == doctest::Approx(50));
  for (int second = 2; second <= 10; ++second) load.add(start + std::chrono::seconds(second), 5500ms);
  CHECK(load.percent() == doctest::Approx(5));
  // What is older counts no more.
  load.add(start + 11s, 5500ms);
  load.add(start + 12s, 5500ms);
  CHECK(load.percent() == doctest::Approx(0));
  load.add(start + 13s, 8500ms);
  CHECK(load.percent() == doctest::Approx(30));
}

TEST_CASE("load: a pause and a clock that stands still do no harm") {
  const ProcessLoad::TimePoint start{1000s};
  ProcessLoad load;
  load.add(start, 1s);
  load.add(start, 2s);
  CHECK(load.percent() == 0);
  load.add(start + 1000s, 12s);
  CHECK(load.percent() > 0);
  CHECK(load.percent() < 2);
}

TEST_CASE("load: work of this process is seen") {
  const auto before = process_cpu_time();
  const auto end = std::chrono::steady_clock::now() + 2s;
  while (process_cpu_time() - before < 20ms && std::chrono::steady_clock::now() < end) {
  }
  CHECK(process_cpu_time() - before >= 20ms);
}
