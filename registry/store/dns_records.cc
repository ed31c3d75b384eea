// SPDX-License-Identifier: BSD-3-Clause
// The store's tables of what was published in DNS.
#include "registry/store/store.h"

namespace sixlink::registry {
namespace {

using boost::system::error_code;

error_code failure(int code) {
  return {code, store_category()};
}

// The text must live until the statement is reset.
void bind_text(sqlite3_stmt* statement, int index, const std::string& value) {
  sqlite3_bind_text64(statement, index, value.data(), value.size(), SQLITE_STATIC, SQLITE_UTF8);
}

void bind_record(sqlite3_stmt* statement, const DnsRecord& record) {
  bind_text(statement, 1, record.zone);
  bind_text(statement, 2, record.name);
  bind_text(statement, 3, record.type);
  bind_text(statement, 4, record.data);
}

std::string text(sqlite3_stmt* statement, int column) {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, column));
  const int size = sqlite3_column_bytes(statement, column);
  return bytes == nullptr ? std::string() : std::string(bytes, static_cast<std::size_t>(size));
}

}  // namespace

boost::system::result<DnsRecords> Store::dns_records() {
  const auto use = statement("SELECT zone, name, type, data, ttl, is_confirmed FROM dns_records");
  if (!use) return use.error();
  sqlite3_stmt* const row = use->get();
  DnsRecords records;
  int code = 0;
  while ((code = sqlite3_step(row)) == SQLITE_ROW) {
    records.insert_or_assign(DnsRecord{text(row, 0), text(row, 1), text(row, 2), text(row, 3)},
                             DnsRecordState{sqlite3_column_int(row, 4), sqlite3_column_int(row, 5) != 0});
  }
  if (code != SQLITE_DONE) return failure(code);
  return records;
}

error_code Store::put_dns_record(const DnsRecord& record, const DnsRecordState& state) {
  const auto use = statement(
      "INSERT INTO dns_records (zone, name, type, data, ttl, is_confirmed) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
      " ON CONFLICT (zone, name, type, data) DO UPDATE SET ttl = excluded.ttl,"
      " is_confirmed = excluded.is_confirmed");
  if (!use) return use.error();
  bind_record(use->get(), record);
  sqlite3_bind_int(use->get(), 5, state.ttl);
  sqlite3_bind_int(use->get(), 6, state.is_confirmed ? 1 : 0);
  return run(use->get());
}

error_code Store::delete_dns_record(const DnsRecord& record) {
  const auto use =
      statement("DELETE FROM dns_records WHERE zone = ?1 AND name = ?2 AND type = ?3 AND data = ?4");
  if (!use) return use.error();
  bind_record(use->get(), record);
  return run(use->get());
}

error_code Store::unconfirm_dns_records() {
  const auto use = statement("UPDATE dns_records SET is_confirmed = 0");
  return use ? run(use->get()) : use.error();
}

boost::system::result<std::map<std::string, DnsZoneStatus>> Store::dns_zones() {
  const auto use = statement("SELECT zone, last_success, last_failure, problem FROM dns_zones");
  if (!use) return use.error();
  sqlite3_stmt* const row = use->get();
  std::map<std::string, DnsZoneStatus> zones;
  int code = 0;
  while ((code = sqlite3_step(row)) == SQLITE_ROW) {
    zones.insert_or_assign(text(row, 0), DnsZoneStatus{sqlite3_column_int64(row, 1),
                                                       sqlite3_column_int64(row, 2), text(row, 3)});
  }
  if (code != SQLITE_DONE) return failure(code);
  return zones;
}

error_code Store::put_dns_zone(const std::string& zone, const DnsZoneStatus& status) {
  const auto use = statement(
      "INSERT INTO dns_zones (zone, last_success, last_failure, problem) VALUES (?1, ?2, ?3, ?4)"
      " ON CONFLICT (zone) DO UPDATE SET last_success = excluded.last_success,"
      " last_failure = excluded.last_failure, problem = excluded.problem");
  if (!use) return use.error();
  bind_text(use->get(), 1, zone);
  sqlite3_bind_int64(use->get(), 2, status.last_success);
  sqlite3_bind_int64(use->get(), 3, status.last_failure);
  bind_text(use->get(), 4, status.problem);
  return run(use->get());
}

error_code Store::delete_dns_zone(const std::string& zone) {
  const auto use = statement("DELETE FROM dns_zones WHERE zone = ?1");
  if (!use) return use.error();
  bind_text(use->get(), 1, zone);
  return run(use->get());
}

boost::system::result<std::int64_t> Store::data_version() {
  return query_number("PRAGMA data_version");
}

}  // namespace sixlink::registry
