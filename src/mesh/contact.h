// SPDX-License-Identifier: BSD-3-Clause
// A contact: what a node tells others of itself, so that they can make a link to it. Signed
// (signed_contact.h), it may come from anybody: the registry, a peer, a cache, the local network.
// man/sixlink-tsp.7, "Contacts".
#pragma once

#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/net/prefix.h"
#include "src/pki/certificate.h"
#include "src/pki/wireguard_key.h"

namespace sixlink::mesh {

using pki::WallTime;

enum class Transport : std::uint8_t {
  kUdp,
  kTcp,  // WireGuard's messages in TLS
};
const char* to_string(Transport transport);

// How a node came to know that it has an address, which says how much it is worth.
enum class EndpointKind : std::uint8_t {
  kPublic,    // of an interface, or configured
  kMapped,    // a port mapping of the router's (PCP, NAT-PMP, UPnP)
  kObserved,  // where peers and registry see it: good for hole punching
  kLocal,     // of a private network
};
const char* to_string(EndpointKind kind);

struct ContactEndpoint {
  boost::asio::ip::address address;  // unicast, not of a link or of the machine itself
  std::uint16_t port = 0;
  Transport transport = Transport::kUdp;
  EndpointKind kind = EndpointKind::kPublic;

  friend bool operator==(const ContactEndpoint&, const ContactEndpoint&) = default;
};

// What of a NAT's behaviour (RFC 4787) decides who can make a link with whom.
enum class NatKind : std::uint8_t {
  kUnknown,
  kNone,
  kIndependent,  // one mapping for all destinations: hole punching works
  kDependent,    // a mapping for each ("symmetric")
};
const char* to_string(NatKind nat);

struct Contact {
  static constexpr std::size_t kLargest = 2048;  // of the text
  static constexpr std::size_t kMostEndpoints = 8;
  static constexpr std::size_t kLongestSoftware = 64;
  // None is good for longer.
  static constexpr std::chrono::hours kLongestLife{24 * 7};

  net::Prefix prefix;  // /64 or shorter: the node is prefix::1
  pki::WireguardKey key;
  std::vector<ContactEndpoint> endpoints;  // the best first; none: nobody can reach it
  NatKind nat = NatKind::kUnknown;
  std::uint64_t sequence = 0;    // of a node's contacts the one with the greatest counts
  WallTime expires{};            // whole seconds
  std::uint64_t parameters = 0;  // the version of the network's parameters that it has
  std::string software;          // "sixlink 0.1.0": printable ASCII

  friend bool operator==(const Contact&, const Contact&) = default;
};

// One line, without blanks between elements: it is to fit in a datagram.
std::string to_xml(const Contact& contact);

struct ParsedContact {
  std::optional<Contact> contact;  // or
  std::string problem;             // "the contact has ..."
};
// Hostile until shown otherwise. What it does not know it passes over.
ParsedContact parse_contact(std::string_view xml);

}  // namespace sixlink::mesh
