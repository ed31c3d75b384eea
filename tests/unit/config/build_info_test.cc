// SPDX-License-Identifier: BSD-3-Clause
#include "src/config/build_info.h"

#include <doctest/doctest.h>

TEST_CASE("build info: version and directories are set") {
  CHECK_FALSE(sixlink::config::version().empty());
  CHECK(sixlink::config::data_dir().starts_with("/"));
  CHECK(sixlink::config::config_dir().starts_with("/"));
}
