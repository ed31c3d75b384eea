// SPDX-License-Identifier: BSD-3-Clause
// What mode wireguard adds to the <tunnel> element.
#include "src/tsp/wireguard_xml.h"

#include <utility>

#include "src/tsp/status.h"

namespace sixlink::tsp {
namespace {

using namespace xml;

constexpr int kMappedBits = 96;

std::string quoted(const XMLElement& element) {
  return "\"" + printable(text_of(element)) + "\"";
}

std::optional<boost::asio::ip::address> parse_endpoint(const XMLElement& element) {
  if (const auto* v4_element = address_element(&element, "ipv4")) {
    const auto v4 = net::parse_v4(text_of(*v4_element));
    if (v4 && net::is_unicast(*v4)) return *v4;
    return std::nullopt;
  }
  if (const auto* v6_element = address_element(&element, "ipv6")) {
    const auto v6 = net::parse_v6(text_of(*v6_element));
    // A link-local address means nothing without its zone.
    const bool is_usable =
        v6 && !v6->is_unspecified() && !v6->is_multicast() && !v6->is_link_local() && !v6->is_v4_mapped();
    if (is_usable) return *v6;
    return std::nullopt;
  }
  return boost::asio::ip::address();
}

// A destination, so that also ::/0 is one.
std::optional<net::Prefix> parse_allowed(const XMLElement& element) {
  const bool is_v4 = lower(attribute(element, "type")) == "ipv4";
  const auto length = number(attribute(element, "length"), 0, is_v4 ? 32 : 128);
  if (!length) return std::nullopt;
  if (is_v4) {
    const auto address = net::parse_v4(text_of(element));
    const auto prefix = address ? net::PrefixV4::make(*address, static_cast<int>(*length)) : std::nullopt;
    return prefix ? std::optional(net::v4_mapped(*prefix)) : std::nullopt;
  }
  const auto address = net::parse_v6(text_of(element));
  auto prefix = address ? net::Prefix::make(*address, static_cast<int>(*length)) : std::nullopt;
  // It would turn into one of IPv4.
  if (prefix && net::unmapped(*prefix)) return std::nullopt;
  return prefix;
}

struct Ends {
  boost::asio::ip::address_v4 v4;
  net::AddressV6 v6;
};

XmlResult<Ends> ends_in(const XMLElement* parent, std::string_view name) {
  const auto where = "<" + std::string(name) + ">";
  if (!parent) return XmlProblem{kInvalidRequest, "the reply has no " + where};
  Ends ends;
  const auto* v6_element = address_element(parent, "ipv6");
  if (!v6_element) return XmlProblem{kInvalidRequest, where + " lacks an address of type ipv6"};
  const auto v6 = net::parse_v6(text_of(*v6_element));
  if (!v6 || !net::is_inner_unicast(*v6))
    return XmlProblem{kInvalidIpv6,
                      "the IPv6 address in " + where + " is not usable: " + quoted(*v6_element)};
  ends.v6 = *v6;
  if (const auto* v4_element = address_element(parent, "ipv4")) {
    const auto v4 = net::parse_v4(text_of(*v4_element));
    if (!v4 || !net::is_unicast(*v4))
      return XmlProblem{kInvalidIpv4,
                        "the IPv4 address in " + where + " is not usable: " + quoted(*v4_element)};
    ends.v4 = *v4;
  }
  return ends;
}

}  // namespace

std::string key_xml(const pki::WireguardKey& key, std::string_view indent) {
  return std::string(indent) + "<key type=\"wireguard\">" + key.to_string() + "</key>\r\n";
}

XmlResult<pki::WireguardKey> parse_key(const XMLElement* parent, std::string_view where) {
  for (const auto* e = child(parent, "key"); e; e = next_named(e->NextSiblingElement(), "key")) {
    if (lower(attribute(*e, "type")) != "wireguard") continue;
    const auto key = pki::WireguardKey::parse(text_of(*e));
    if (key) return *key;
    // Not quoted: someone may have put a private key there.
    return XmlProblem{kInvalidRequest, "the WireGuard key in " + std::string(where) +
                                           " is not usable: it must be the base64 of 32 bytes"};
  }
  return XmlProblem{kInvalidRequest, std::string(where) + " lacks a key of type wireguard"};
}

std::string to_xml(const WireguardServer& server) {
  std::string text = key_xml(server.key, "    ");
  if (server.endpoint_port != 0 || !server.endpoint_address.is_unspecified()) {
    text += "    <endpoint";
    if (server.endpoint_port != 0) text += " port=\"" + std::to_string(server.endpoint_port) + "\"";
    text += ">\r\n";
    if (!server.endpoint_address.is_unspecified())
      text += "      <address type=\"" + std::string(server.endpoint_address.is_v4() ? "ipv4" : "ipv6") +
              "\">" + server.endpoint_address.to_string() + "</address>\r\n";
    text += "    </endpoint>\r\n";
  }
  if (!server.allowed.empty()) {
    text += "    <allowed>\r\n";
    for (const auto& prefix : server.allowed) {
      const auto v4 = net::unmapped(prefix);
      text += v4 ? "      <prefix type=\"ipv4\" length=\"" + std::to_string(v4->length) + "\">" +
                       v4->address.to_string() + "</prefix>\r\n"
                 : "      <prefix length=\"" + std::to_string(prefix.length) + "\">" +
                       net::expanded_text(prefix.address) + "</prefix>\r\n";
    }
    text += "    </allowed>\r\n";
  }
  return text;
}

XmlResult<WireguardServer> parse_wireguard_server(const XMLElement* server) {
  WireguardServer result;
  const auto key = parse_key(server, "<server>");
  if (!key) return key.error();
  result.key = *key;
  if (const auto* endpoint = child(server, "endpoint")) {
    if (const auto text = attribute(*endpoint, "port"); !text.empty()) {
      const auto port = number(text, 1, 65535);
      if (!port)
        return XmlProblem{kInvalidRequest, "<endpoint> has no usable port: \"" + printable(text) + "\""};
      result.endpoint_port = static_cast<std::uint16_t>(*port);
    }
    const auto address = parse_endpoint(*endpoint);
    if (!address) return XmlProblem{kInvalidRequest, "<endpoint> holds no usable address"};
    result.endpoint_address = *address;
  }
  if (const auto* allowed = child(server, "allowed")) {
    for (const auto* e = child(allowed, "prefix"); e; e = next_named(e->NextSiblingElement(), "prefix")) {
      const auto prefix = parse_allowed(*e);
      if (!prefix) return XmlProblem{kInvalidRequest, "<allowed> holds no usable prefix: " + quoted(*e)};
      if (result.allowed.size() == kMostAllowed)
        return XmlProblem{kInvalidRequest,
                          "<allowed> holds more than " + std::to_string(kMostAllowed) + " prefixes"};
      result.allowed.push_back(*prefix);
    }
    if (result.allowed.empty()) return XmlProblem{kInvalidRequest, "<allowed> holds no prefix"};
  }
  return result;
}

std::optional<XmlProblem> parse_wireguard_ends(const XMLElement* server, const XMLElement* client,
                                               TunnelInfo& info) {
  const auto theirs = ends_in(server, "server");
  if (!theirs) return theirs.error();
  const auto ours = ends_in(client, "client");
  if (!ours) return ours.error();
  if (theirs->v4.is_unspecified() != ours->v4.is_unspecified())
    return XmlProblem{kInvalidIpv4, "only one end of the tunnel has an IPv4 address"};
  if (!ours->v4.is_unspecified() && theirs->v4 == ours->v4)
    return XmlProblem{kInvalidIpv4, "the tunnel's two ends have the same IPv4 address"};
  info.server_v4 = theirs->v4;
  info.server_v6 = theirs->v6;
  info.client_v4 = ours->v4;
  info.client_v6 = ours->v6;
  return std::nullopt;
}

}  // namespace sixlink::tsp
