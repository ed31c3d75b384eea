// SPDX-License-Identifier: BSD-3-Clause
// The two runs that `make sim` is made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace sixlink::sim {

// One line of JSON each.
std::string measure(std::size_t nodes, std::uint64_t seed);
std::string one_seed(std::size_t nodes, std::uint64_t seed);

}  // namespace sixlink::sim
