// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/mesh_views.h"

#include <doctest/doctest.h>

using namespace sixlink::client;

namespace {

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

constexpr const char* kTopology =
    R"({"nodes":[{"prefix":"2001:db8:42:1::/64","self":true},)"
    R"({"prefix":"2001:db8:42:2::/64","self":false,"through":"2001:db8:42:2::/64","metric":96},)"
    R"({"prefix":"2001:db8:42:3::/64","self":false,"through":"2001:db8:42:2::/64","metric":192}],)"
    R"("links":[{"from":"2001:db8:42:1::/64","to":"2001:db8:42:2::/64","state":"up","transport":"udp","rtt_ms":1.25}]})";

}  // namespace

TEST_CASE("mesh_views: a node's status, and no tunnel client's") {
  CHECK_FALSE(render_node_status(R"({"state":"up","mode":"v6v4"})"));
  CHECK_FALSE(render_node_status("nonsense"));
  const auto text = render_node_status(
      R"({"kind":"node","state":"up","since":"2026-11-22T18:00:00Z","network":"2001:db8:42::/48",)"
      R"("prefix":"2001:db8:42:7::/64","address":"2001:db8:42:7::1","interface":"lo","nat":"dependent",)"
      R"("endpoints":[{"address":"198.51.100.7","port":3653,"transport":"udp","kind":"mapped"}],)"
      R"("links":{"up":3,"begun":2,"served":1,"negotiating":4},"known":{"nodes":9,"contacts":8},)"
      R"("certificate":{"serial":"0a","expires":"2027-11-22T00:00:00Z","renewal":"2027-10-23T00:00:00Z",)"
      R"("warning":"expires soon"},"registry":{"url":"https://r","reachable":false,"last_error":"no way"},)"
      R"("port_mapping":{"protocol":"none","gateway":null,"mapped":[],"problem":"no UPnP gateway answers","ipv6":)"
      R"({"protocol":"PCP","gateway":"fe80::1%eth0","mapped":[{"transport":"udp","internal_port":3653,)"
      R"("external":"2001:db8:1::7","external_port":3653}],"problem":null}},)"
      R"("router":{"running":false,"problem":"babeld is not installed"},"last_error":null})");
  REQUIRE(text);
  CHECK(contains(*text, "3 up: 2 begun here, 1 by others; 4 on the way"));
  CHECK(contains(*text, "198.51.100.7 port 3653 udp (mapped)"));
  CHECK(contains(*text, "renews by itself on 2027-10-23"));
  CHECK(contains(*text, "WARNING         expires soon"));
  CHECK(contains(*text, "not reachable; the mesh works without"));
  CHECK(contains(*text, "babeld is not installed"));
  CHECK(contains(*text, "last error      none"));
  CHECK(contains(*text, "port mapping    no UPnP gateway answers\n"));
  CHECK(contains(*text, "IPv6 firewall   PCP: udp 3653 to 3653\n"));
  CHECK(render_node_status(R"({"kind":"node","state":"starting"})"));
}

TEST_CASE("mesh_views: peers in columns") {
  CHECK(render_peers(R"({"peers":[]})") == "no links\n");
  CHECK_FALSE(render_peers("[]"));
  const auto text = render_peers(
      R"({"peers":[{"peer":"2001:db8:42:7::/64","interface":"sixm1","state":"up","endpoint":"198.51.100.7:3653",)"
      R"("transport":"udp","datapath":"userspace","begun_by":"this node","fixed":true,"age_s":3700,"rtt_ms":12.34,)"
      R"("loss":0.5,"routes":3,"bytes_in":2048,"bytes_out":10},)"
      R"({"peer":"2001:db8:42:77::/64","interface":null,"state":"negotiating","endpoint":null,"rtt_ms":null}]})");
  REQUIRE(text);
  CHECK(contains(*text, "PEER                 INTERFACE  STATE"));
  CHECK(contains(*text, "198.51.100.7:3653/udp"));
  CHECK(contains(*text, "us, fixed"));
  CHECK(contains(*text, "12.3 ms"));
  CHECK(contains(*text, "50 %"));
  CHECK(contains(*text, "1 h 1 min"));
  CHECK(contains(*text, "2.0 KiB"));
  for (std::size_t at = 0; at < text->size(); ++at)
    if ((*text)[at] == '\n' && at > 0) CHECK((*text)[at - 1] != ' ');
}

TEST_CASE("mesh_views: routes and paths") {
  const auto routes = render_routes(
      R"({"routes":[{"destination":"2001:db8:42:3::/64","interface":"sixm1","peer":"2001:db8:42:2::/64","metric":192}]})");
  REQUIRE(routes);
  CHECK(contains(*routes, "2001:db8:42:3::/64  2001:db8:42:2::/64  sixm1         192  -"));
  const std::string path =
      R"({"address":"2001:db8:42:3::1","node":"2001:db8:42:3::/64","reached":true,"hops":[)"
      R"({"hop":1,"address":"2001:db8:42:2::1","node":"2001:db8:42:2::/64","rtt_ms":1.5},)"
      R"({"hop":2,"address":null,"node":null,"rtt_ms":null}]})";
  const auto text = render_path(path);
  REQUIRE(text);
  CHECK(is_reached(path));
  CHECK(contains(*text, "  1  2001:db8:42:2::/64  2001:db8:42:2::1  1.5 ms"));
  CHECK(contains(*text, "  2  -"));
  CHECK(contains(*render_path(R"({"address":"2001:db8::1","node":null,"reached":false,"hops":[]})"),
                 "2001:db8::1 does not answer: no node that is known"));
  CHECK(answer_problem(R"({"error":"no such node"})") == "no such node");
  CHECK(answer_problem(path).empty());
}

TEST_CASE("mesh_views: the topology, and as a graph") {
  const auto text = render_topology(kTopology);
  REQUIRE(text);
  CHECK(contains(*text, "(this node)"));
  const auto dot = render_dot(kTopology);
  REQUIRE(dot);
  CHECK(dot->starts_with("graph mesh {\n"));
  CHECK(contains(*dot, "\"2001:db8:42:1::/64\" -- \"2001:db8:42:2::/64\" [label=\"1.2 ms\"];"));
  CHECK(contains(*dot, "\"2001:db8:42:2::/64\" -- \"2001:db8:42:3::/64\" [style=dotted];"));
  CHECK(dot->ends_with("}\n"));
}

TEST_CASE("mesh_views: what the network said drives no terminal, and ends no quotes") {
  const auto text = render_routes(
      "{\"routes\":[{\"destination\":\"a\\u001b[2Jb\",\"interface\":\"x\\ny\",\"peer\":\"p\",\"metric\":1}]"
      "}");
  REQUIRE(text);
  CHECK_FALSE(contains(*text, "\033"));
  CHECK_FALSE(contains(*text, "x\ny"));
  const auto dot = render_dot(R"({"nodes":[],"links":[{"from":"a\"];evil","to":"b\\","rtt_ms":1}]})");
  REQUIRE(dot);
  CHECK(contains(*dot, "\"a];evil\" -- \"b\""));
}
