// SPDX-License-Identifier: BSD-3-Clause
// A document is the text's length (2 bytes), the serial number's (1), both of them, zeros up to the real
// one's length, and the checksum (8).
#include "tests/sim/stand_ins.h"

#include <algorithm>
#include <cstring>

#include "tests/sim/delays.h"

namespace sixlink::sim {
namespace {

constexpr std::size_t kHeader = 3;
constexpr std::size_t kChecksum = 8;
constexpr std::string_view kRegistry = "registry";

// Of a document with one.
std::uint64_t checksum_in(std::span<const std::uint8_t> document) {
  std::uint64_t sum = 0;
  std::memcpy(&sum, document.data() + document.size() - kChecksum, sizeof sum);
  return sum;
}

std::uint64_t checksum(std::uint64_t secret, std::string_view bytes) {
  std::uint64_t sum = scramble(secret ^ bytes.size());
  while (!bytes.empty()) {
    std::uint64_t word = 0;
    const auto taken = std::min(bytes.size(), sizeof word);
    std::memcpy(&word, bytes.data(), taken);
    sum = scramble(sum ^ word);
    bytes.remove_prefix(taken);
  }
  return sum;
}

}  // namespace

net::Prefix network_prefix() {
  static const auto prefix = *net::Prefix::parse("2001:db8::/32");
  return prefix;
}

net::Prefix prefix_of(std::uint32_t number) {
  auto bytes = network_prefix().address.to_bytes();
  const auto subnet = number + 1;
  for (std::size_t i = 0; i < 4; ++i) bytes[4 + i] = static_cast<std::uint8_t>(subnet >> (24 - 8 * i));
  return {net::AddressV6(bytes), 64};
}

std::optional<std::uint32_t> number_of(const net::Prefix& prefix, std::size_t nodes) {
  if (prefix.length != 64 || !network_prefix().contains(prefix)) return std::nullopt;
  const auto bytes = prefix.address.to_bytes();
  std::uint32_t subnet = 0;
  for (std::size_t i = 4; i < 8; ++i) subnet = (subnet << 8) | bytes[i];
  if (subnet == 0 || subnet > nodes) return std::nullopt;
  return subnet - 1;
}

std::string serial_of(std::uint32_t number) {
  std::string text(8, '0');
  auto left = number + 1;
  for (auto digit = text.rbegin(); left != 0; left >>= 4) *digit++ = "0123456789abcdef"[left & 15];
  return text;
}

pki::WireguardKey key_of(std::uint32_t number) {
  pki::WireguardKey key;
  for (std::size_t i = 0; i < key.bytes.size(); i += 8) {
    const auto word = i == 0 ? number + 1 : scramble(number + (static_cast<std::uint64_t>(i) << 32));
    std::memcpy(key.bytes.data() + i, &word, sizeof word);
  }
  return key;
}

std::vector<std::uint8_t> Authority::seal(std::string_view serial, std::string_view text) const {
  const auto least = kHeader + serial.size() + kChecksum;
  std::vector<std::uint8_t> document(std::max(kEnvelope, least) + text.size());
  document[0] = static_cast<std::uint8_t>(text.size() >> 8);
  document[1] = static_cast<std::uint8_t>(text.size());
  document[2] = static_cast<std::uint8_t>(serial.size());
  std::ranges::copy(serial, document.begin() + kHeader);
  std::ranges::copy(text, document.begin() + kHeader + static_cast<std::ptrdiff_t>(serial.size()));
  const std::string_view all(reinterpret_cast<const char*>(document.data()), document.size() - kChecksum);
  const auto sum = checksum(secret_, all);
  std::memcpy(document.data() + all.size(), &sum, sizeof sum);
  return document;
}

std::optional<Authority::Opened> Authority::open(std::span<const std::uint8_t> document) const {
  if (document.size() < kHeader + kChecksum) return std::nullopt;
  const std::string_view all(reinterpret_cast<const char*>(document.data()), document.size() - kChecksum);
  if (checksum_in(document) != checksum(secret_, all)) return std::nullopt;
  const std::size_t text = (static_cast<std::size_t>(document[0]) << 8) | document[1];
  const std::size_t serial = document[2];
  if (kHeader + serial + text > all.size()) return std::nullopt;
  return Opened{std::string(all.substr(kHeader, serial)), all.substr(kHeader + serial, text)};
}

Authority::Known Authority::contact_in(std::span<const std::uint8_t> document) const {
  if (document.size() < kHeader + kChecksum) return {nullptr, "the contact is damaged"};
  const auto known = known_.find(checksum_in(document));
  if (known != known_.end() && std::ranges::equal(known->second->der, document)) return {known->second, {}};
  auto opened = open(document);
  if (!opened) return {nullptr, "the contact is damaged"};
  auto parsed = mesh::parse_contact(opened->text);
  if (!parsed.contact) return {nullptr, parsed.problem};
  if (known_.size() >= kMostKnown) {
    std::erase_if(known_, [](const auto& one) { return one.second.use_count() == 1; });
    if (known_.size() >= kMostKnown / 2) known_.clear();
  }
  auto contact = std::make_shared<const mesh::SignedContact>(mesh::SignedContact{
      {document.begin(), document.end()}, *std::move(parsed.contact), std::move(opened->serial)});
  known_[checksum_in(document)] = contact;
  return {std::move(contact), {}};
}

mesh::SignedContact Signer::sign(const mesh::Contact& contact) const {
  const auto serial = serial_of(number_);
  return {authority_.seal(serial, to_xml(contact)), contact, serial};
}

mesh::OpenedContact Contacts::open(std::span<const std::uint8_t> der, mesh::WallTime now) const {
  const auto refuse = [](std::string problem) {
    mesh::OpenedContact opened;
    opened.problem = std::move(problem);
    return opened;
  };
  auto known = authority_.contact_in(der);
  if (!known.contact) return refuse(std::move(known.problem));
  const auto& contact = known.contact->contact;
  const auto number = number_of(contact.prefix, nodes_);
  if (!number || serial_of(*number) != known.contact->serial)
    return refuse("the contact is of a node that its certificate is not for");
  if (revoked_.contains(known.contact->serial)) return refuse("the contact's certificate was revoked");
  if (contact.expires <= now) return refuse("the contact has expired");
  if (contact.expires > now + mesh::Contact::kLongestLife)
    return refuse("the contact is to be good for longer than a week");
  mesh::OpenedContact opened;
  opened.contact = std::move(known.contact);
  return opened;
}

mesh::ParsedParameters Parameters::open(std::span<const std::uint8_t> der, mesh::WallTime /*now*/) const {
  mesh::ParsedParameters parsed;
  const auto document = authority_.open(der);
  if (!document || document->serial != kRegistry) {
    parsed.problem = "the network's parameters are damaged";
    return parsed;
  }
  return mesh::parse_parameters(document->text);
}

std::vector<std::uint8_t> seal_parameters(const Authority& authority,
                                          const mesh::NetworkParameters& parameters) {
  return authority.seal(kRegistry, to_xml(parameters));
}

}  // namespace sixlink::sim
