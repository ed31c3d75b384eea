// SPDX-License-Identifier: BSD-3-Clause
// What the commands of the mesh print. Some of the texts came from the network: none of them may drive the
// terminal, or look like a line of ours.
#include "src/client/mesh_views.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "src/tsp/status.h"

namespace sixlink::client {
namespace {

namespace json = boost::json;

constexpr std::size_t kLongestValue = 2000;

// Reads fields that another version of the daemon may not have: absent is empty.
class Fields {
 public:
  explicit Fields(const json::object& object) : object_(object) {}
  std::string text(std::string_view name) const {
    const auto* value = object_.if_contains(name);
    return value && value->is_string() ? tsp::printable(std::string_view(value->as_string()), kLongestValue)
                                       : std::string();
  }
  std::optional<double> number(std::string_view name) const {
    const auto* value = object_.if_contains(name);
    return value && value->is_number() ? std::optional(value->to_number<double>()) : std::nullopt;
  }
  bool flag(std::string_view name) const {
    const auto* value = object_.if_contains(name);
    return value && value->is_bool() && value->get_bool();
  }
  Fields object(std::string_view name) const {
    static const json::object kEmpty;
    const auto* value = object_.if_contains(name);
    return Fields(value && value->is_object() ? value->as_object() : kEmpty);
  }
  std::vector<Fields> list(std::string_view name) const {
    std::vector<Fields> all;
    const auto* value = object_.if_contains(name);
    if (!value || !value->is_array()) return all;
    for (const auto& one : value->as_array()) {
      if (one.is_object()) all.emplace_back(one.as_object());
    }
    return all;
  }
  bool has(std::string_view name) const { return object_.contains(name); }
  bool is_empty() const { return object_.empty(); }

 private:
  const json::object& object_;
};

std::optional<json::object> parse_object(std::string_view text, std::string_view field) {
  boost::system::error_code error;
  auto value = json::parse(text, error);
  if (error || !value.is_object() || !value.as_object().contains(field)) return std::nullopt;
  return std::move(value.as_object());
}

std::string duration_text(std::optional<double> given) {
  if (!given) return "-";
  const auto seconds = static_cast<std::int64_t>(std::clamp(*given, 0.0, 1e12));
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{} min", seconds / 60);
  if (seconds < 86400) return fmt::format("{} h {} min", seconds / 3600, seconds % 3600 / 60);
  return fmt::format("{} d {} h", seconds / 86400, seconds % 86400 / 3600);
}

std::string bytes_text(std::optional<double> given) {
  if (!given) return "-";
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double bytes = std::max(0.0, *given);
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < std::size(kUnits); ++unit) bytes /= 1024;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

std::string rtt_text(const Fields& fields) {
  const auto rtt = fields.number("rtt_ms");
  return rtt ? fmt::format("{:.1f} ms", *rtt) : "-";
}

std::string count_text(const Fields& fields, std::string_view name) {
  const auto count = fields.number(name);
  return count ? fmt::format("{:.0f}", *count) : "-";
}

std::string or_dash(const std::string& text) {
  return text.empty() ? "-" : text;
}

// Columns as wide as what stands in them; numbers stand at the right.
class Table {
 public:
  enum class Align { kLeft, kRight };
  explicit Table(const std::vector<std::pair<std::string, Align>>& columns) {
    std::vector<std::string> head;
    for (const auto& [title, align] : columns) {
      head.push_back(title);
      aligns_.push_back(align);
    }
    rows_.push_back(std::move(head));
  }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string to_string() const {
    std::vector<std::size_t> widths(aligns_.size());
    for (const auto& row : rows_) {
      for (std::size_t at = 0; at < row.size(); ++at) widths[at] = std::max(widths[at], row[at].size());
    }
    std::string text;
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t at = 0; at < row.size(); ++at) {
        const std::string blanks(widths[at] - row[at].size(), ' ');
        line += (at == 0 ? "" : "  ") + (aligns_[at] == Align::kLeft ? row[at] + blanks : blanks + row[at]);
      }
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
    }
    return text;
  }

 private:
  std::vector<Align> aligns_;
  std::vector<std::vector<std::string>> rows_;
};

using enum Table::Align;

void line(std::string& out, std::string_view label, const std::string& value) {
  if (!value.empty()) out += fmt::format("{:<16}{}\n", label, value);
}

// Which ports a router has mapped or opened, or why it has none.
std::string mapping_text(const Fields& mapping) {
  if (mapping.is_empty()) return {};
  std::string mapped;
  for (const auto& one : mapping.list("mapped"))
    mapped += fmt::format("{}{} {} to {}", mapped.empty() ? "" : ", ", one.text("transport"),
                          count_text(one, "external_port"), count_text(one, "internal_port"));
  return mapped.empty() ? mapping.text("problem") : mapping.text("protocol") + ": " + mapped;
}

std::string endpoints_text(const Fields& status) {
  std::string text;
  for (const auto& endpoint : status.list("endpoints")) {
    const auto address = endpoint.text("address");
    text += fmt::format("{}{} port {} {}{}", text.empty() ? "" : ", ", address, count_text(endpoint, "port"),
                        endpoint.text("transport"),
                        endpoint.text("kind") == "public" ? "" : " (" + endpoint.text("kind") + ")");
  }
  return text.empty() ? "none: nobody can reach this node from outside" : text;
}

std::string nat_text(const std::string& nat) {
  if (nat == "none") return "none";
  if (nat == "independent") return "yes, of the kind that hole punching passes";
  if (nat == "dependent") return "yes, with a mapping for each destination: links can only be made from here";
  return nat == "unknown" ? "not known yet" : nat;
}

std::string registry_text(const Fields& registry) {
  const auto url = registry.text("url");
  if (url.empty()) return {};
  const auto error = registry.text("last_error");
  if (registry.flag("reachable")) return error.empty() ? url : url + ": " + error;
  if (error.empty()) return url + " (not asked yet)";
  return url + " (not reachable; the mesh works without): " + error;
}

}  // namespace

std::string answer_problem(std::string_view text) {
  const auto object = parse_object(text, "error");
  return object ? Fields(*object).text("error") : std::string();
}

std::optional<std::string> render_node_status(std::string_view text) {
  const auto object = parse_object(text, "state");
  if (!object || Fields(*object).text("kind") != "node") return std::nullopt;
  const Fields status(*object);
  std::string out;
  const auto state = status.text("state");
  const auto since = status.text("since");
  line(out, "state",
       (state == "alone" ? "alone: no link is up" : state) + (since.empty() ? "" : " since " + since));
  line(out, "network", status.text("network"));
  line(out, "subnet", status.text("prefix"));
  if (const auto address = status.text("address"); !address.empty())
    line(out, "address", address + " on " + status.text("interface"));
  line(out, "IPv4", status.text("prefix_v4"));
  if (const auto links = status.object("links"); !links.is_empty()) {
    line(out, "links",
         fmt::format("{} up: {} begun here, {} by others; {} on the way", count_text(links, "up"),
                     count_text(links, "begun"), count_text(links, "served"),
                     count_text(links, "negotiating")));
    const auto known = status.object("known");
    line(out, "known",
         fmt::format("{} nodes by their routes, {} contacts", count_text(known, "nodes"),
                     count_text(known, "contacts")));
    line(out, "endpoints", endpoints_text(status));
    line(out, "NAT", nat_text(status.text("nat")));
    if (const auto gateway = status.flag("gateway"))
      line(out, "gateway", gateway ? "yes: exports a default route" : "");
  }
  if (const auto mapping = status.object("port_mapping"); !mapping.is_empty()) {
    line(out, "port mapping", mapping_text(mapping));
    line(out, "IPv6 firewall", mapping_text(mapping.object("ipv6")));
  }
  if (const auto router = status.object("router"); !router.is_empty()) {
    line(out, "router",
         router.flag("running")
             ? fmt::format("{}, {} routes", or_dash(router.text("version")), count_text(router, "routes"))
             : "not running: " + router.text("problem"));
  }
  if (const auto certificate = status.object("certificate"); !certificate.is_empty()) {
    line(out, "certificate",
         fmt::format("{}, until {}, renews by itself on {}", certificate.text("serial"),
                     certificate.text("expires").substr(0, 10), certificate.text("renewal").substr(0, 10)));
    line(out, "WARNING", certificate.text("warning"));
  }
  line(out, "registry", registry_text(status.object("registry")));
  if (const auto parameters = status.object("parameters"); !parameters.is_empty())
    line(out, "parameters",
         fmt::format("version {}, {} certificates revoked", count_text(parameters, "version"),
                     count_text(parameters, "revoked")));
  line(out, "last error", or_dash(status.text("last_error")) == "-" ? "none" : status.text("last_error"));
  return out;
}

std::optional<std::string> render_peers(std::string_view text) {
  const auto object = parse_object(text, "peers");
  if (!object) return std::nullopt;
  Table table({{"PEER", kLeft},
               {"INTERFACE", kLeft},
               {"STATE", kLeft},
               {"ENDPOINT", kLeft},
               {"BY", kLeft},
               {"DATAPATH", kLeft},
               {"RTT", kRight},
               {"LOSS", kRight},
               {"ROUTES", kRight},
               {"AGE", kRight},
               {"IN", kRight},
               {"OUT", kRight}});
  const auto peers = Fields(*object).list("peers");
  if (peers.empty()) return "no links\n";
  for (const auto& peer : peers) {
    const auto loss = peer.number("loss");
    auto endpoint = peer.text("endpoint");
    if (!endpoint.empty()) endpoint += "/" + peer.text("transport");
    table.add({peer.text("peer"), or_dash(peer.text("interface")), peer.text("state"), or_dash(endpoint),
               std::string(peer.text("begun_by") == "this node" ? "us" : "them") +
                   (peer.flag("fixed") ? ", fixed" : ""),
               or_dash(peer.text("datapath")), rtt_text(peer),
               loss ? fmt::format("{:.0f} %", *loss * 100) : "-", count_text(peer, "routes"),
               duration_text(peer.number("age_s")),
               bytes_text(peer.has("bytes_in") ? peer.number("bytes_in") : peer.number("bytes")),
               bytes_text(peer.number("bytes_out"))});
  }
  return table.to_string();
}

std::optional<std::string> render_routes(std::string_view text) {
  const auto object = parse_object(text, "routes");
  if (!object) return std::nullopt;
  const auto routes = Fields(*object).list("routes");
  if (routes.empty()) return "no routes: no other node can be reached\n";
  Table table({{"DESTINATION", kLeft},
               {"THROUGH", kLeft},
               {"INTERFACE", kLeft},
               {"METRIC", kRight},
               {"ORIGIN", kLeft}});
  for (const auto& route : routes)
    table.add({route.text("destination"), or_dash(route.text("peer")), or_dash(route.text("interface")),
               count_text(route, "metric"), or_dash(route.text("origin"))});
  return table.to_string();
}

std::optional<std::string> render_path(std::string_view text) {
  const auto object = parse_object(text, "hops");
  if (!object) return std::nullopt;
  const Fields path(*object);
  const auto hops = path.list("hops");
  Table table({{"HOP", kRight}, {"NODE", kLeft}, {"ADDRESS", kLeft}, {"RTT", kRight}});
  for (const auto& hop : hops)
    table.add({count_text(hop, "hop"), or_dash(hop.text("node")), or_dash(hop.text("address")),
               hop.flag("unreachable") ? "no way on" : rtt_text(hop)});
  std::string out = hops.empty() ? std::string() : table.to_string();
  if (!path.flag("reached"))
    out += fmt::format("{} does not answer{}\n", path.text("address"),
                       path.text("node").empty() ? ": no node that is known has this address" : "");
  return out;
}

bool is_reached(std::string_view text) {
  const auto object = parse_object(text, "hops");
  return object && Fields(*object).flag("reached");
}

std::optional<std::string> render_topology(std::string_view text) {
  const auto object = parse_object(text, "links");
  if (!object) return std::nullopt;
  const Fields topology(*object);
  Table links({{"FROM", kLeft}, {"TO", kLeft}, {"STATE", kLeft}, {"TRANSPORT", kLeft}, {"RTT", kRight}});
  for (const auto& link : topology.list("links"))
    links.add({link.text("from"), link.text("to"), or_dash(link.text("state")),
               or_dash(link.text("transport")), rtt_text(link)});
  Table nodes({{"NODE", kLeft}, {"THROUGH", kLeft}, {"METRIC", kRight}});
  for (const auto& node : topology.list("nodes"))
    nodes.add({node.text("prefix"), node.flag("self") ? "(this node)" : or_dash(node.text("through")),
               count_text(node, "metric")});
  return links.to_string() + "\n" + nodes.to_string();
}

std::optional<std::string> render_dot(std::string_view text) {
  const auto object = parse_object(text, "links");
  if (!object) return std::nullopt;
  const Fields topology(*object);
  const auto quoted = [](std::string name) {
    std::erase_if(name, [](char c) { return c == '"' || c == '\\'; });
    return "\"" + name + "\"";
  };
  std::string out = "graph mesh {\n  node [shape=box];\n";
  std::set<std::string> linked;
  for (const auto& link : topology.list("links")) {
    const auto rtt = link.number("rtt_ms");
    linked.insert(link.text("to"));
    out += fmt::format("  {} -- {}{};\n", quoted(link.text("from")), quoted(link.text("to")),
                       rtt ? fmt::format(" [label=\"{:.1f} ms\"]", *rtt) : "");
  }
  for (const auto& node : topology.list("nodes")) {
    const auto prefix = node.text("prefix");
    const auto through = node.text("through");
    if (node.flag("self")) out += fmt::format("  {} [style=bold];\n", quoted(prefix));
    // Somewhere behind a neighbour: how, this node does not know.
    if (!node.flag("self") && !linked.contains(prefix) && !through.empty())
      out += fmt::format("  {} -- {} [style=dotted];\n", quoted(through), quoted(prefix));
  }
  return out + "}\n";
}

}  // namespace sixlink::client
