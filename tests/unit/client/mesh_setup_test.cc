// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/mesh_setup.h"

#include <doctest/doctest.h>

using namespace sixlink;
using namespace sixlink::client;

TEST_CASE("mesh setup: each line of the record is read as it was written") {
  const std::vector<Made> all{MadeAddress{"lo", *net::parse_v6("2001:db8:42:1::1")},
                              MadeAddress{"lo", *net::parse_v4("192.0.2.1")},
                              MadeUnreachable{net::v4_mapped(*net::PrefixV4::parse("192.0.2.0/24"))},
                              MadeUnreachable{*net::Prefix::parse("2001:db8:42::/48")},
                              MadeTable{3654},
                              MadeLink{"sixm17"},
                              MadeFilter{"sixlink_mesh_0123abcd"},
                              platform::SystemSetting{"ipv6/conf/all/forwarding", "0", "1"}};
  for (const auto& made : all) {
    CAPTURE(to_line(made));
    CHECK(parse_made(to_line(made)) == made);
  }
  CHECK(to_line(all[0]) == "address lo 2001:db8:42:1::1");
  CHECK(to_line(all[5]) == "link sixm17");
  CHECK(to_line(all[7]) == "setting ipv6/conf/all/forwarding 0 1");
}

TEST_CASE("mesh setup: nothing else is undone") {
  for (const char* line : {"",
                           "address",
                           "address lo",
                           "address lo 2001:db8::1 more",
                           "address lo/../x 2001:db8::1",
                           "address lo nonsense",
                           "unreachable 2001:db8::1/64",
                           "unreachable ::/0 x",
                           "table",
                           "table 0",
                           "table -1",
                           "table 99999999999",
                           "table 3654x",
                           "setting a b",
                           "rm -rf /",
                           "link",
                           "link a/b",
                           "filter",
                           "filter filter",
                           "filter sixlink_mesh_0123abc;",
                           "filter sixlink_mesh_0123ABCD"}) {
    CAPTURE(line);
    CHECK_FALSE(parse_made(line));
  }
}

TEST_CASE("mesh setup: settings are those of IPv6 interfaces alone") {
  const auto is_refused = [](const char* name) {
    return platform::restore_setting({name, "0", "1"}) && platform::change_setting({name, "0", "1"});
  };
  CHECK(is_refused("../../kernel/core_pattern"));
  CHECK(is_refused("ipv6/conf/../../../kernel/core_pattern"));
  CHECK(is_refused("core/somaxconn"));
}
