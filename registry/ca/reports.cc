// SPDX-License-Identifier: BSD-3-Clause
#include "registry/ca/reports.h"

#include <boost/json.hpp>
#include <map>
#include <utility>

namespace sixlink::registry {
namespace {

namespace json = boost::json;

json::value or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}
json::value or_null(const std::optional<std::int64_t>& number) {
  return number ? json::value(*number) : json::value(nullptr);
}

// The database's own text, unless somebody has edited it.
json::array parse_array(const std::string& text) {
  boost::system::error_code error;
  auto value = json::parse(text.empty() ? "[]" : text, error);
  return !error && value.is_array() ? value.get_array() : json::array();
}

std::string address_of(const net::Prefix& prefix) {
  auto bytes = prefix.address.to_bytes();
  bytes.back() |= 1;
  return net::AddressV6(bytes).to_string();
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

struct Link {
  std::optional<std::int64_t> rtt_us;
  std::string transport;
};
// By its two ends, the lower prefix first; both ends may have told of it.
std::map<std::pair<std::string, std::string>, Link> links_of(const std::vector<ListedNode>& nodes) {
  std::map<std::pair<std::string, std::string>, Link> links;
  for (const auto& node : nodes) {
    if (node.state != NodeState::kLive) continue;
    for (const auto& value : parse_array(node.neighbours)) {
      const auto* object = value.if_object();
      const auto* name = object ? object->if_contains("prefix") : nullptr;
      const auto other = name && name->is_string() ? net::Prefix::parse(name->get_string()) : std::nullopt;
      if (!other || *other == node.prefix) continue;
      auto a = node.prefix;
      auto b = *other;
      if (b.address < a.address) std::swap(a, b);
      auto& link = links[{a.to_string(), b.to_string()}];
      if (const auto* rtt = object->if_contains("rtt_us"); rtt && rtt->is_int64())
        link.rtt_us = rtt->get_int64();
      if (const auto* kind = object->if_contains("transport"); kind && kind->is_string())
        link.transport = std::string(kind->get_string());
    }
  }
  return links;
}

// Inside of quotes.
std::string dot_text(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c < ' ' && c >= 0 ? ' ' : c;
  }
  return result;
}

}  // namespace

json::object to_json(const ListedNode& node) {
  return {{"prefix", node.prefix.to_string()},
          {"prefix_v4", or_null(node.prefix_v4)},
          {"address", address_of(node.prefix)},
          {"name", node.subject},
          {"email", or_null(node.email)},
          {"serial", node.serial},
          {"created", node.created},
          {"expires", node.expires},
          {"revoked", or_null(node.revoked)},
          {"last_seen", or_null(node.last_seen)},
          {"state", to_string(node.state)},
          {"software", node.software},
          {"parameters", node.parameters},
          {"endpoints", parse_array(node.endpoints)}};
}

json::object to_json(const Token& token) {
  json::object object{{"id", token.id},
                      {"prefix_length", token.prefix_length},
                      {"email", or_null(token.email)},
                      {"created", token.created},
                      {"expires", token.expires}};
  if (!token.token.empty()) object["token"] = token.token;
  return object;
}

json::object to_json(const Revoked& revoked) {
  json::array serials;
  for (const auto& serial : revoked.serials) serials.emplace_back(serial);
  return {{"node", revoked.node.to_string()}, {"serials", std::move(serials)}, {"version", revoked.version}};
}

json::object to_json(const Refusal& refusal) {
  return {
      {"error", {{"code", to_string(refusal.code)}, {"message", refusal.message}, {"hint", refusal.hint}}}};
}

json::object nodes_report(const std::vector<ListedNode>& nodes) {
  json::array all;
  for (const auto& node : nodes) all.push_back(to_json(node));
  return {{"nodes", std::move(all)}};
}

json::object versions_report(const std::vector<ListedNode>& nodes, std::uint64_t parameters) {
  json::array all;
  for (const auto& node : nodes) {
    if (node.software.empty()) continue;
    all.push_back(
        {{"prefix", node.prefix.to_string()}, {"software", node.software}, {"parameters", node.parameters}});
  }
  return {{"parameters", parameters}, {"nodes", std::move(all)}};
}

json::object addresses_report(const std::vector<ListedNode>& nodes) {
  json::array all;
  for (const auto& node : nodes) {
    all.push_back({{"address", address_of(node.prefix)},
                   {"prefix", node.prefix.to_string()},
                   {"name", node.subject},
                   {"email", or_null(node.email)}});
  }
  return {{"addresses", std::move(all)}};
}

json::object topology_report(const std::vector<ListedNode>& nodes) {
  auto report = nodes_report(nodes);
  json::array links;
  for (const auto& [ends, link] : links_of(nodes)) {
    links.push_back({{"a", ends.first},
                     {"b", ends.second},
                     {"rtt_us", or_null(link.rtt_us)},
                     {"transport", or_null(link.transport)}});
  }
  report["links"] = std::move(links);
  return report;
}

std::string topology_dot(const std::vector<ListedNode>& nodes) {
  std::string text = "graph mesh {\n  node [shape=box];\n";
  for (const auto& node : nodes) {
    text += "  \"" + node.prefix.to_string() + "\" [label=\"" + node.prefix.to_string() + "\\n" +
            dot_text(node.subject) + "\"" + (node.state == NodeState::kLive ? "" : ", style=dashed") + "];\n";
  }
  for (const auto& [ends, link] : links_of(nodes)) {
    text += "  \"" + ends.first + "\" -- \"" + ends.second + "\"";
    if (link.rtt_us) {
      const auto tenths = std::to_string((*link.rtt_us + 50) / 100);
      const auto padded = tenths.size() < 2 ? "0" + tenths : tenths;
      text += " [label=\"" + padded.substr(0, padded.size() - 1) + "." + padded.back() + " ms\"]";
    }
    text += ";\n";
  }
  return text + "}\n";
}

json::object authorities_report(const Authorities& authorities, WallTime now) {
  json::array all;
  const auto* root = authorities.root(now);
  const auto* issuer = authorities.issuer(now);
  for (const auto& record : authorities.all()) {
    const auto& certificate = record.certificate;
    all.push_back({{"fingerprint", certificate.fingerprint()},
                   {"name", certificate.subject()},
                   {"expires", seconds_of(certificate.not_after())},
                   {"issues_from", record.issues_from},
                   {"retired", record.is_retired},
                   {"key_here", record.has_key},
                   {"root", root && root->certificate() == certificate},
                   {"issuer", issuer && issuer->certificate() == certificate}});
  }
  return {{"authorities", std::move(all)}};
}

std::vector<ListedNode> matching(const std::vector<ListedNode>& nodes, std::string_view who) {
  const auto wanted = lower(who);
  std::vector<ListedNode> found;
  for (const auto& node : nodes) {
    if (lower(node.email) == wanted || lower(node.subject).find(wanted) != std::string::npos)
      found.push_back(node);
  }
  return found;
}

}  // namespace sixlink::registry
