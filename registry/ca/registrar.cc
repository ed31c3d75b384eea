// SPDX-License-Identifier: BSD-3-Clause
// Enrolment and renewal. registrar_network.cc has what concerns the network as a whole.
#include "registry/ca/registrar.h"

#include <algorithm>

#include "registry/ca/key_hash.h"
#include "registry/ca/registrar_parts.h"
#include "src/net/server_address.h"

namespace sixlink::registry {
namespace {

// Certificates are renewed so long before they expire; of short ones a third is left.
constexpr std::chrono::hours kRenewBefore{24 * 30};
// A node whose clock is behind believes a new certificate, too; of short ones it is a tenth.
constexpr std::chrono::seconds kBackdated{3600};

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

}  // namespace

Registrar::Registrar(Database& database, RegistrarSettings settings)
    : database_(database),
      settings_(std::move(settings)),
      authorities_(settings_.key_directory),
      prefixes_(settings_.network, settings_.network_v4) {}

Refusal Registrar::failure() {
  last_problem_ = database_.problem();
  return {RefusalCode::kInternal, "the registry's database does not do what it should",
          "try again later; the registry's log says what is wrong", std::chrono::seconds(30)};
}

std::optional<Registrar::NodeRow> Registrar::find_node(const char* sql, const std::string& value) {
  const auto rows = database_.run(sql, {value});
  if (rows.empty()) return std::nullopt;
  const auto& row = rows.front();
  const auto prefix = net::Prefix::parse(row.text(0));
  auto certificate = pki::Certificate::parse_pem(row.text(3));
  if (!prefix || !certificate) return std::nullopt;
  return NodeRow{*prefix,       net::PrefixV4::parse(row.text(1)),
                 row.text(2),   *std::move(certificate),
                 row.number(4), !row.is_null(5)};
}

// A name of the registry's own would let a node's certificate pass for its, with who looks at the CN.
std::optional<Refusal> Registrar::check_names(const pki::CertificateRequest& request) const {
  for (const auto& name : common_names(request)) {
    const auto server = net::ServerAddress::parse(name);
    const bool is_address = server && server->is_literal();
    const bool is_ours = std::ranges::find(settings_.hosts, lower(name)) != settings_.hosts.end();
    if (!is_ours && !is_address && name.find('*') == std::string::npos) continue;
    return Refusal{RefusalCode::kBadCertificateRequest,
                   "the request's CN is the registry's own, an address or a pattern",
                   "choose another CN: --req CN=NAME"};
  }
  return std::nullopt;
}

std::optional<pki::Certificate> Registrar::sign(const pki::CertificateRequest& request,
                                                const net::Prefix& prefix, WallTime now) {
  const auto* issuer = authorities_.issuer(now);
  if (!issuer) return std::nullopt;
  const auto backdated = std::min(kBackdated, settings_.certificate_lifetime / 10);
  return issuer->issue(request, prefix, make_serial(),
                       {now - backdated, now + settings_.certificate_lifetime});
}

void Registrar::record(const pki::Certificate& certificate) {
  database_.run(
      "INSERT INTO mesh_certificates (serial, prefix, expires) VALUES ($1, $2, $3)",
      {certificate.serial(), certificate.prefix().to_string(), seconds_of(certificate.not_after())});
}

Issued Registrar::issued(const pki::Certificate& certificate, const std::optional<net::PrefixV4>& prefix_v4,
                         bool is_new) {
  // As nodes work it out themselves.
  const auto lifetime = certificate.not_after() - certificate.not_before();
  const auto before = std::min<WallTime::duration>(kRenewBefore, lifetime / 3);
  return {certificate, certificate.prefix(), prefix_v4, certificate.not_after() - before, is_new};
}

std::optional<Refusal> Registrar::check_token(const std::string& hash, const std::string& key, WallTime now,
                                              int& prefix_length, std::string& email) {
  const auto rows = database_.run(
      "SELECT prefix_length, email, expires, key_hash FROM mesh_tokens WHERE hash = $1", {hash});
  if (rows.empty())
    return Refusal{RefusalCode::kTokenUnknown, "the registry does not know this token",
                   "check that all of it was copied, or ask for a new one"};
  const auto& row = rows.front();
  if (row.number(2) <= seconds_of(now))
    return Refusal{RefusalCode::kTokenExpired, "the token has expired", "ask for a new one"};
  if (!row.is_null(3) && row.text(3) != key)
    return Refusal{RefusalCode::kTokenUsed, "the token was used already, by another key",
                   "each node needs a token of its own: ask for a new one"};
  prefix_length = static_cast<int>(row.number(0));
  email = row.text(1);
  database_.run("UPDATE mesh_tokens SET used = $2, key_hash = $3 WHERE hash = $1 AND key_hash IS NULL",
                {hash, seconds_of(now), key});
  return std::nullopt;
}

Answer<Issued> Registrar::enrol(const pki::CertificateRequest& request, const std::string& token,
                                WallTime now) {
  if (token.empty() && !settings_.anonymous)
    return Refusal{RefusalCode::kNotAllowed, "nobody joins this network without a token",
                   "ask its administrator for one (sixlink-registry token new)"};
  if (!token.empty() && !looks_like_token(token))
    return Refusal{RefusalCode::kTokenUnknown, "this is not a token as the registry makes them",
                   "check that all of it was copied, and nothing else"};
  if (auto refusal = check_names(request)) return *std::move(refusal);
  const auto key = key_hash(request);
  return transact<Issued>([&]() -> Answer<Issued> {
    int prefix_length = settings_.prefix_length;
    std::string email;
    if (!token.empty()) {
      auto refusal = check_token(sha256_text(token), key, now, prefix_length, email);
      if (refusal) return *std::move(refusal);
    }
    const auto node = find_node(kNodeByKey, key);
    if (!node) return issue_new(request, key, prefix_length, email, now);
    if (node->is_revoked)
      return Refusal{RefusalCode::kRevoked, "the certificate of this key was revoked",
                     "to join again, make a new key: move the old one away"};
    if (!token.empty() && node->prefix.length != prefix_length)
      return Refusal{RefusalCode::kKeyInUse,
                     "this key has the prefix " + node->prefix.to_string() +
                         " already, and the token is for a /" + std::to_string(prefix_length),
                     "for another prefix make a new key: move the old one away"};
    return issue_again(*node, request, key, now);
  });
}

Answer<Issued> Registrar::issue_new(const pki::CertificateRequest& request, const std::string& key,
                                    int prefix_length, const std::string& email, WallTime now) {
  const auto taken = prefixes_.take(database_, prefix_length);
  if (!taken)
    return Refusal{RefusalCode::kNoPrefixLeft,
                   "no prefix of " + std::to_string(prefix_length) + " bits is left",
                   "the administrator can wait for unused ones to become free, or make a larger network"};
  const auto certificate = sign(request, taken->prefix, now);
  if (!certificate) return unusable_authority();
  database_.run(
      "INSERT INTO mesh_nodes (prefix, prefix_v4, key_hash, subject, email, created, serial, certificate, "
      "expires)"
      " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
      {taken->prefix.to_string(), or_null(taken->prefix_v4), key, certificate->subject(), or_null(email),
       seconds_of(now), certificate->serial(), certificate->to_pem(), seconds_of(certificate->not_after())});
  record(*certificate);
  return issued(*certificate, taken->prefix_v4, true);
}

// The certificate does not name it: it can be another one at any time.
std::optional<net::PrefixV4> Registrar::current_v4(const NodeRow& node, WallTime now) {
  const auto& network = settings_.network_v4;
  if (!network || (node.prefix_v4 && network->covers(*node.prefix_v4))) return node.prefix_v4;
  const auto taken = prefixes_.take_v4(database_, node.prefix);
  if (!taken) return node.prefix_v4;
  if (node.prefix_v4)
    prefixes_.retire_v4(database_, *node.prefix_v4, node.prefix, seconds_of(now + settings_.prefix_grace));
  database_.run("UPDATE mesh_nodes SET prefix_v4 = $2 WHERE prefix = $1",
                {node.prefix.to_string(), taken->to_string()});
  return taken;
}

Answer<Issued> Registrar::issue_again(const NodeRow& node, const pki::CertificateRequest& request,
                                      const std::string& key, WallTime now) {
  const auto prefix_v4 = current_v4(node, now);
  // Asked again, as when the answer was lost, or for IPv4 alone: the same certificate.
  const auto stored = issued(node.certificate, prefix_v4, false);
  // Not when another authority issues now: that is what a node renews for before its time.
  const auto* issuer = authorities_.issuer(now);
  const bool is_same =
      node.key == key && request.subject() == node.certificate.subject() && issuer &&
      pki::TrustAnchor({issuer->certificate()}).verify(node.certificate, now) == pki::Distrust::kNone;
  if (is_same && now < stored.renew_after) return stored;
  const auto certificate = sign(request, node.prefix, now);
  if (!certificate) return unusable_authority();
  database_.run(
      "UPDATE mesh_nodes SET key_hash = $2, subject = $3, serial = $4, certificate = $5, expires = $6"
      " WHERE prefix = $1",
      {node.prefix.to_string(), key, certificate->subject(), certificate->serial(), certificate->to_pem(),
       seconds_of(certificate->not_after())});
  record(*certificate);
  return issued(*certificate, prefix_v4, true);
}

Answer<Issued> Registrar::renew(const Asker& asker, const pki::CertificateRequest& request, WallTime now) {
  if (auto refusal = check_names(request)) return *std::move(refusal);
  const auto key = key_hash(request);
  return transact<Issued>([&]() -> Answer<Issued> {
    const auto node = find_node(kNodeByPrefix, asker.prefix.to_string());
    if (!node || node->is_revoked) return no_such_node();
    const auto holder = find_node(kNodeByKey, key);
    if (holder && holder->prefix != node->prefix)
      return Refusal{RefusalCode::kKeyInUse, "the key in the request is another node's", "make a new key"};
    return issue_again(*node, request, key, now);
  });
}

Answer<Asker> Registrar::identify(const pki::Certificate& certificate, WallTime now, Expired expired) {
  auto distrust = authorities_.anchor(now).verify(certificate, now);
  const bool is_only_old = distrust == pki::Distrust::kExpired && expired == Expired::kAllowed &&
                           now <= certificate.not_after() + settings_.prefix_grace;
  // Of an expired one the rest is to be right, too.
  if (is_only_old)
    distrust =
        authorities_.anchor(now).verify(certificate, certificate.not_after() - std::chrono::seconds(1));
  if (distrust == pki::Distrust::kExpired)
    return Refusal{RefusalCode::kCertificateExpired, "the certificate has expired",
                   "renew it (the node does so by itself), or join again; check the clocks, too"};
  if (distrust != pki::Distrust::kNone)
    return Refusal{RefusalCode::kCertificateRefused, std::string("the certificate ") + explain(distrust),
                   "join this network first: sixlink join"};
  const auto rows = database_.run("SELECT prefix, revoked FROM mesh_certificates WHERE serial = $1",
                                  {certificate.serial()});
  if (database_.has_failed()) return failure();
  if (rows.empty() || rows.front().text(0) != certificate.prefix().to_string()) return no_such_node();
  if (!rows.front().is_null(1))
    return Refusal{RefusalCode::kRevoked, "the certificate was revoked",
                   "ask the network's administrator; to join again, make a new key"};
  return Asker{certificate.prefix(), certificate};
}

}  // namespace sixlink::registry
