// SPDX-License-Identifier: BSD-3-Clause
// What a configuration's keys demand of each other, and which of them this release does not carry out yet.
#pragma once

#include "src/client/config.h"

namespace sixlink::client {

// gogoc's cross-checks: each broken one is a problem at the line of the key to change.
void cross_check(const Config& config, config::KeyReport& report);

// What is set to anything but its default and does not work yet: what happens instead.
void warn_of_unsupported(const Config& config, config::KeyReport& report);

}  // namespace sixlink::client
