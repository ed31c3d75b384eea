// SPDX-License-Identifier: BSD-3-Clause
// The <contact> element.
#include "src/mesh/contact.h"

#include <algorithm>
#include <array>
#include <utility>

#include "src/tsp/xml_document.h"

namespace sixlink::mesh {
namespace {

using tsp::xml::attribute;
using tsp::xml::child;
using tsp::xml::lower;
using tsp::xml::next_named;
using tsp::xml::text_of;
using tsp::xml::unsigned_number;
using tsp::xml::XMLElement;

// In the order of the enumerations.
constexpr std::array<const char*, 2> kTransports{"udp", "tcp"};
constexpr std::array<const char*, 4> kKinds{"public", "mapped", "observed", "local"};
constexpr std::array<const char*, 4> kNats{"unknown", "none", "independent", "dependent"};

// Nodes number themselves ::1 in their first /64.
constexpr int kLongestPrefix = 64;

template <typename T, std::size_t kCount>
std::optional<T> find(const std::array<const char*, kCount>& names, std::string_view name) {
  const auto found = std::ranges::find(names, lower(name), [](const char* one) { return std::string(one); });
  if (found == names.end()) return std::nullopt;
  return static_cast<T>(found - names.begin());
}

bool is_usable(const boost::asio::ip::address& address) {
  if (address.is_v4()) return net::is_unicast(address.to_v4()) && !address.is_loopback();
  const auto v6 = address.to_v6();
  return !v6.is_unspecified() && !v6.is_multicast() && !v6.is_link_local() && !v6.is_v4_mapped() &&
         !v6.is_loopback();
}

std::optional<boost::asio::ip::address> parse_address(std::string_view text) {
  if (const auto v4 = net::parse_v4(text)) return *v4;
  if (const auto v6 = net::parse_v6(text)) return *v6;
  return std::nullopt;
}

std::optional<ContactEndpoint> parse_endpoint(const XMLElement& element) {
  const auto address = parse_address(text_of(element));
  const auto port = unsigned_number(attribute(element, "port"), UINT16_MAX);
  const auto transport = find<Transport>(kTransports, attribute(element, "transport"));
  const auto kind = find<EndpointKind>(kKinds, attribute(element, "kind"));
  if (!address || !is_usable(*address) || !port || *port == 0 || !transport || !kind) return std::nullopt;
  return ContactEndpoint{*address, static_cast<std::uint16_t>(*port), *transport, *kind};
}

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

// Of text that came from somewhere else.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '&':
        result += "&amp;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string problem_of(std::string_view what) {
  return "the contact has " + std::string(what);
}

// Of the elements that every contact has. Empty: none.
std::string parse_fixed(const XMLElement& root, Contact& contact) {
  const auto* prefix_element = child(&root, "prefix");
  const auto prefix = prefix_element ? net::Prefix::parse(text_of(*prefix_element)) : std::nullopt;
  if (!prefix || prefix->length > kLongestPrefix) return problem_of("no usable prefix");
  contact.prefix = *prefix;
  const auto* key_element = child(&root, "key");
  const auto key = key_element && lower(attribute(*key_element, "type")) == "wireguard"
                       ? pki::WireguardKey::parse(text_of(*key_element))
                       : std::nullopt;
  if (!key) return problem_of("no usable WireGuard key");
  contact.key = *key;
  const auto* sequence_element = child(&root, "sequence");
  const auto sequence = sequence_element ? unsigned_number(text_of(*sequence_element)) : std::nullopt;
  if (!sequence) return problem_of("no usable sequence number");
  contact.sequence = *sequence;
  const auto* expires_element = child(&root, "expires");
  // system_clock counts nanoseconds: years after 2262 would turn around.
  constexpr std::uint64_t kEnd = 9'000'000'000;
  const auto expires = expires_element ? unsigned_number(text_of(*expires_element), kEnd) : std::nullopt;
  if (!expires) return problem_of("no usable time of expiry");
  contact.expires = WallTime(std::chrono::seconds(*expires));
  return {};
}

}  // namespace

const char* to_string(Transport transport) {
  return kTransports[static_cast<std::size_t>(transport)];
}
const char* to_string(EndpointKind kind) {
  return kKinds[static_cast<std::size_t>(kind)];
}
const char* to_string(NatKind nat) {
  return kNats[static_cast<std::size_t>(nat)];
}

std::string to_xml(const Contact& contact) {
  const auto expires = std::chrono::duration_cast<std::chrono::seconds>(contact.expires.time_since_epoch());
  std::string text = "<contact><prefix>" + contact.prefix.to_string() + "</prefix><key type=\"wireguard\">" +
                     contact.key.to_string() + "</key>";
  for (const auto& endpoint : contact.endpoints) {
    text += std::string("<endpoint kind=\"") + to_string(endpoint.kind) + "\" transport=\"" +
            to_string(endpoint.transport) + "\" port=\"" + std::to_string(endpoint.port) + "\">" +
            endpoint.address.to_string() + "</endpoint>";
  }
  text += std::string("<nat>") + to_string(contact.nat) + "</nat><sequence>" +
          std::to_string(contact.sequence) + "</sequence><expires>" + std::to_string(expires.count()) +
          "</expires><parameters>" + std::to_string(contact.parameters) + "</parameters>";
  if (!contact.software.empty()) text += "<software>" + escaped(contact.software) + "</software>";
  return text + "</contact>";
}

ParsedContact parse_contact(std::string_view xml) {
  ParsedContact parsed;
  const auto refuse = [&](std::string problem) {
    parsed.problem = std::move(problem);
    return parsed;
  };
  const tsp::xml::Document document(xml, "contact", Contact::kLargest);
  const auto* root = document.root();
  if (!root) return refuse("the contact cannot be read: " + document.error());
  if (root->NextSiblingElement()) return refuse("the contact cannot be read: something follows it");

  Contact contact;
  if (auto problem = parse_fixed(*root, contact); !problem.empty()) return refuse(std::move(problem));
  for (const auto* e = child(root, "endpoint"); e; e = next_named(e->NextSiblingElement(), "endpoint")) {
    if (contact.endpoints.size() == Contact::kMostEndpoints)
      return refuse(problem_of("more than " + std::to_string(Contact::kMostEndpoints) + " endpoints"));
    // A kind or a transport of a later version is not ours to use, and no reason to refuse the rest.
    if (const auto endpoint = parse_endpoint(*e)) contact.endpoints.push_back(*endpoint);
  }
  if (const auto* nat = child(root, "nat"))
    contact.nat = find<NatKind>(kNats, text_of(*nat)).value_or(NatKind::kUnknown);
  if (const auto* version = child(root, "parameters")) {
    const auto value = unsigned_number(text_of(*version));
    if (!value) return refuse(problem_of("no usable version of the parameters"));
    contact.parameters = *value;
  }
  if (const auto* software = child(root, "software")) {
    const auto text = text_of(*software);
    if (text.size() > Contact::kLongestSoftware || !is_printable(text))
      return refuse(problem_of("no usable name of its software"));
    contact.software = text;
  }
  parsed.contact = std::move(contact);
  return parsed;
}

}  // namespace sixlink::mesh
