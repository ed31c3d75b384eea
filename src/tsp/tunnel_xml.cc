// SPDX-License-Identifier: BSD-3-Clause
// The <tunnel> element of TSP.
#include "src/tsp/tunnel_xml.h"

#include <algorithm>
#include <array>
#include <utility>

#include "src/tsp/message.h"
#include "src/tsp/status.h"
#include "src/tsp/wireguard_xml.h"
#include "src/tsp/xml_document.h"

namespace sixlink::tsp {
namespace {

using namespace xml;

constexpr std::array<std::pair<Mode, std::string_view>, 5> kModes{{{Mode::kV6V4, "v6v4"},
                                                                   {Mode::kV6UdpV4, "v6udpv4"},
                                                                   {Mode::kV6AnyV4, "v6anyv4"},
                                                                   {Mode::kV4V6, "v4v6"},
                                                                   {Mode::kWireguard, "wireguard"}}};

// Nobody delegates more than a whole provider's allocation; a mistaken or hostile broker must not claim half
// the Internet.
constexpr long kShortestDelegation = 20;
constexpr long kShortestDelegationV4 = 8;

// RFC 8200 section 5 and RFC 791: what every link of the inner family carries.
constexpr int kLeastMtuV6 = 1280;
constexpr int kLeastMtuV4 = 576;

XmlProblem problem(std::string message, int status = kInvalidRequest) {
  return {status, std::move(message)};
}

std::optional<Action> action_of(const XMLElement& tunnel) {
  const auto name = lower(attribute(tunnel, "action"));
  if (name == "create") return Action::kCreate;
  if (name == "info") return Action::kInfo;
  if (name == "accept") return Action::kAccept;
  if (name == "delete") return Action::kDelete;
  return std::nullopt;
}

// A tunnel's two ends inside <server> and <client>: one IPv4, one IPv6.
XmlResult<std::pair<boost::asio::ip::address_v4, net::AddressV6>> ends_of(const XMLElement* parent,
                                                                          std::string_view name) {
  const auto where = "<" + std::string(name) + ">";
  if (!parent) return problem("the reply has no " + where);
  const auto* v4_element = address_element(parent, "ipv4");
  const auto* v6_element = address_element(parent, "ipv6");
  if (!v4_element || !v6_element)
    return problem(where + " lacks an address of type " + (v4_element ? "ipv6" : "ipv4"));
  const auto v4 = net::parse_v4(text_of(*v4_element));
  if (!v4 || !net::is_unicast(*v4)) {
    return problem(
        "the IPv4 address in " + where + " is not usable: \"" + printable(text_of(*v4_element)) + "\"",
        kInvalidIpv4);
  }
  const auto v6 = net::parse_v6(text_of(*v6_element));
  if (!v6 || !net::is_inner_unicast(*v6)) {
    return problem(
        "the IPv6 address in " + where + " is not usable: \"" + printable(text_of(*v6_element)) + "\"",
        kInvalidIpv6);
  }
  return std::pair(*v4, *v6);
}

XmlResult<std::optional<net::Prefix>> delegated_prefix(const XMLElement* router) {
  const auto* element = child(router, "prefix");
  if (!element) return std::optional<net::Prefix>();
  auto text = text_of(*element);
  auto length = number(attribute(*element, "length"), kShortestDelegation, 127);
  if (const auto slash = text.find('/'); slash != std::string_view::npos) {
    if (!length) length = number(text.substr(slash + 1), kShortestDelegation, 127);
    text = text.substr(0, slash);
  }
  const auto address = net::parse_v6(text);
  if (!length) return problem("<prefix> has no usable length", kPrefixLengthMissing);
  if (!address || !net::is_inner_unicast(*address)) {
    return problem("<prefix> is no usable prefix: \"" + printable(text) + "\"", kInvalidIpv6);
  }
  // Some brokers leave host bits set.
  return std::optional(
      net::Prefix{net::mask(*address, static_cast<int>(*length)), static_cast<int>(*length)});
}

XmlResult<std::optional<net::PrefixV4>> delegated_prefix_v4(const XMLElement* router) {
  const auto* element = child(router, "prefix");
  if (!element) return std::optional<net::PrefixV4>();
  auto text = text_of(*element);
  auto length = number(attribute(*element, "length"), kShortestDelegationV4, 32);
  if (const auto slash = text.find('/'); slash != std::string_view::npos) {
    if (!length) length = number(text.substr(slash + 1), kShortestDelegationV4, 32);
    text = text.substr(0, slash);
  }
  if (!length) return problem("<prefix> has no usable length", kPrefixLengthMissing);
  const auto address = net::parse_v4(text);
  const auto prefix = address ? net::PrefixV4::make(*address, static_cast<int>(*length)) : std::nullopt;
  if (!prefix || !net::is_unicast(*address))
    return problem("<prefix> is no usable IPv4 prefix: \"" + printable(text) + "\"", kInvalidIpv4);
  return prefix;
}

// An address that answers keepalives: of the tunnel's inner family.
std::optional<boost::asio::ip::address> keepalive_address_of(const XMLElement* keepalive, Mode mode) {
  const auto* element = address_element(keepalive, mode == Mode::kV4V6 ? "ipv4" : "ipv6");
  if (!element) return std::nullopt;
  if (mode == Mode::kV4V6) {
    const auto v4 = net::parse_v4(text_of(*element));
    if (v4 && net::is_unicast(*v4)) return *v4;
    return std::nullopt;
  }
  const auto v6 = net::parse_v6(text_of(*element));
  if (v6 && net::is_inner_unicast(*v6)) return *v6;
  return std::nullopt;
}

}  // namespace

std::string_view to_string(Mode mode) {
  return std::find_if(kModes.begin(), kModes.end(), [mode](const auto& row) { return row.first == mode; })
      ->second;
}

std::optional<Mode> parse_mode(std::string_view text) {
  const auto name = lower(trim(text));
  for (const auto& [mode, mode_name] : kModes) {
    if (mode_name == name) return mode;
  }
  return std::nullopt;
}

std::string_view capability_name(Mode mode) {
  switch (mode) {
    case Mode::kV6V4:
      return "V6V4";
    case Mode::kV6UdpV4:
      return "V6UDPV4";
    case Mode::kV6AnyV4:
      return "V6ANYV4";
    case Mode::kV4V6:
      return "V4V6";
    case Mode::kWireguard:
      return "WIREGUARD";
  }
  return "";
}

std::string CreateRequest::to_xml() const {
  const bool is_v4 = client_address.is_v4();
  std::string xml = "<tunnel action=\"create\" type=\"" + std::string(to_string(mode)) + "\" proxy=\"" +
                    (is_proxy ? "yes" : "no") + "\">\r\n <client>\r\n  <address type=\"" +
                    (is_v4 ? "ipv4" : "ipv6") + "\">" + client_address.to_string() + "</address>\r\n";
  if (wireguard_key) xml += key_xml(*wireguard_key, "  ");
  if (keepalive_interval) {
    xml += "  <keepalive interval=\"" + std::to_string(keepalive_interval->count()) +
           "\">\r\n    <address type=\"" + (mode == Mode::kV4V6 ? "ipv4\">127.0.0.1" : "ipv6\">::") +
           "</address>\r\n  </keepalive>\r\n";
  }
  if (is_router) {
    xml +=
        routing_protocol.empty() ? "  <router>\r\n" : "  <router protocol=\"" + routing_protocol + "\">\r\n";
    if (prefix_length) xml += "   <prefix length=\"" + std::to_string(*prefix_length) + "\"/>\r\n";
    if (!dns_servers.empty()) {
      xml += "   <dns_server>\r\n";
      for (const auto& name : dns_servers) xml += "     <address type=\"dn\">" + name + "</address>\r\n";
      xml += "   </dns_server>\r\n";
    }
    xml += "  </router>\r\n";
  }
  return xml + " </client>\r\n</tunnel>\r\n";
}

std::string DeleteRequest::to_xml() const {
  if (client_inner.is_unspecified()) return "<tunnel action=\"delete\"></tunnel>\r\n";
  return "<tunnel action=\"delete\" type=\"" + std::string(to_string(mode)) +
         "\">\r\n <client>\r\n  <address type=\"" + (client_inner.is_v4() ? "ipv4" : "ipv6") + "\">" +
         client_inner.to_string() + "</address>\r\n </client>\r\n</tunnel>\r\n";
}

std::string TunnelInfo::to_xml() const {
  // Deployed clients scan for exact strings: no declaration, no single quotes, the order below, a prefix in
  // full.
  std::string xml = "<tunnel action=\"info\" type=\"" + std::string(to_string(mode)) + "\" lifetime=\"" +
                    std::to_string(lifetime.count()) + "\"";
  if (mtu) xml += " mtu=\"" + std::to_string(*mtu) + "\"";
  // Mode wireguard has IPv4 addresses only where the broker gives some.
  const auto end = [this](const boost::asio::ip::address_v4& v4, const net::AddressV6& v6) {
    std::string text;
    if (mode != Mode::kWireguard || !v4.is_unspecified())
      text = "    <address type=\"ipv4\">" + v4.to_string() + "</address>\r\n";
    return text + "    <address type=\"ipv6\">" + v6.to_string() + "</address>\r\n";
  };
  xml += ">\r\n  <server>\r\n" + end(server_v4, server_v6);
  if (wireguard) xml += tsp::to_xml(*wireguard);
  xml += "  </server>\r\n  <client>\r\n" + end(client_v4, client_v6);
  if (!client_name.empty()) xml += "    <address type=\"dn\">" + client_name + "</address>\r\n";
  if (!dns_servers.empty()) {
    xml += "    <dns_server>\r\n";
    for (const auto& address : dns_servers)
      xml += "      <address type=\"ipv6\">" + address.to_string() + "</address>\r\n";
    xml += "    </dns_server>\r\n";
  }
  if (prefix) {
    xml += "    <router>\r\n      <prefix length=\"" + std::to_string(prefix->length) + "\">" +
           net::expanded_text(prefix->address) + "</prefix>\r\n    </router>\r\n";
  } else if (prefix_v4) {
    xml += "    <router>\r\n      <prefix length=\"" + std::to_string(prefix_v4->length) + "\">" +
           prefix_v4->address.to_string() + "</prefix>\r\n    </router>\r\n";
  }
  if (keepalive_interval) {
    xml += "    <keepalive interval=\"" + std::to_string(keepalive_interval->count()) +
           "\">\r\n      <address type=\"" + (keepalive_address.is_v4() ? "ipv4" : "ipv6") + "\">" +
           keepalive_address.to_string() + "</address>\r\n    </keepalive>\r\n";
  }
  return xml + "  </client>\r\n</tunnel>\r\n";
}

XmlResult<Action> parse_action(std::string_view xml) {
  const Document document(xml, "tunnel", kLongestContent);
  if (!document.root()) return problem(document.error());
  const auto action = action_of(*document.root());
  if (!action)
    return problem("<tunnel> has no known action: \"" + printable(attribute(*document.root(), "action")) +
                   "\"");
  return *action;
}

XmlResult<CreateRequest> parse_create(std::string_view xml) {
  const Document document(xml, "tunnel", kLongestContent);
  const auto* tunnel = document.root();
  if (!tunnel) return problem(document.error());
  if (action_of(*tunnel) != Action::kCreate) return problem("<tunnel> is no create");
  CreateRequest request;
  const auto mode = parse_mode(attribute(*tunnel, "type"));
  if (!mode)
    return problem("unknown tunnel type \"" + printable(attribute(*tunnel, "type")) + "\"",
                   kModeNotSupported);
  request.mode = *mode;
  request.is_proxy = lower(attribute(*tunnel, "proxy")) == "yes";
  const auto* client = child(tunnel, "client");
  if (!client) return problem("the request has no <client>");
  // A client that negotiates over IPv6 has its IPv6 address here, whatever it asks for.
  const bool wants_v6 = *mode == Mode::kV4V6;
  const auto* v4_address = address_element(client, "ipv4");
  const auto* v6_address = address_element(client, "ipv6");
  if (v4_address && !wants_v6) {
    const auto v4 = net::parse_v4(text_of(*v4_address));
    if (!v4 || !net::is_unicast(*v4)) return problem("the client's IPv4 address is not usable", kInvalidIpv4);
    request.client_address = *v4;
  } else if (v6_address) {
    const auto v6 = net::parse_v6(text_of(*v6_address));
    if (!v6 || v6->is_unspecified() || v6->is_multicast())
      return problem("the client's IPv6 address is not usable", kInvalidIpv6);
    request.client_address = *v6;
  } else {
    return problem("<client> lacks its address", wants_v6 ? kInvalidIpv6 : kInvalidIpv4);
  }
  if (*mode == Mode::kWireguard) {
    const auto key = parse_key(client, "<client>");
    if (!key) return key.error();
    request.wireguard_key = *key;
  }
  if (const auto* keepalive = child(client, "keepalive")) {
    const auto interval = number(attribute(*keepalive, "interval"), 0, 86400);
    if (!interval) return problem("<keepalive> has no usable interval");
    // Deployed clients ask for 0 when they leave the choice to the broker.
    request.keepalive_interval = std::chrono::seconds(*interval);
  }
  if (const auto* router = child(client, "router")) {
    request.is_router = true;
    request.routing_protocol = printable(attribute(*router, "protocol"), 32);
    if (const auto* prefix = child(router, "prefix")) {
      const auto length = number(attribute(*prefix, "length"), 0, 128);
      if (!length) return problem("<prefix> has no usable length", kPrefixLengthMissing);
      request.prefix_length = static_cast<int>(*length);
    }
    for (const auto* e = child(child(router, "dns_server"), "address"); e && request.dns_servers.size() < 8;
         e = next_named(e->NextSiblingElement(), "address")) {
      const auto name = text_of(*e);
      if (!net::is_host_name(name) && !net::parse_v6(name))
        return problem("<dns_server> holds no usable name", kDnsDelegationError);
      request.dns_servers.emplace_back(name);
    }
  }
  return request;
}

XmlResult<DeleteRequest> parse_delete(std::string_view xml) {
  const Document document(xml, "tunnel", kLongestContent);
  const auto* tunnel = document.root();
  if (!tunnel) return problem(document.error());
  if (action_of(*tunnel) != Action::kDelete) return problem("<tunnel> is no delete");
  DeleteRequest request;
  if (const auto mode = parse_mode(attribute(*tunnel, "type"))) request.mode = *mode;
  const bool is_v4 = request.mode == Mode::kV4V6;
  const auto* address = address_element(child(tunnel, "client"), is_v4 ? "ipv4" : "ipv6");
  if (!address) return request;
  if (is_v4) {
    const auto v4 = net::parse_v4(text_of(*address));
    if (!v4) return problem("the client's IPv4 address is not usable", kInvalidIpv4);
    request.client_inner = *v4;
  } else {
    const auto v6 = net::parse_v6(text_of(*address));
    if (!v6) return problem("the client's IPv6 address is not usable", kInvalidIpv6);
    request.client_inner = *v6;
  }
  return request;
}

XmlResult<TunnelInfo> parse_info(std::string_view xml) {
  const Document document(xml, "tunnel", kLongestContent);
  const auto* tunnel = document.root();
  if (!tunnel) return problem(document.error());
  if (action_of(*tunnel) != Action::kInfo) return problem("the reply is no tunnel information");
  TunnelInfo info;
  const auto mode = parse_mode(attribute(*tunnel, "type"));
  if (!mode || *mode == Mode::kV6AnyV4)
    return problem("the reply's tunnel type is unknown: \"" + printable(attribute(*tunnel, "type")) + "\"");
  info.mode = *mode;
  const bool is_v4_inside = *mode == Mode::kV4V6;
  if (const auto text = attribute(*tunnel, "lifetime"); !text.empty()) {
    const auto lifetime = number(text, 0, 1L << 32);
    if (!lifetime) return problem("the reply's lifetime is no number of seconds");
    info.lifetime = std::chrono::seconds(*lifetime);
  }
  if (const auto text = attribute(*tunnel, "mtu"); !text.empty()) {
    const int least = is_v4_inside ? kLeastMtuV4 : kLeastMtuV6;
    const auto mtu = number(text, least, 65535);
    if (!mtu) {
      return problem("the reply's MTU is not within " + std::to_string(least) + " to 65535: \"" +
                     printable(text) + "\"");
    }
    info.mtu = static_cast<int>(*mtu);
  }
  const auto* server = child(tunnel, "server");
  const auto* client = child(tunnel, "client");
  if (*mode == Mode::kWireguard) {
    if (auto bad = parse_wireguard_ends(server, client, info)) return *std::move(bad);
    const auto wireguard = parse_wireguard_server(server);
    if (!wireguard) return wireguard.error();
    info.wireguard = *wireguard;
  } else {
    const auto theirs = ends_of(server, "server");
    if (!theirs) return theirs.error();
    const auto own = ends_of(client, "client");
    if (!own) return own.error();
    std::tie(info.server_v4, info.server_v6) = *theirs;
    std::tie(info.client_v4, info.client_v6) = *own;
  }
  if (info.server_v6 == info.client_v6)
    return problem("the tunnel's two ends have the same IPv6 address", kInvalidIpv6);
  if (is_v4_inside && info.server_v4 == info.client_v4)
    return problem("the tunnel's two ends have the same IPv4 address", kInvalidIpv4);
  if (const auto* name = address_element(client, "dn"); name && net::is_host_name(text_of(*name)))
    info.client_name = text_of(*name);
  for (const auto* e = child(child(client, "dns_server"), "address"); e && info.dns_servers.size() < 8;
       e = next_named(e->NextSiblingElement(), "address")) {
    if (lower(attribute(*e, "type")) != "ipv6") continue;
    const auto address = net::parse_v6(text_of(*e));
    if (!address || !net::is_inner_unicast(*address))
      return problem("<dns_server> holds no usable IPv6 address", kInvalidIpv6);
    info.dns_servers.push_back(*address);
  }
  const auto* router = child(client, "router");
  if (is_v4_inside) {
    const auto prefix = delegated_prefix_v4(router);
    if (!prefix) return prefix.error();
    if (*prefix && (*prefix)->contains(info.server_v4))
      return problem("the delegated prefix holds the broker's own address");
    info.prefix_v4 = *prefix;
  } else {
    const auto prefix = delegated_prefix(router);
    if (!prefix) return prefix.error();
    if (*prefix && (*prefix)->contains(info.server_v6))
      return problem("the delegated prefix holds the broker's own address");
    info.prefix = *prefix;
  }
  if (const auto* keepalive = child(client, "keepalive")) {
    const auto interval = number(attribute(*keepalive, "interval"), 1, 86400);
    const auto address = keepalive_address_of(keepalive, *mode);
    if (!interval || !address) return problem("<keepalive> lacks a usable interval or address");
    info.keepalive_interval = std::chrono::seconds(*interval);
    info.keepalive_address = *address;
  }
  return info;
}

XmlResult<BrokerList> parse_redirect(std::string_view xml) {
  const Document document(xml, "tunnel", kLongestContent);
  const auto* tunnel = document.root();
  if (!tunnel) return problem(document.error());
  BrokerList brokers;
  for (const auto* e = child(child(tunnel, "broker"), "address"); e;
       e = next_named(e->NextSiblingElement(), "address")) {
    if (brokers.size() == kMostBrokers) return problem("the redirection lists more than 50 brokers");
    auto text = std::string(text_of(*e));
    const auto server = net::ServerAddress::parse(text);
    // A zone means nothing on another machine, and its text may be anything.
    if (!server || text.find('%') != std::string::npos)
      return problem("the redirection names no usable broker: \"" + printable(text) + "\"");
    brokers.push_back(*server);
  }
  if (brokers.empty()) return problem("the redirection names no broker");
  return brokers;
}

std::string redirect_xml(const BrokerList& brokers) {
  std::string xml = "<tunnel action=\"info\">\r\n  <broker>\r\n";
  for (const auto& broker : brokers) {
    const char* type = !broker.is_literal()                         ? "dn"
                       : broker.host.find(':') != std::string::npos ? "ipv6"
                                                                    : "ipv4";
    xml += "    <address type=\"" + std::string(type) + "\">" + broker.text + "</address>\r\n";
  }
  return xml + "  </broker>\r\n</tunnel>\r\n";
}

}  // namespace sixlink::tsp
