// SPDX-License-Identifier: BSD-3-Clause
// What nodes say to each other: TSP's <tunnel> element with contacts in it, and echoes. The texts only; how
// they travel is control_parts.h. man/sixlink-tsp.7, "Links between nodes".
#pragma once

#include <boost/asio/ip/udp.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/net/prefix.h"

namespace sixlink::mesh {

// Sixteen hexadecimal digits.
std::string hex64(std::uint64_t value);
std::optional<std::uint64_t> parse_hex64(std::string_view text);

// "ECHO REQUEST ..." and "ECHO RESPONSE ...": whether somebody is there, and can be reached.
struct Echo {
  bool is_response = false;
  // Outside of links: whose question it is, and in responses what to show with a request.
  std::uint64_t nonce = 0;
  std::uint64_t cookie = 0;
  // Inside of links: the version of the network's parameters.
  std::uint64_t version = 0;

  friend bool operator==(const Echo&, const Echo&) = default;
};
// A request is as long as its response: nobody gets more than was sent in his name.
inline constexpr std::size_t kEchoTextSize = 56;
std::string outer_echo(const Echo& echo);
std::optional<Echo> parse_outer_echo(std::string_view text);
std::string link_echo(const Echo& echo);
std::optional<Echo> parse_link_echo(std::string_view text);

enum class ControlKind : std::uint8_t {
  kCreate,  // make a link with me: nonce, to, mtu, maybe is_alone and ports, one contact
  // To that: status, nonce; with 200 also mtu, maybe own_port, one contact, maybe observed; else maybe others
  // to ask instead.
  kAnswer,
  kDelete,         // in-link: this link ends after `delay`
  kAskLink,        // in-link: ask whether your link with that node is still there: to
  kAskContacts,    // in-link: some that you know: count
  kContacts,       // in-link: contacts, or observed
  kAskParameters,  // in-link: version, offset
  kParameters,     // in-link: a piece of the document: version, size, offset, bytes
};

struct ControlMessage {
  static constexpr std::size_t kLargest = 16384;
  static constexpr std::size_t kMostContacts = 8;
  static constexpr std::size_t kLargestPiece = 700;  // of the parameters: one datagram
  static constexpr std::chrono::seconds kLongestDelay{60};

  ControlKind kind = ControlKind::kCreate;
  int status = 0;
  std::uint64_t nonce = 0;
  std::optional<net::Prefix> to;  // none: whoever is there
  int mtu = 0;
  bool is_alone = false;        // the one who asks has no link at all
  bool takes_any_port = false;  // create: the link's other end may have a port of its own, it can be reached
  std::uint16_t own_port = 0;   // create, answer: of the sender's end of the link; 0: where this comes from
  std::optional<boost::asio::ip::udp::endpoint> observed;  // where the request came from
  std::vector<std::vector<std::uint8_t>> contacts;         // as signed
  std::chrono::seconds delay{0};
  std::size_t count = 0;
  std::uint64_t version = 0;
  std::size_t size = 0;
  std::size_t offset = 0;
  std::vector<std::uint8_t> bytes;

  friend bool operator==(const ControlMessage&, const ControlMessage&) = default;
};

std::string to_text(const ControlMessage& message);
// Hostile. nullopt: not such a message, or a value in it is not usable. What it does not know it passes over.
std::optional<ControlMessage> parse_control(std::string_view text);

// What the other node's status says to the one who asked: "it has as many links as it serves".
std::string_view explain_refusal(int status);

}  // namespace sixlink::mesh
