// SPDX-License-Identifier: BSD-3-Clause
// The one file that is compiled with the Makefile's version and paths.
#include "src/config/build_info.h"

namespace sixlink::config {

std::string_view version() {
  return SIXLINK_VERSION;
}
std::string_view data_dir() {
  return SIXLINK_DATADIR;
}
std::string_view config_dir() {
  return SIXLINK_CONFDIR;
}

}  // namespace sixlink::config
