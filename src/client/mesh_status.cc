// SPDX-License-Identifier: BSD-3-Clause
// What a node tells over the control socket, as JSON.
#include "src/client/mesh_status.h"

#include <unistd.h>

#include <boost/json.hpp>
#include <map>

#include "src/config/build_info.h"
#include "src/net/outer_address.h"
#include "src/tsp/status.h"

namespace sixlink::client {
namespace {

namespace json = boost::json;

constexpr std::size_t kLongestValue = 2000;

json::value text_or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(tsp::printable(text, kLongestValue));
}

json::value milliseconds_or_null(const std::optional<std::chrono::microseconds>& time) {
  return time ? json::value(static_cast<double>(time->count()) / 1000.0) : json::value(nullptr);
}

json::value time_or_null(const std::optional<WallTime>& time) {
  return time ? json::value(utc_time(*time)) : json::value(nullptr);
}

json::array endpoints_json(const std::vector<mesh::ContactEndpoint>& endpoints) {
  json::array array;
  for (const auto& endpoint : endpoints) {
    array.push_back(json::object{{"address", endpoint.address.to_string()},
                                 {"port", endpoint.port},
                                 {"transport", mesh::to_string(endpoint.transport)},
                                 {"kind", mesh::to_string(endpoint.kind)}});
  }
  return array;
}

json::object counters_json(const mesh::NodeCounters& counters) {
  return {{"datagrams_received", counters.datagrams_received},
          {"datagrams_sent", counters.datagrams_sent},
          {"bytes_sent", counters.bytes_sent},
          {"malformed", counters.malformed},
          {"bad_contacts", counters.bad_contacts},
          {"old_contacts", counters.old_contacts},
          {"bad_parameters", counters.bad_parameters},
          {"refused", counters.refused},
          {"rate_limited", counters.rate_limited}};
}

json::object drops_json(const datapath::Counters& counters) {
  json::object drops;
  for (std::size_t i = 0; i < datapath::kDropReasons; ++i) {
    if (counters.drops[i] != 0)
      drops[datapath::to_string(static_cast<datapath::Drop>(i))] = counters.drops[i];
  }
  return drops;
}

const MeshLinks::Status* find_link(const MeshView& view, mesh::LinkId link) {
  for (const auto& one : view.links) {
    if (one.link == link) return &one;
  }
  return nullptr;
}

json::object peer_json(const MeshView& view, const mesh::LinkStatus& link) {
  const auto* const system = find_link(view, link.link);
  const auto& endpoint = system ? system->endpoint : link.endpoint;
  const auto age = std::chrono::duration_cast<std::chrono::seconds>(view.steady_now - link.since);
  // What is only negotiated has no age yet.
  const bool has_begun = link.since != mesh::TimePoint{};
  json::object peer{{"peer", link.peer.to_string()},
                    {"address", node_address(link.peer).to_string()},
                    {"state", mesh::to_string(link.state)},
                    {"interface", text_or_null(system ? system->interface : std::string())},
                    {"endpoint", endpoint.port() == 0
                                     ? json::value(nullptr)
                                     : json::value(net::endpoint_text(endpoint.address(), endpoint.port()))},
                    {"transport", mesh::to_string(link.transport)},
                    {"datapath", system && system->is_kernels ? "kernel" : "userspace"},
                    {"begun_by", link.is_ours ? "this node" : "the peer"},
                    {"fixed", link.is_fixed},
                    {"since", has_begun ? json::value(utc_time(view.now - age)) : json::value(nullptr)},
                    {"age_s", has_begun ? json::value(age.count()) : json::value(nullptr)},
                    {"rtt_ms", milliseconds_or_null(link.rtt)},
                    {"loss", link.loss},
                    {"routes", link.routes},
                    {"bytes", link.bytes}};
  if (system) {
    peer["bytes_in"] = system->bytes_in;
    peer["bytes_out"] = system->bytes_out;
    peer["packets_in"] = system->counters.packets_in;
    peer["packets_out"] = system->counters.packets_out;
    // Of its own links the kernel counts these by other reasons (ip -s link, nft list table).
    if (!system->is_kernels) peer["drops"] = drops_json(system->counters);
  }
  return peer;
}

json::value router_json(const std::optional<BabelStatus>& router) {
  if (!router) return nullptr;
  return json::object{{"running", router->is_running},
                      {"problem", text_or_null(router->problem)},
                      {"version", text_or_null(router->version)},
                      {"restarts", router->restarts},
                      {"routes", router->routes}};
}

json::value registry_json(const std::optional<RegistryState>& registry) {
  if (!registry) return nullptr;
  return json::object{{"url", registry->url},
                      {"reachable", registry->is_reachable},
                      {"last_answer", time_or_null(registry->last_answer)},
                      {"last_error", text_or_null(registry->last_error)}};
}

json::object mapped_json(const PortMappingStatus& status) {
  json::array mapped;
  for (const auto& one : status.mapped) {
    mapped.push_back(json::object{{"transport", mesh::to_string(one.transport)},
                                  {"internal_port", one.internal_port},
                                  {"external", one.external.to_string()},
                                  {"external_port", one.external_port}});
  }
  return json::object{{"protocol", mesh::to_string(status.protocol)},
                      {"gateway", text_or_null(status.gateway)},
                      {"mapped", std::move(mapped)},
                      {"problem", text_or_null(status.problem)}};
}

json::value port_mapping_json(const std::optional<ReachabilityStatus>& reachability) {
  if (!reachability) return nullptr;
  auto object = mapped_json(reachability->ipv4);
  object["ipv6"] = mapped_json(reachability->ipv6);
  return object;
}

json::value certificate_json(const MeshView& view) {
  if (!view.certificate) return nullptr;
  json::object certificate{{"serial", view.certificate->serial()},
                           {"subject", text_or_null(view.certificate->subject())},
                           {"expires", utc_time(view.certificate->not_after())},
                           {"renewal", utc_time(renewal_time(*view.certificate))}};
  const auto warning =
      view.registry ? view.registry->warning : certificate_warning(*view.certificate, view.now);
  certificate["warning"] = text_or_null(warning);
  return certificate;
}

}  // namespace

std::string mesh_status_json(const MeshView& view) {
  const auto& node = *view.node;
  const auto& parameters = node.parameters();
  const auto links = node.links();
  std::size_t up = 0;
  std::size_t ours = 0;
  std::size_t served = 0;
  std::size_t negotiating = 0;
  for (const auto& link : links) {
    const bool is_up =
        link.state != mesh::LinkState::kNegotiating && link.state != mesh::LinkState::kHandshake;
    if (!is_up) {
      ++negotiating;
      continue;
    }
    ++up;
    ++(link.is_ours ? ours : served);
  }
  json::object status{
      {"kind", "node"},
      {"version", config::version()},
      {"pid", ::getpid()},
      {"state", view.state},
      {"since", utc_time(view.since)},
      {"network", view.network.to_string()},
      {"prefix", view.prefix.to_string()},
      {"address", view.address.to_string()},
      {"address_v4", text_or_null(view.address_v4 ? view.address_v4->to_string() : std::string())},
      {"interface", view.main_interface},
      {"gateway", view.is_gateway},
      {"nat", mesh::to_string(node.nat())},
      {"endpoints", endpoints_json(node.own_contact().contact.endpoints)},
      {"links", json::object{{"up", up}, {"begun", ours}, {"served", served}, {"negotiating", negotiating}}},
      {"known", json::object{{"nodes", node.known_destinations()}, {"contacts", node.known_contacts()}}},
      {"parameters", json::object{{"version", parameters.version},
                                  {"client_count", parameters.client_count},
                                  {"tunnel_refresh_s", parameters.tunnel_refresh.count()},
                                  {"hello_interval_s", parameters.hello_interval.count()},
                                  {"revoked", parameters.revoked.size()}}},
      {"certificate", certificate_json(view)},
      {"registry", registry_json(view.registry)},
      {"router", router_json(view.router)},
      {"foreign_announcements", view.foreign_announcements},
      {"port_mapping", port_mapping_json(view.reachability)},
      {"counters", counters_json(node.counters())},
      {"last_error", text_or_null(view.last_error)}};
  if (view.tls) {
    status["tls"] = json::object{{"open", view.tls->open},
                                 {"accepted", view.tls->accepted},
                                 {"refused", view.tls->refused},
                                 {"failed", view.tls->failed},
                                 {"dropped", view.tls->dropped}};
  }
  return json::serialize(status);
}

std::string mesh_peers_json(const MeshView& view) {
  json::array peers;
  for (const auto& link : view.node->links()) peers.push_back(peer_json(view, link));
  return json::serialize(json::object{{"prefix", view.prefix.to_string()}, {"peers", std::move(peers)}});
}

std::string mesh_routes_json(const MeshView& view) {
  std::map<std::string, std::string> peer_of;
  for (const auto& link : view.node->links()) {
    const auto* const system = find_link(view, link.link);
    if (system) peer_of[system->interface] = link.peer.to_string();
  }
  json::array routes;
  for (const auto& route : *view.routes) {
    const auto peer = peer_of.find(route.interface);
    routes.push_back(
        json::object{{"destination", mesh::to_string(route.destination)},
                     {"interface", route.interface},
                     {"peer", text_or_null(peer == peer_of.end() ? std::string() : peer->second)},
                     {"metric", route.metric},
                     {"origin", text_or_null(route.origin)}});
  }
  return json::serialize(json::object{{"prefix", view.prefix.to_string()}, {"routes", std::move(routes)}});
}

std::string mesh_topology_json(const MeshView& view) {
  std::map<std::string, std::string> peer_of;
  json::array nodes;
  json::array links;
  nodes.push_back(json::object{{"prefix", view.prefix.to_string()}, {"self", true}});
  for (const auto& link : view.node->links()) {
    const auto* const system = find_link(view, link.link);
    if (!system) continue;
    peer_of[system->interface] = link.peer.to_string();
    links.push_back(json::object{{"from", view.prefix.to_string()},
                                 {"to", link.peer.to_string()},
                                 {"state", mesh::to_string(link.state)},
                                 {"transport", mesh::to_string(link.transport)},
                                 {"begun_by", link.is_ours ? "this node" : "the peer"},
                                 {"rtt_ms", milliseconds_or_null(link.rtt)}});
  }
  for (const auto& route : *view.routes) {
    const auto* const prefix = std::get_if<net::Prefix>(&route.destination);
    if (!prefix || !view.network.contains(*prefix)) continue;
    const auto peer = peer_of.find(route.interface);
    nodes.push_back(
        json::object{{"prefix", prefix->to_string()},
                     {"self", false},
                     {"through", text_or_null(peer == peer_of.end() ? std::string() : peer->second)},
                     {"metric", route.metric}});
  }
  return json::serialize(json::object{
      {"prefix", view.prefix.to_string()}, {"nodes", std::move(nodes)}, {"links", std::move(links)}});
}

std::string mesh_path_json(const net::AddressV6& target, const MeshPathResult& result,
                           const std::vector<mesh::Route>& routes, const net::Prefix& own) {
  if (!result.problem.empty()) return mesh_error_json(result.problem);
  json::array hops;
  for (const auto& hop : result.hops) {
    const auto node = hop.address ? node_of(*hop.address, routes, own) : std::nullopt;
    hops.push_back(json::object{{"hop", hop.number},
                                {"address", text_or_null(hop.address ? hop.address->to_string() : "")},
                                {"node", text_or_null(node ? node->to_string() : "")},
                                {"rtt_ms", milliseconds_or_null(hop.rtt)},
                                {"unreachable", hop.is_unreachable}});
  }
  const auto node = node_of(target, routes, own);
  return json::serialize(json::object{{"address", target.to_string()},
                                      {"node", text_or_null(node ? node->to_string() : "")},
                                      {"reached", result.is_reached},
                                      {"hops", std::move(hops)}});
}

std::string mesh_error_json(const std::string& problem) {
  return json::serialize(json::object{{"error", tsp::printable(problem, kLongestValue)}});
}

std::string mesh_starting_json(const std::string& last_error) {
  return json::serialize(json::object{{"kind", "node"},
                                      {"version", config::version()},
                                      {"pid", ::getpid()},
                                      {"state", "starting"},
                                      {"last_error", text_or_null(last_error)}});
}

std::optional<net::Prefix> node_of(const net::AddressV6& address, const std::vector<mesh::Route>& routes,
                                   const net::Prefix& own) {
  if (own.contains(address)) return own;
  std::optional<net::Prefix> best;
  for (const auto& route : routes) {
    const auto* const prefix = std::get_if<net::Prefix>(&route.destination);
    if (prefix && prefix->length > 0 && prefix->contains(address) && (!best || prefix->length > best->length))
      best = *prefix;
  }
  return best;
}

std::optional<net::AddressV6> parse_node(std::string_view text) {
  if (const auto prefix = net::Prefix::parse(text)) return node_address(*prefix);
  const auto address = net::parse_v6(text);
  if (!address || address->is_unspecified() || address->is_multicast() || address->is_link_local())
    return std::nullopt;
  return address;
}

net::AddressV6 node_address(const net::Prefix& prefix) {
  auto bytes = prefix.address.to_bytes();
  if (prefix.length < 128) bytes[15] |= 1;
  return net::AddressV6(bytes);
}

}  // namespace sixlink::client
