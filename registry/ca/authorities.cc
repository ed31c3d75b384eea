// SPDX-License-Identifier: BSD-3-Clause
#include "registry/ca/authorities.h"

#include <algorithm>
#include <filesystem>

#include "src/config/directory.h"
#include "src/config/small_file.h"

namespace sixlink::registry {
namespace {

// Long enough that rolling it over is a choice, not a race.
constexpr std::chrono::hours kLifetime{24 * 3650};
// Nodes whose clocks are behind believe it, too.
constexpr std::chrono::hours kBackdated{24};

bool is_current(const pki::Certificate& certificate, WallTime now) {
  return certificate.not_before() <= now && now <= certificate.not_after();
}

}  // namespace

std::int64_t seconds_of(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

WallTime time_of(std::int64_t seconds) {
  return WallTime(std::chrono::seconds(seconds));
}

std::string Authorities::path_of(const pki::Certificate& certificate, const char* suffix) const {
  constexpr std::size_t kAlgorithm = sizeof "sha256:" - 1;
  return directory_ + "/" + certificate.fingerprint().substr(kAlgorithm, 16) + suffix;
}

bool Authorities::has_files() const {
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, none)) {
    if (entry.path().extension() == ".key") return true;
  }
  return false;
}

std::string Authorities::load(Database& database) {
  std::vector<AuthorityRecord> records;
  std::vector<Usable> usable;
  const auto rows = database.run(
      "SELECT certificate, issues_from, retired FROM mesh_authorities ORDER BY created, issues_from");
  if (database.has_failed()) return "cannot read the authorities: " + database.problem();
  for (const auto& row : rows) {
    auto certificate = pki::Certificate::parse_pem(row.text(0));
    if (!certificate || !certificate->is_authority())
      return "the database has an authority whose certificate cannot be read: restore it from a backup";
    AuthorityRecord record{*certificate, row.number(1), !row.is_null(2), false};
    auto key = pki::load_private_key(path_of(*certificate, ".key"));
    auto authority =
        key.key ? pki::Authority::make(*certificate, *std::move(key.key)) : std::optional<pki::Authority>();
    record.has_key = authority.has_value();
    if (authority && !record.is_retired) usable.push_back({*std::move(authority), record.issues_from});
    records.push_back(std::move(record));
  }
  if (records.empty()) return "the mesh's database has no authority: restore it from a backup";
  if (usable.empty())
    return "the key of the network's authority is not in " + directory_ + " (" +
           path_of(records.back().certificate, ".key") +
           "): restore it from a backup, or copy it from the registry that shares this database";
  records_ = std::move(records);
  usable_ = std::move(usable);
  return {};
}

std::optional<pki::Certificate> Authorities::add(Database& database, const net::Prefix& network,
                                                 const std::string& name, WallTime now, WallTime issues_from,
                                                 std::string& problem) {
  if (const auto error = config::make_private_directory(directory_, 0700)) {
    problem = "cannot make " + directory_ + ": " + error.message();
    return std::nullopt;
  }
  const auto made = pki::Authority::create(network, name, {now - kBackdated, now + kLifetime});
  const auto& certificate = made.certificate();
  // The key first: a certificate without one is of no use.
  const auto key_path = path_of(certificate, ".key");
  auto error = config::write_small_file(key_path, made.key().to_pem().reveal(), config::Existing::kKeep);
  if (!error)
    error =
        config::write_small_file(path_of(certificate, ".pem"), certificate.to_pem(), config::Existing::kKeep);
  if (error) {
    problem = "cannot write " + key_path + ": " + error.message();
    return std::nullopt;
  }
  database.run(
      "INSERT INTO mesh_authorities (fingerprint, certificate, created, issues_from) VALUES ($1, $2, $3, $4)",
      {certificate.fingerprint(), certificate.to_pem(), seconds_of(now), seconds_of(issues_from)});
  return certificate;
}

bool Authorities::retire(Database& database, const std::string& fingerprint, WallTime now) {
  const auto rows = database.run("SELECT fingerprint FROM mesh_authorities WHERE retired IS NULL");
  const auto is_it = [&](const auto& row) { return row.text(0) == fingerprint; };
  if (rows.size() < 2 || std::ranges::none_of(rows, is_it)) return false;
  database.run("UPDATE mesh_authorities SET retired = $2 WHERE fingerprint = $1",
               {fingerprint, seconds_of(now)});
  return true;
}

const pki::Authority* Authorities::root(WallTime now) const {
  for (const auto& record : records_) {
    if (record.is_retired || !is_current(record.certificate, now)) continue;
    for (const auto& one : usable_) {
      if (one.authority.certificate() == record.certificate) return &one.authority;
    }
    return nullptr;
  }
  return nullptr;
}

const pki::Authority* Authorities::issuer(WallTime now) const {
  const pki::Authority* newest = nullptr;
  for (const auto& one : usable_) {
    if (!is_current(one.authority.certificate(), now)) continue;
    if (newest == nullptr || one.issues_from <= seconds_of(now)) newest = &one.authority;
  }
  return newest;
}

std::vector<pki::Certificate> Authorities::certificates(WallTime now) const {
  std::vector<pki::Certificate> all;
  for (const auto& record : records_) {
    if (!record.is_retired && is_current(record.certificate, now)) all.push_back(record.certificate);
  }
  return all;
}

pki::TrustAnchor Authorities::anchor(WallTime now) const {
  return pki::TrustAnchor(certificates(now));
}

}  // namespace sixlink::registry
