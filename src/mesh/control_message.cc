// SPDX-License-Identifier: BSD-3-Clause
// The texts of nodes' control messages.
#include "src/mesh/control_message.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "src/mesh/parameters.h"
#include "src/pki/cms.h"
#include "src/tsp/digest_md5.h"
#include "src/tsp/message.h"
#include "src/tsp/status.h"
#include "src/tsp/xml_document.h"

namespace sixlink::mesh {
namespace {

using tsp::xml::attribute;
using tsp::xml::child;
using tsp::xml::lower;
using tsp::xml::next_named;
using tsp::xml::text_of;
using tsp::xml::XMLElement;

constexpr std::string_view kRequest = "ECHO REQUEST ";
constexpr std::string_view kResponse = "ECHO RESPONSE ";
constexpr std::size_t kHexSize = 16;
// RFC 8200 section 5, and what a TUN may have at most.
constexpr long kLowestMtu = 1280;
constexpr long kHighestMtu = 65535;
constexpr std::size_t kLargestContact = 8192;  // of DER

struct Form {
  ControlKind kind;
  const char* action;
  const char* type;
};
constexpr std::array<Form, 8> kForms{{
    {ControlKind::kCreate, "create", "wireguard"},
    {ControlKind::kAnswer, "info", "wireguard"},
    {ControlKind::kDelete, "delete", "wireguard"},
    {ControlKind::kAskLink, "list", "wireguard"},
    {ControlKind::kAskContacts, "list", "contact"},
    {ControlKind::kContacts, "info", "contact"},
    {ControlKind::kAskParameters, "list", "parameters"},
    {ControlKind::kParameters, "info", "parameters"},
}};

std::optional<std::uint64_t> parse_u64(std::string_view text) {
  std::uint64_t value = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::string_view without_line_end(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.remove_suffix(1);
  return text;
}

std::string base64(std::span<const std::uint8_t> bytes) {
  return tsp::base64_encode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::optional<std::vector<std::uint8_t>> parse_base64(std::string_view text, std::size_t most) {
  if (text.empty() || text.size() > (most + 2) / 3 * 4) return std::nullopt;
  const auto bytes = tsp::base64_decode(text);
  if (!bytes || bytes->empty() || bytes->size() > most) return std::nullopt;
  return std::vector<std::uint8_t>(bytes->begin(), bytes->end());
}

std::string element(std::string_view name, std::string_view text) {
  return "<" + std::string(name) + ">" + std::string(text) + "</" + std::string(name) + ">";
}

std::string element(std::string_view name, std::uint64_t value) {
  return element(name, std::to_string(value));
}

std::string contacts_xml(const ControlMessage& message) {
  std::string text;
  for (const auto& der : message.contacts) text += element("contact", base64(der));
  return text;
}

std::string observed_xml(const ControlMessage& message) {
  if (!message.observed) return {};
  return "<observed port=\"" + std::to_string(message.observed->port()) + "\">" +
         message.observed->address().to_string() + "</observed>";
}

std::string port_xml(const ControlMessage& message) {
  return message.own_port != 0 ? element("port", message.own_port) : std::string();
}

std::string answer_xml(const ControlMessage& message) {
  auto text = element("nonce", hex64(message.nonce));
  if (message.status == tsp::kSuccess)
    text += element("mtu", static_cast<std::uint64_t>(std::max(message.mtu, 0))) + port_xml(message);
  return text + observed_xml(message) + contacts_xml(message);
}

std::string contents(const ControlMessage& message) {
  switch (message.kind) {
    case ControlKind::kCreate:
      return element("nonce", hex64(message.nonce)) +
             (message.to ? element("to", message.to->to_string()) : std::string()) +
             element("mtu", static_cast<std::uint64_t>(std::max(message.mtu, 0))) +
             (message.is_alone ? "<alone/>" : "") + (message.takes_any_port ? "<anyport/>" : "") +
             port_xml(message) + contacts_xml(message);
    case ControlKind::kAnswer:
      return answer_xml(message);
    case ControlKind::kDelete:
      return element("delay", static_cast<std::uint64_t>(message.delay.count()));
    case ControlKind::kAskLink:
      return message.to ? element("to", message.to->to_string()) : std::string();
    case ControlKind::kAskContacts:
      return element("count", message.count);
    case ControlKind::kContacts:
      return observed_xml(message) + contacts_xml(message);
    case ControlKind::kAskParameters:
      return element("version", message.version) + element("offset", message.offset);
    case ControlKind::kParameters:
      return element("version", message.version) + element("size", message.size) +
             element("offset", message.offset) + element("bytes", base64(message.bytes));
  }
  return {};
}

// False: it is there and not usable, or not there.
template <typename T>
bool read_number(const XMLElement& root, const char* name, std::uint64_t most, T& value) {
  const auto* found = child(&root, name);
  const auto number = found ? parse_u64(text_of(*found)) : std::nullopt;
  if (!number || *number > most) return false;
  value = static_cast<T>(*number);
  return true;
}

bool read_nonce(const XMLElement& root, ControlMessage& message) {
  const auto* found = child(&root, "nonce");
  const auto nonce = found ? parse_hex64(text_of(*found)) : std::nullopt;
  if (!nonce) return false;
  message.nonce = *nonce;
  return true;
}

bool read_mtu(const XMLElement& root, ControlMessage& message) {
  const auto* found = child(&root, "mtu");
  const auto mtu = found ? tsp::xml::number(text_of(*found), kLowestMtu, kHighestMtu) : std::nullopt;
  if (!mtu) return false;
  message.mtu = static_cast<int>(*mtu);
  return true;
}

// Not there: the port is where the message comes from.
bool read_port(const XMLElement& root, ControlMessage& message) {
  const auto* found = child(&root, "port");
  if (!found) return true;
  const auto port = tsp::xml::number(text_of(*found), 1, 65535);
  if (!port) return false;
  message.own_port = static_cast<std::uint16_t>(*port);
  return true;
}

bool read_contacts(const XMLElement& root, ControlMessage& message, std::size_t most) {
  for (const auto* e = child(&root, "contact"); e; e = next_named(e->NextSiblingElement(), "contact")) {
    auto der = parse_base64(text_of(*e), kLargestContact);
    if (!der || message.contacts.size() == most) return false;
    message.contacts.push_back(*std::move(der));
  }
  return true;
}

bool read_observed(const XMLElement& root, ControlMessage& message) {
  const auto* found = child(&root, "observed");
  if (!found) return true;
  const auto port = tsp::xml::number(attribute(*found, "port"), 1, 65535);
  if (!port) return false;
  boost::asio::ip::address address;
  if (const auto v4 = net::parse_v4(text_of(*found))) {
    address = *v4;
  } else if (const auto v6 = net::parse_v6(text_of(*found))) {
    address = *v6;
  } else {
    return false;
  }
  message.observed = {address, static_cast<std::uint16_t>(*port)};
  return true;
}

// Not there: whoever is asked.
bool read_to(const XMLElement& root, ControlMessage& message) {
  const auto* to = child(&root, "to");
  if (!to) return true;
  message.to = net::Prefix::parse(text_of(*to));
  return message.to.has_value();
}

bool read_create(const XMLElement& root, ControlMessage& message) {
  if (!read_to(root, message)) return false;
  message.is_alone = child(&root, "alone") != nullptr;
  message.takes_any_port = child(&root, "anyport") != nullptr;
  return read_nonce(root, message) && read_mtu(root, message) && read_port(root, message) &&
         read_contacts(root, message, 1) && message.contacts.size() == 1;
}

bool read_answer(const XMLElement& root, ControlMessage& message) {
  if (!read_nonce(root, message) || !read_observed(root, message) ||
      !read_contacts(root, message, ControlMessage::kMostContacts))
    return false;
  if (message.status != tsp::kSuccess) return true;
  return read_mtu(root, message) && read_port(root, message) && message.contacts.size() == 1;
}

bool read_piece(const XMLElement& root, ControlMessage& message) {
  const auto* found = child(&root, "bytes");
  auto bytes = found ? parse_base64(text_of(*found), ControlMessage::kLargestPiece) : std::nullopt;
  if (!bytes || !read_number(root, "version", std::numeric_limits<std::uint64_t>::max(), message.version) ||
      !read_number(root, "size", pki::kLargestSigned, message.size) ||
      !read_number(root, "offset", pki::kLargestSigned, message.offset))
    return false;
  message.bytes = *std::move(bytes);
  return message.offset + message.bytes.size() <= message.size;
}

bool read_contents(const XMLElement& root, ControlMessage& message) {
  switch (message.kind) {
    case ControlKind::kCreate:
      return read_create(root, message);
    case ControlKind::kAnswer:
      return read_answer(root, message);
    case ControlKind::kDelete: {
      std::uint64_t delay = 0;
      if (!read_number(root, "delay", ControlMessage::kLongestDelay.count(), delay)) return false;
      message.delay = std::chrono::seconds(delay);
      return true;
    }
    case ControlKind::kAskLink:
      return read_to(root, message) && message.to;
    case ControlKind::kAskContacts:
      return read_number(root, "count", ControlMessage::kMostContacts, message.count);
    case ControlKind::kContacts:
      return read_observed(root, message) && read_contacts(root, message, ControlMessage::kMostContacts) &&
             (message.observed || !message.contacts.empty());
    case ControlKind::kAskParameters:
      return read_number(root, "version", std::numeric_limits<std::uint64_t>::max(), message.version) &&
             read_number(root, "offset", pki::kLargestSigned, message.offset);
    case ControlKind::kParameters:
      return read_piece(root, message);
  }
  return false;
}

}  // namespace

std::string hex64(std::uint64_t value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(kHexSize, '0');
  for (std::size_t i = kHexSize; i-- > 0; value >>= 4) text[i] = kDigits[value & 15];
  return text;
}

std::optional<std::uint64_t> parse_hex64(std::string_view text) {
  if (text.size() != kHexSize || text.find_first_not_of("0123456789abcdef") != std::string_view::npos)
    return std::nullopt;
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return value;
}

std::string outer_echo(const Echo& echo) {
  std::string text(echo.is_response ? kResponse : kRequest);
  text += hex64(echo.nonce);
  if (echo.is_response) text += " " + hex64(echo.cookie);
  text.resize(kEchoTextSize - 2, ' ');
  return text + "\r\n";
}

std::optional<Echo> parse_outer_echo(std::string_view text) {
  if (text.size() != kEchoTextSize) return std::nullopt;
  Echo echo;
  echo.is_response = text.starts_with(kResponse);
  if (!echo.is_response && !text.starts_with(kRequest)) return std::nullopt;
  auto rest = without_line_end(text.substr(echo.is_response ? kResponse.size() : kRequest.size()));
  const auto nonce = parse_hex64(rest.substr(0, std::min(kHexSize, rest.size())));
  if (!nonce) return std::nullopt;
  echo.nonce = *nonce;
  rest.remove_prefix(kHexSize);
  if (!echo.is_response) return rest.empty() ? std::optional(echo) : std::nullopt;
  if (!rest.starts_with(' ')) return std::nullopt;
  const auto cookie = parse_hex64(rest.substr(1));
  if (!cookie) return std::nullopt;
  echo.cookie = *cookie;
  return echo;
}

std::string link_echo(const Echo& echo) {
  return std::string(echo.is_response ? kResponse : kRequest) + std::to_string(echo.version) + "\r\n";
}

std::optional<Echo> parse_link_echo(std::string_view text) {
  Echo echo;
  echo.is_response = text.starts_with(kResponse);
  if (!echo.is_response && !text.starts_with(kRequest)) return std::nullopt;
  const auto version =
      parse_u64(without_line_end(text.substr(echo.is_response ? kResponse.size() : kRequest.size())));
  if (!version) return std::nullopt;
  echo.version = *version;
  return echo;
}

std::string to_text(const ControlMessage& message) {
  const auto* form = std::ranges::find(kForms, message.kind, &Form::kind);
  std::string text;
  if (message.kind == ControlKind::kAnswer) text = tsp::status_line(message.status);
  return text + "<tunnel action=\"" + form->action + "\" type=\"" + form->type + "\">" + contents(message) +
         "</tunnel>";
}

std::optional<ControlMessage> parse_control(std::string_view text) {
  if (text.size() > ControlMessage::kLargest || text.find('\0') != std::string_view::npos)
    return std::nullopt;
  ControlMessage message;
  if (!text.starts_with('<')) {
    const auto line = tsp::StatusLine::parse(text);
    if (!line) return std::nullopt;
    message.status = line->code;
    text = line->rest;
  }
  tinyxml2::XMLDocument document;
  if (document.Parse(text.data(), text.size()) != tinyxml2::XML_SUCCESS) return std::nullopt;
  const auto* root = document.RootElement();
  if (!root || lower(root->Name()) != "tunnel" || root->NextSiblingElement()) return std::nullopt;
  const auto action = lower(attribute(*root, "action"));
  const auto type = lower(attribute(*root, "type"));
  const auto* form =
      std::ranges::find_if(kForms, [&](const Form& one) { return action == one.action && type == one.type; });
  if (form == kForms.end()) return std::nullopt;
  message.kind = form->kind;
  // Only answers have a status, and every answer has one.
  if ((message.status != 0) != (message.kind == ControlKind::kAnswer)) return std::nullopt;
  if (!read_contents(*root, message)) return std::nullopt;
  return message;
}

std::string_view explain_refusal(int status) {
  switch (status) {
    case tsp::kAuthenticationFailed:
      return "it does not believe our contact: our certificate has expired, was "
             "revoked, or is another "
             "network's, or one of the clocks is wrong";
    case tsp::kNoTunnelsLeft:
      return "it serves as many links as it may";
    case tsp::kModeNotSupported:
      return "it makes no links for others (client_only)";
    case tsp::kInvalidIpv6:
      return "another node has that endpoint now";
    case tsp::kRequestInProgress:
      return "it knows a newer contact of ours: another machine with our "
             "certificate, or our clock was set "
             "back";
    case tsp::kServerBusy:
      return "it is too busy now";
    default:
      return "it did not say why";
  }
}

}  // namespace sixlink::mesh
