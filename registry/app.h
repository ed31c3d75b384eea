// SPDX-License-Identifier: BSD-3-Clause
// The program sixlink-registry, from its arguments to its exit code.
#pragma once

#include <string>
#include <vector>

namespace sixlink::registry {

int run_app(const std::vector<std::string>& arguments);

}  // namespace sixlink::registry
