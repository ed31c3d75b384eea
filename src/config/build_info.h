// SPDX-License-Identifier: BSD-3-Clause
// What the Makefile decided: version and installation directories.
#pragma once

#include <string_view>

namespace sixlink::config {

std::string_view version();     // "0.1.0"
std::string_view data_dir();    // holds template/; the default of gogoc_dir
std::string_view config_dir();  // holds sixlink.conf

}  // namespace sixlink::config
