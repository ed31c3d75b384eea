// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/build_info.h"

#include <doctest/doctest.h>

TEST_CASE("build info: version and directories are set") {
  CHECK_FALSE(sixlink::client::version().empty());
  CHECK(sixlink::client::data_dir().starts_with("/"));
  CHECK(sixlink::client::config_dir().starts_with("/"));
}
