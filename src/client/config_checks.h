// SPDX-License-Identifier: BSD-3-Clause
// What a configuration's keys demand of each other, and which of them this release does not carry out yet.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "src/client/config.h"

namespace sixlink::client {

// The line on which a key was given; 0 when it was not.
using LineOf = std::function<int(std::string_view key)>;

// gogoc's cross-checks: each broken one is a problem at the line of the key to change.
void cross_check(const Config& config, const LineOf& line_of, std::vector<config::Problem>& problems);

// What is set to anything but its default and does not work yet: what happens instead.
void warn_of_unsupported(const Config& config, const LineOf& line_of, std::vector<config::Problem>& warnings);

}  // namespace sixlink::client
