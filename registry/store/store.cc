// SPDX-License-Identifier: BSD-3-Clause
// The registry's durable state, in SQLite.
#include "registry/store/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>
#include <string_view>
#include <utility>

namespace sixlink::registry {
namespace {

using boost::system::error_code;

// "6LNK": tells our file from another program's database.
constexpr std::int64_t kApplicationId = 0x364c4e4b;

// Step n brings a database of version n to n + 1. Steps are never changed once released, only added.
// Addresses are text, so that an administrator can read them with the sqlite3 shell.
constexpr const char* kUpgrades[] = {
    "PRAGMA application_id = 0x364c4e4b;"
    "CREATE TABLE users ("
    "  name TEXT PRIMARY KEY NOT NULL,"
    "  realm TEXT NOT NULL,"
    "  ha1 BLOB NOT NULL,"
    "  created INTEGER NOT NULL);"
    "CREATE TABLE leases ("
    "  id INTEGER PRIMARY KEY,"
    "  user TEXT REFERENCES users(name) ON DELETE CASCADE,"  // NULL: anonymous
    "  address TEXT NOT NULL,"
    "  prefix TEXT,"
    "  mode TEXT NOT NULL,"
    "  outer_address TEXT NOT NULL,"  // empty: nowhere yet
    "  outer_port INTEGER NOT NULL,"
    "  created INTEGER NOT NULL,"
    "  last_seen INTEGER NOT NULL);"
    "CREATE INDEX leases_user ON leases(user);",
    "ALTER TABLE leases ADD COLUMN name_servers TEXT;"  // separated by blanks; NULL: none
    "CREATE TABLE dns_records ("
    "  zone TEXT NOT NULL,"
    "  name TEXT NOT NULL,"
    "  type TEXT NOT NULL,"
    "  data TEXT NOT NULL,"
    "  ttl INTEGER NOT NULL,"
    "  is_confirmed INTEGER NOT NULL,"
    "  PRIMARY KEY (zone, name, type, data)) WITHOUT ROWID;"
    "CREATE TABLE dns_zones ("
    "  zone TEXT PRIMARY KEY NOT NULL,"
    "  last_success INTEGER NOT NULL,"
    "  last_failure INTEGER NOT NULL,"
    "  problem TEXT NOT NULL) WITHOUT ROWID;",
    // Leases of mode v4v6 appear, which an older sixlink-registry would take for corrupt ones: it is to
    // refuse the database instead. The tables are as they were.
    "",
    // Mode wireguard: the client's public key in base64, and an IPv4 address; NULL: none.
    "ALTER TABLE leases ADD COLUMN wireguard_key TEXT;"
    "ALTER TABLE leases ADD COLUMN address_v4 TEXT;"
    "CREATE UNIQUE INDEX leases_wireguard_key ON leases(wireguard_key);",
};
constexpr std::int64_t kVersion = std::size(kUpgrades);

// A row beyond is corrupt; without a bound it would end the numbering of leases.
constexpr std::int64_t kHighestId = std::int64_t{1} << 53;

// Boost's base has a protected destructor and friends, which gcc takes for an accessible one.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
class StoreCategory final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "store"; }
  std::string message(int code) const override {
    switch (code) {
      case kStoreNewer:
        return "the database was written by a newer sixlink-registry; install that version or newer";
      case kStoreForeign:
        return "the file is an SQLite database, but not of sixlink-registry";
      default:
        return sqlite3_errstr(code);
    }
  }
};
#pragma GCC diagnostic pop

error_code sqlite_error(int code) {
  if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE) return {};
  return {code, store_category()};
}

error_code system_error(int code) {
  return {code, boost::system::system_category()};
}

// Before SQLite sees the file: it creates files with the umask's mode, and gives -wal and -shm the mode of
// the database.
error_code make_private_file(const std::string& path) {
  // No descriptor on an existing file: closing it would drop the locks that another connection of this
  // process has on it.
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file >= 0) {
    ::close(file);
    return {};
  }
  if (errno != EEXIST) return system_error(errno);
  for (const char* suffix : {"", "-wal", "-shm"}) {
    const std::string name = path + suffix;
    struct stat status {};
    if (::stat(name.c_str(), &status) != 0) {
      if (errno == ENOENT) continue;
      return system_error(errno);
    }
    if (S_ISDIR(status.st_mode)) return system_error(EISDIR);
    if ((status.st_mode & 077) != 0 && ::chmod(name.c_str(), 0600) != 0) return system_error(errno);
  }
  return {};
}

void bind(sqlite3_stmt* statement, int index, std::int64_t value) {
  sqlite3_bind_int64(statement, index, value);
}

// The text must live until the statement is reset.
void bind(sqlite3_stmt* statement, int index, const std::string& value) {
  sqlite3_bind_text64(statement, index, value.data(), value.size(), SQLITE_STATIC, SQLITE_UTF8);
}

void bind_blob(sqlite3_stmt* statement, int index, const std::string& value) {
  sqlite3_bind_blob64(statement, index, value.data(), value.size(), SQLITE_STATIC);
}

std::string column_bytes(sqlite3_stmt* statement, int column) {
  const void* bytes = sqlite3_column_blob(statement, column);
  const int size = sqlite3_column_bytes(statement, column);
  if (bytes == nullptr || size <= 0) return {};
  return std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
}

// Within 0 and `high`; times and ports outside would overflow what is computed from them.
bool read_number(sqlite3_stmt* statement, int column, std::int64_t high, std::int64_t& out) {
  if (sqlite3_column_type(statement, column) != SQLITE_INTEGER) return false;
  const std::int64_t value = sqlite3_column_int64(statement, column);
  if (value < 0 || value > high) return false;
  out = value;
  return true;
}

User read_user(sqlite3_stmt* statement) {
  return {column_bytes(statement, 0), column_bytes(statement, 1), column_bytes(statement, 2),
          sqlite3_column_int64(statement, 3)};
}

std::vector<std::string> split_words(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream stream(text);
  for (std::string word; stream >> word;) words.push_back(std::move(word));
  return words;
}

std::string join_words(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

constexpr std::pair<LeaseMode, std::string_view> kModes[] = {{LeaseMode::kV6UdpV4, "v6udpv4"},
                                                             {LeaseMode::kV6V4, "v6v4"},
                                                             {LeaseMode::kV4V6, "v4v6"},
                                                             {LeaseMode::kWireguard, "wireguard"}};

std::string mode_text(LeaseMode mode) {
  for (const auto& [value, text] : kModes) {
    if (value == mode) return std::string(text);
  }
  return {};
}

std::optional<LeaseMode> parse_mode(std::string_view text) {
  for (const auto& [value, name] : kModes) {
    if (name == text) return value;
  }
  return std::nullopt;
}

bool has_right_family(const Lease& lease) {
  const bool is_v4 = is_v4_inside(lease.mode);
  if (lease.address.is_v4_mapped() != is_v4) return false;
  return !lease.prefix || net::unmapped(*lease.prefix).has_value() == is_v4;
}

// nullopt: not a lease that we wrote.
std::optional<Lease> read_lease(sqlite3_stmt* statement) {
  Lease lease;
  if (!read_number(statement, 0, kHighestId, lease.id) || lease.id == 0) return std::nullopt;
  if (sqlite3_column_type(statement, 1) != SQLITE_NULL) {
    lease.user = column_bytes(statement, 1);
    if (lease.user.empty()) return std::nullopt;
  }
  const auto address = net::parse_v6(column_bytes(statement, 2));
  if (!address) return std::nullopt;
  lease.address = *address;
  if (sqlite3_column_type(statement, 3) != SQLITE_NULL) {
    lease.prefix = net::Prefix::parse(column_bytes(statement, 3));
    if (!lease.prefix) return std::nullopt;
  }
  const auto mode = parse_mode(column_bytes(statement, 4));
  if (!mode) return std::nullopt;
  lease.mode = *mode;
  if (!has_right_family(lease)) return std::nullopt;
  const std::string outer = column_bytes(statement, 5);
  if (!outer.empty()) {
    error_code error;
    lease.outer_address = boost::asio::ip::make_address(outer, error);
    if (error) return std::nullopt;
  }
  constexpr std::int64_t kLatest = std::int64_t{1} << 40;  // in some 30,000 years
  std::int64_t port = 0;
  if (!read_number(statement, 6, 65535, port)) return std::nullopt;
  lease.outer_port = static_cast<std::uint16_t>(port);
  if (!read_number(statement, 7, kLatest, lease.created)) return std::nullopt;
  if (!read_number(statement, 8, kLatest, lease.last_seen)) return std::nullopt;
  lease.name_servers = split_words(column_bytes(statement, 9));
  if (sqlite3_column_type(statement, 10) != SQLITE_NULL) {
    lease.wireguard_key = pki::WireguardKey::parse(column_bytes(statement, 10));
    if (!lease.wireguard_key) return std::nullopt;
  }
  if (lease.wireguard_key.has_value() != (lease.mode == LeaseMode::kWireguard)) return std::nullopt;
  if (sqlite3_column_type(statement, 11) != SQLITE_NULL) {
    lease.address_v4 = net::parse_v4(column_bytes(statement, 11));
    if (!lease.address_v4) return std::nullopt;
  }
  return lease;
}

}  // namespace

const boost::system::error_category& store_category() {
  static const StoreCategory category;
  return category;
}

void Store::CloseDatabase::operator()(sqlite3* database) const {
  sqlite3_close(database);
}

void Store::FinalizeStatement::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

void Store::ResetStatement::operator()(sqlite3_stmt* statement) const {
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
}

boost::system::result<Store> Store::open(const std::string& path, std::chrono::milliseconds busy_timeout) {
  if (path != ":memory:") {
    if (const auto error = make_private_file(path)) return error;
  }
  sqlite3* database = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE, nullptr);
  Store store(database);  // owns it also when opening failed
  if (code != SQLITE_OK) {
    const int reason = database == nullptr ? 0 : sqlite3_system_errno(database);
    if ((code & 0xff) == SQLITE_CANTOPEN && reason != 0) return system_error(reason);
    return sqlite_error(code);
  }
  // SQLite opens a file that it may not write for reading, and would say so only at the first lease.
  if (sqlite3_db_readonly(database, "main") == 1) return sqlite_error(SQLITE_READONLY);
  if (const auto error = store.configure(busy_timeout)) return error;
  if (const auto error = store.upgrade()) return error;
  return store;
}

error_code Store::configure(std::chrono::milliseconds busy_timeout) {
  sqlite3_busy_timeout(database_.get(), static_cast<int>(busy_timeout.count()));
  // The first statement that reads the file: SQLITE_NOTADB shows here.
  const auto application = query_number("PRAGMA application_id");
  if (!application) return application.error();
  const auto version = query_number("PRAGMA user_version");
  if (!version) return version.error();
  const auto tables = query_number("SELECT count(*) FROM sqlite_master");
  if (!tables) return tables.error();
  // Looked at before the file is changed in any way (the journal mode is stored in it).
  const bool is_new = *version == 0 && *application == 0 && *tables == 0;
  if (!is_new && *application != kApplicationId) return {kStoreForeign, store_category()};
  if (*version > kVersion) return {kStoreNewer, store_category()};
  // WAL with FULL syncs at every commit: a client is told of its lease only after that.
  return execute(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
      // Rows are written once and read at the start: the system's cache serves that as well.
      " PRAGMA cache_size = -512");
}

error_code Store::upgrade() {
  auto version = query_number("PRAGMA user_version");
  if (!version) return version.error();
  if (*version == kVersion) return {};
  if (const auto error = begin()) return error;
  // Again inside the transaction: another process may have been faster.
  version = query_number("PRAGMA user_version");
  error_code error = version ? error_code() : version.error();
  for (std::int64_t step = error ? kVersion : *version; step < kVersion && !error; ++step) {
    error = execute(kUpgrades[step]);
    if (!error) error = execute(("PRAGMA user_version = " + std::to_string(step + 1)).c_str());
  }
  if (error) {
    rollback();
    return error;
  }
  return commit();
}

error_code Store::execute(const char* sql) {
  return sqlite_error(sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr));
}

boost::system::result<std::int64_t> Store::query_number(const char* sql) {
  const auto use = statement(sql);
  if (!use) return use.error();
  const int code = sqlite3_step(use->get());
  if (code != SQLITE_ROW) return sqlite_error(code == SQLITE_DONE ? SQLITE_ERROR : code);
  return sqlite3_column_int64(use->get(), 0);
}

boost::system::result<Store::Use> Store::statement(const char* sql) {
  Hold hold(*mutex_);
  Statement& prepared = statements_[sql];
  if (!prepared) {
    sqlite3_stmt* made = nullptr;
    const int code = sqlite3_prepare_v3(database_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &made, nullptr);
    if (code != SQLITE_OK) return sqlite_error(code);
    prepared.reset(made);
  }
  return Use{std::move(hold), std::unique_ptr<sqlite3_stmt, ResetStatement>(prepared.get())};
}

error_code Store::run(sqlite3_stmt* statement) {
  return sqlite_error(sqlite3_step(statement));
}

boost::system::result<bool> Store::run_changes(sqlite3_stmt* statement) {
  if (const auto error = run(statement)) return {boost::system::in_place_error, error};
  return sqlite3_changes(database_.get()) > 0;
}

error_code Store::begin() {
  Hold hold(*mutex_);
  const auto use = statement("BEGIN IMMEDIATE");
  const auto error = use ? run(use->get()) : use.error();
  if (!error) transaction_ = std::move(hold);
  return error;
}

error_code Store::commit() {
  error_code error;
  {
    const auto use = statement("COMMIT");
    error = use ? run(use->get()) : use.error();
  }
  if (error) {
    rollback();
  } else {
    end_transaction();
  }
  return error;
}

void Store::rollback() {
  const Hold hold(*mutex_);
  // Some errors (disk full, I/O) have rolled back by themselves.
  if (sqlite3_get_autocommit(database_.get()) == 0) {
    if (const auto use = statement("ROLLBACK")) sqlite3_step(use->get());
  }
  end_transaction();
}

void Store::end_transaction() {
  const Hold hold(*mutex_);
  transaction_ = {};
}

boost::system::result<std::optional<User>> Store::find_user(const std::string& name) {
  const auto use = statement("SELECT name, realm, ha1, created FROM users WHERE name = ?1");
  if (!use) return use.error();
  bind(use->get(), 1, name);
  const int code = sqlite3_step(use->get());
  if (code == SQLITE_ROW) return std::optional(read_user(use->get()));
  if (code == SQLITE_DONE) return std::optional<User>();
  return sqlite_error(code);
}

boost::system::result<std::vector<User>> Store::list_users() {
  const auto use = statement("SELECT name, realm, ha1, created FROM users ORDER BY name");
  if (!use) return use.error();
  std::vector<User> users;
  int code = 0;
  while ((code = sqlite3_step(use->get())) == SQLITE_ROW) users.push_back(read_user(use->get()));
  if (code != SQLITE_DONE) return sqlite_error(code);
  return users;
}

boost::system::result<bool> Store::add_user(const User& user) {
  const auto use = statement(
      "INSERT INTO users (name, realm, ha1, created) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO NOTHING");
  if (!use) return {boost::system::in_place_error, use.error()};
  bind(use->get(), 1, user.name);
  bind(use->get(), 2, user.realm);
  bind_blob(use->get(), 3, user.ha1);
  bind(use->get(), 4, user.created);
  return run_changes(use->get());
}

boost::system::result<bool> Store::set_password(const std::string& name, const std::string& realm,
                                                const std::string& ha1) {
  const auto use = statement("UPDATE users SET realm = ?2, ha1 = ?3 WHERE name = ?1");
  if (!use) return {boost::system::in_place_error, use.error()};
  bind(use->get(), 1, name);
  bind(use->get(), 2, realm);
  bind_blob(use->get(), 3, ha1);
  return run_changes(use->get());
}

boost::system::result<bool> Store::delete_user(const std::string& name) {
  // The foreign key deletes the lease in the same transaction.
  const auto use = statement("DELETE FROM users WHERE name = ?1");
  if (!use) return {boost::system::in_place_error, use.error()};
  bind(use->get(), 1, name);
  return run_changes(use->get());
}

boost::system::result<LoadedLeases> Store::load_leases() {
  const auto use = statement(
      "SELECT id, user, address, prefix, mode, outer_address, outer_port, created, last_seen, name_servers, "
      "wireguard_key, address_v4 FROM leases ORDER BY id");
  if (!use) return use.error();
  LoadedLeases loaded;
  int code = 0;
  while ((code = sqlite3_step(use->get())) == SQLITE_ROW) {
    std::int64_t id = 0;
    if (read_number(use->get(), 0, kHighestId, id)) loaded.highest_id = id;
    if (auto lease = read_lease(use->get())) {
      loaded.leases.push_back(std::move(*lease));
    } else {
      ++loaded.corrupt;
    }
  }
  if (code != SQLITE_DONE) return sqlite_error(code);
  return loaded;
}

error_code Store::put_lease(const Lease& lease) {
  // An upsert, not INSERT OR REPLACE: that would hide a broken foreign key behind a delete.
  const auto use = statement(
      "INSERT INTO leases (id, user, address, prefix, mode, outer_address, outer_port, created, last_seen,"
      " name_servers, wireguard_key, address_v4) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
      " ON CONFLICT (id) DO UPDATE SET user = excluded.user,"
      " address = excluded.address, prefix = excluded.prefix, mode = excluded.mode,"
      " outer_address = excluded.outer_address, outer_port = excluded.outer_port, created = excluded.created,"
      " last_seen = excluded.last_seen, name_servers = excluded.name_servers,"
      " wireguard_key = excluded.wireguard_key, address_v4 = excluded.address_v4");
  if (!use) return use.error();
  sqlite3_stmt* const row = use->get();
  const std::string address = lease.address.to_string();
  const std::string prefix = lease.prefix ? lease.prefix->to_string() : std::string();
  const std::string mode = mode_text(lease.mode);
  const std::string name_servers = join_words(lease.name_servers);
  const std::string key = lease.wireguard_key ? lease.wireguard_key->to_string() : std::string();
  const std::string address_v4 = lease.address_v4 ? lease.address_v4->to_string() : std::string();
  const std::string outer =
      lease.outer_address.is_unspecified() ? std::string() : lease.outer_address.to_string();
  bind(row, 1, lease.id);
  if (!lease.user.empty()) bind(row, 2, lease.user);  // what is not bound is NULL
  bind(row, 3, address);
  if (lease.prefix) bind(row, 4, prefix);
  bind(row, 5, mode);
  bind(row, 6, outer);
  bind(row, 7, std::int64_t{lease.outer_port});
  bind(row, 8, lease.created);
  bind(row, 9, lease.last_seen);
  if (!lease.name_servers.empty()) bind(row, 10, name_servers);
  if (lease.wireguard_key) bind(row, 11, key);
  if (lease.address_v4) bind(row, 12, address_v4);
  return run(row);
}

error_code Store::put_last_seen(std::int64_t id, WallSeconds last_seen) {
  const auto use = statement("UPDATE leases SET last_seen = ?2 WHERE id = ?1");
  if (!use) return use.error();
  bind(use->get(), 1, id);
  bind(use->get(), 2, last_seen);
  return run(use->get());
}

boost::system::result<std::vector<std::int64_t>> Store::lease_ids() {
  const auto use = statement("SELECT id FROM leases ORDER BY id");
  if (!use) return use.error();
  std::vector<std::int64_t> ids;
  int code = 0;
  while ((code = sqlite3_step(use->get())) == SQLITE_ROW) ids.push_back(sqlite3_column_int64(use->get(), 0));
  if (code != SQLITE_DONE) return sqlite_error(code);
  return ids;
}

error_code Store::delete_lease(std::int64_t id) {
  const auto use = statement("DELETE FROM leases WHERE id = ?1");
  if (!use) return use.error();
  bind(use->get(), 1, id);
  return run(use->get());
}

}  // namespace sixlink::registry
