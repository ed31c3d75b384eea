// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/check.h"

#include <cstdio>

#include "tests/sim/measure.h"

namespace sixlink::sim {

bool run_checks(std::size_t nodes) {
  bool all_passed = true;
  auto checks = checks_of_parts();
  for (auto& check : checks_of_networks(nodes)) checks.push_back(std::move(check));
  for (const auto& check : checks) {
    const double before = processor_seconds();
    const auto problem = check.test();
    std::printf("# %s: %.1f s of processor time\n", check.name, processor_seconds() - before);
    if (problem.empty()) {
      std::printf("PASS %s\n", check.name);
    } else {
      std::printf("FAIL %s: %s\n", check.name, problem.c_str());
      all_passed = false;
    }
    std::fflush(stdout);
  }
  return all_passed;
}

}  // namespace sixlink::sim
