// SPDX-License-Identifier: BSD-3-Clause
// The tables of the mesh's database. Times are seconds since 1970, prefixes text, documents the base64 of
// their DER, so that an administrator can read them.
#include <array>

#include "registry/ca/database.h"

namespace sixlink::registry {
namespace {

// Step n brings the tables from version n to n + 1. Steps are never changed once released, only added.
using Step = std::vector<const char*>;
const std::array<Step, 2> kSteps{
    {{
         // One row. `revision` changes with the set of prefixes that are taken.
         "CREATE TABLE mesh_network ("
         "  id BIGINT PRIMARY KEY,"
         "  network TEXT NOT NULL,"
         "  network_v4 TEXT,"
         "  revision BIGINT NOT NULL,"
         "  version BIGINT NOT NULL,"
         "  parameters TEXT NOT NULL)",
         "CREATE TABLE mesh_authorities ("
         "  fingerprint TEXT PRIMARY KEY,"
         "  certificate TEXT NOT NULL,"
         "  created BIGINT NOT NULL,"
         "  issues_from BIGINT NOT NULL,"
         "  retired BIGINT)",
         // key_hash: SHA-256 of the public key, which has one prefix.
         "CREATE TABLE mesh_nodes ("
         "  prefix TEXT PRIMARY KEY,"
         "  prefix_v4 TEXT UNIQUE,"
         "  key_hash TEXT NOT NULL UNIQUE,"
         "  subject TEXT NOT NULL,"
         "  email TEXT,"
         "  created BIGINT NOT NULL,"
         "  serial TEXT NOT NULL,"
         "  certificate TEXT NOT NULL,"
         "  expires BIGINT NOT NULL,"
         "  revoked BIGINT,"
         "  last_seen BIGINT)",
         "CREATE INDEX mesh_nodes_expires ON mesh_nodes(expires)",
         // All that are valid, not only each node's latest.
         "CREATE TABLE mesh_certificates ("
         "  serial TEXT PRIMARY KEY,"
         "  prefix TEXT NOT NULL,"
         "  expires BIGINT NOT NULL,"
         "  revoked BIGINT)",
         "CREATE INDEX mesh_certificates_prefix ON mesh_certificates(prefix)",
         // hash: SHA-256 of the token, which itself is kept nowhere.
         "CREATE TABLE mesh_tokens ("
         "  hash TEXT PRIMARY KEY,"
         "  prefix_length BIGINT NOT NULL,"
         "  email TEXT,"
         "  created BIGINT NOT NULL,"
         "  expires BIGINT NOT NULL,"
         "  used BIGINT,"
         "  key_hash TEXT)",
         "CREATE TABLE mesh_contacts ("
         "  prefix TEXT PRIMARY KEY,"
         "  sequence BIGINT NOT NULL,"
         "  expires BIGINT NOT NULL,"
         "  document TEXT NOT NULL,"
         "  software TEXT NOT NULL,"
         "  parameters BIGINT NOT NULL,"
         "  endpoints TEXT NOT NULL,"    // JSON, of the document
         "  neighbours TEXT NOT NULL)",  // JSON, as the node told them
         "CREATE TABLE mesh_administrators ("
         "  fingerprint TEXT PRIMARY KEY,"
         "  name TEXT NOT NULL,"
         "  created BIGINT NOT NULL,"
         "  expires BIGINT NOT NULL,"
         "  revoked BIGINT)",
     },
     {
         // Nodes had these before the range was another one: nobody else has them before `kept_until`.
         "CREATE TABLE mesh_former_v4 ("
         "  prefix_v4 TEXT PRIMARY KEY,"
         "  prefix TEXT NOT NULL,"
         "  kept_until BIGINT NOT NULL)",
     }}};

}  // namespace

std::string upgrade_schema(Database& database) {
  const auto cannot = [&] { return "cannot prepare the mesh's tables: " + database.problem(); };
  if (!database.begin()) return cannot();
  database.run("CREATE TABLE IF NOT EXISTS mesh_schema (version BIGINT NOT NULL)");
  const auto rows = database.run("SELECT version FROM mesh_schema");
  std::int64_t version = rows.empty() ? 0 : rows.front().number(0);
  if (version > static_cast<std::int64_t>(kSteps.size())) {
    database.rollback();
    return "the mesh's tables were written by a newer sixlink-registry; install that version or newer";
  }
  if (rows.empty()) database.run("INSERT INTO mesh_schema (version) VALUES (0)");
  for (; version < static_cast<std::int64_t>(kSteps.size()); ++version) {
    for (const char* sql : kSteps[static_cast<std::size_t>(version)]) database.run(sql);
    database.run("UPDATE mesh_schema SET version = $1", {version + 1});
  }
  return database.commit() ? std::string() : cannot();
}

}  // namespace sixlink::registry
