// SPDX-License-Identifier: BSD-3-Clause
// What a configuration's keys demand of each other.
#pragma once

#include "src/client/config.h"

namespace sixlink::client {

// gogoc's cross-checks: each broken one is a problem at the line of the key to change.
void cross_check(const Config& config, config::KeyReport& report);

}  // namespace sixlink::client
