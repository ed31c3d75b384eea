// SPDX-License-Identifier: BSD-3-Clause
// The registrar's administrators: who may ask the API what otherwise only the command line may.
#include "registry/ca/key_hash.h"
#include "registry/ca/registrar.h"
#include "registry/ca/registrar_parts.h"

namespace sixlink::registry {

Answer<Administrator> Registrar::make_administrator(const std::string& name, std::chrono::seconds lifetime,
                                                    WallTime now) {
  const auto* root = authorities_.root(now);
  if (!root) return unusable_authority();
  Administrator administrator;
  try {
    auto identity = make_administrator_identity(*root, name, {now - std::chrono::hours(1), now + lifetime});
    administrator = {name,  identity.fingerprint, seconds_of(now), seconds_of(identity.expires),
                     false, std::move(identity)};
  } catch (const std::runtime_error&) {
    return Refusal{RefusalCode::kBadRequest, "an administrator cannot have the name \"" + name + "\"",
                   "choose one of 1 to 64 characters"};
  }
  auto done = transact<bool>([&]() -> Answer<bool> {
    database_.run(
        "INSERT INTO mesh_administrators (fingerprint, name, created, expires) VALUES ($1, $2, $3, $4)",
        {administrator.fingerprint, name, administrator.created, administrator.expires});
    return true;
  });
  if (!done) return done.refusal();
  return administrator;
}

Answer<std::vector<Administrator>> Registrar::administrators() {
  const auto rows = database_.run(
      "SELECT name, fingerprint, created, expires, revoked FROM mesh_administrators ORDER BY created, name");
  if (database_.has_failed()) return failure();
  std::vector<Administrator> all;
  for (const auto& row : rows)
    all.push_back({row.text(0), row.text(1), row.number(2), row.number(3), !row.is_null(4), {}});
  return all;
}

Answer<std::string> Registrar::identify_administrator(std::string_view der, WallTime now) {
  const auto rows = database_.run(
      "SELECT name, expires, revoked FROM mesh_administrators WHERE fingerprint = $1", {sha256_text(der)});
  if (database_.has_failed()) return failure();
  if (rows.empty())
    return Refusal{RefusalCode::kCertificateRefused, "this is not the certificate of an administrator",
                   "\"sixlink-registry admin new NAME\" makes one"};
  if (rows.front().number(1) <= seconds_of(now))
    return Refusal{RefusalCode::kCertificateExpired, "the administrator's certificate has expired",
                   "\"sixlink-registry admin new NAME\" makes another"};
  if (!rows.front().is_null(2))
    return Refusal{RefusalCode::kRevoked, "the administrator's certificate was revoked",
                   "ask who keeps the registry"};
  return rows.front().text(0);
}

Answer<std::size_t> Registrar::revoke_administrator(const std::string& who, WallTime now) {
  return transact<std::size_t>([&]() -> Answer<std::size_t> {
    database_.run(
        "UPDATE mesh_administrators SET revoked = $2 WHERE (name = $1 OR fingerprint = $1) AND revoked IS "
        "NULL",
        {who, seconds_of(now)});
    if (database_.changed() > 0) return database_.changed();
    return Refusal{RefusalCode::kNotFound, "there is no administrator " + who,
                   "\"sixlink-registry admin list\" shows them"};
  });
}

}  // namespace sixlink::registry
