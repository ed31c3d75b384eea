// SPDX-License-Identifier: BSD-3-Clause
// In place of certificates and signatures: a keyed checksum of the real text, in documents as long as the
// real ones. What was changed on the way, or says that it is of another node, is refused as it would be.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "src/mesh/node.h"

namespace sixlink::sim {

// Of a node by its number: what the registry would have given it.
net::Prefix prefix_of(std::uint32_t number);
std::string serial_of(std::uint32_t number);
pki::WireguardKey key_of(std::uint32_t number);
// 2001:db8::/32, which the prefixes are in.
net::Prefix network_prefix();
// The node that has it; `nodes`: how many there are. nullopt: none.
std::optional<std::uint32_t> number_of(const net::Prefix& prefix, std::size_t nodes);

// What a CMS document has besides its text (SignedData with the certificate in it), in bytes. `sim check`
// compares it with a real one.
constexpr std::size_t kEnvelope = 641;

class Authority {
 public:
  explicit Authority(std::uint64_t secret) : secret_(secret) {}

  std::vector<std::uint8_t> seal(std::string_view serial, std::string_view text) const;
  struct Opened {
    std::string serial;
    std::string_view text;  // within what was opened
  };
  // nullopt: the checksum is wrong.
  std::optional<Opened> open(std::span<const std::uint8_t> document) const;
  // A contact's document. As every node opens each contact of its neighbours, what was good once and is the
  // same in every byte is not opened again, and all nodes share it.
  struct Known {
    mesh::ContactRef contact;  // null: `problem`
    std::string problem;
  };
  Known contact_in(std::span<const std::uint8_t> document) const;

 private:
  static constexpr std::size_t kMostKnown = 300'000;

  std::uint64_t secret_;
  mutable std::unordered_map<std::uint64_t, mesh::ContactRef> known_;  // by their checksums
};

class Signer final : public mesh::ContactSigner {
 public:
  Signer(const Authority& authority, std::uint32_t number) : authority_(authority), number_(number) {}
  mesh::SignedContact sign(const mesh::Contact& contact) const override;

 private:
  const Authority& authority_;
  std::uint32_t number_;
};

// One for each node, as nodes learn of revocations at different times.
class Contacts final : public mesh::ContactVerifier {
 public:
  Contacts(const Authority& authority, std::size_t nodes) : authority_(authority), nodes_(nodes) {}
  mesh::OpenedContact open(std::span<const std::uint8_t> der, mesh::WallTime now) const override;
  void set_revoked(const std::set<std::string, std::less<>>& serials) { revoked_ = serials; }
  bool is_revoked(std::uint32_t number) const {
    return !revoked_.empty() && revoked_.contains(serial_of(number));
  }

 private:
  const Authority& authority_;
  std::size_t nodes_;
  std::set<std::string, std::less<>> revoked_;
};

class Parameters final : public mesh::ParametersVerifier {
 public:
  explicit Parameters(const Authority& authority) : authority_(authority) {}
  mesh::ParsedParameters open(std::span<const std::uint8_t> der, mesh::WallTime now) const override;

 private:
  const Authority& authority_;
};
// As the registry signs them.
std::vector<std::uint8_t> seal_parameters(const Authority& authority,
                                          const mesh::NetworkParameters& parameters);

}  // namespace sixlink::sim
