// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/kernel_filter.h"

#include <doctest/doctest.h>

using namespace sixlink;
using namespace sixlink::client;

namespace {

datapath::MeshFilter mesh_filter() {
  datapath::MeshFilter mesh;
  mesh.network = *net::Prefix::parse("2001:db8:42::/48");
  mesh.own = *net::Prefix::parse("2001:db8:42:7::/64");
  return mesh;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("kernel filter: each daemon has its own table and its own four groups") {
  const auto home = kernel_filter_of("home");
  const auto other = kernel_filter_of("other");
  CHECK(home.table != other.table);
  CHECK(home.group != other.group);
  CHECK(home.group % 4 == 0);
  CHECK(home.group_of(false, false) == home.group);
  CHECK(home.group_of(true, false) == home.group + 1);
  CHECK(home.group_of(false, true) == home.group + 2);
  CHECK(home.group_of(true, true) == home.group + 3);
  CHECK(kernel_filter_of("home").table == home.table);
  CHECK(is_kernel_filter_name(home.table));
  CHECK(is_kernel_filter_name(kernel_filter_of("a b;\n{}").table));
}

TEST_CASE("kernel filter: only tables of ours are taken away") {
  for (const char* name : {"", "filter", "sixlink_mesh_", "sixlink_mesh_1234567", "sixlink_mesh_123456789",
                           "sixlink_mesh_1234567g", "sixlink_mesh_12;45678", "x sixlink_mesh_12345678"}) {
    CAPTURE(name);
    CHECK_FALSE(is_kernel_filter_name(name));
    CHECK(remove_kernel_filter(name));
  }
}

TEST_CASE("kernel filter: the rules are the network's") {
  const auto filter = kernel_filter_of("home");
  const auto text = kernel_filter_rules(filter, mesh_filter());
  CHECK(text.starts_with("add table inet " + filter.table + "\ndelete table inet " + filter.table + "\n"));
  CHECK(has(text, "ip6 saddr 2001:db8:42::/48 ip6 daddr 2001:db8:42::/48 accept\n"));
  CHECK(has(text, "ip6 saddr 2001:db8:42:7::/64 drop\n"));
  CHECK_FALSE(has(text, "ip saddr 192"));
  // Of links that are being left: the last two groups.
  const auto babel = "iifgroup { " + std::to_string(filter.group + 2) + ", " +
                     std::to_string(filter.group + 3) + " } udp dport 6697 udp length != 20 drop\n";
  CHECK(has(text, babel));
  auto mesh = mesh_filter();
  mesh.network_v4 = *net::PrefixV4::parse("192.0.2.0/24");
  mesh.own_v4 = *net::PrefixV4::parse("192.0.2.16/28");
  const auto with_v4 = kernel_filter_rules(filter, mesh);
  CHECK(has(with_v4, "ip saddr 192.0.2.0/24 ip daddr 192.0.2.0/24 accept\n"));
  CHECK(has(with_v4, "ip saddr 192.0.2.16/28 drop\n"));
}
