// SPDX-License-Identifier: BSD-3-Clause
// What mode wireguard adds to the <tunnel> element (man/sixlink-tsp.7, "WireGuard").
#pragma once

#include <string>

#include "src/tsp/tunnel_xml.h"
#include "src/tsp/xml_document.h"

namespace sixlink::tsp {

// <key type="wireguard">, on a line of its own.
std::string key_xml(const pki::WireguardKey& key, std::string_view indent);
// That of the parent element; `where` names it in the problem.
XmlResult<pki::WireguardKey> parse_key(const xml::XMLElement* parent, std::string_view where);

// <key>, <endpoint> and <allowed> of <server>.
std::string to_xml(const WireguardServer& server);
XmlResult<WireguardServer> parse_wireguard_server(const xml::XMLElement* server);

// The tunnel's inner ends: `server` and `client` have an IPv6 address each, and both an IPv4 one or neither.
std::optional<XmlProblem> parse_wireguard_ends(const xml::XMLElement* server, const xml::XMLElement* client,
                                               TunnelInfo& info);

}  // namespace sixlink::tsp
