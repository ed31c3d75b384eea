// SPDX-License-Identifier: BSD-3-Clause
// Small networks in trouble, for continuous integration: one PASS or FAIL line a test.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace sixlink::sim {

struct Check {
  const char* name;
  std::function<std::string()> test;  // what is wrong; empty: nothing
};
std::vector<Check> checks_of_parts();
std::vector<Check> checks_of_networks(std::size_t nodes);

// False: one of them failed.
bool run_checks(std::size_t nodes);

}  // namespace sixlink::sim
