// SPDX-License-Identifier: BSD-3-Clause
// The registry's durable state: users and leases, in SQLite. One process serves; the command line's user
// commands open the same file at the same time (WAL, busy timeout).
#pragma once

#include <sqlite3.h>

#include <boost/asio/ip/address.hpp>
#include <boost/system/result.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "src/net/prefix.h"
#include "src/pki/wireguard_key.h"

namespace sixlink::registry {

// Seconds since the epoch: leases outlive the process, so a wall clock it is. Used for expiry only.
using WallSeconds = std::int64_t;

struct User {
  std::string name;
  std::string realm;
  std::string ha1;  // 16 bytes: MD5(name ":" realm ":" password), RFC 2831's H({username, realm, passwd})
  WallSeconds created = 0;
};

enum class LeaseMode { kV6UdpV4, kV6V4, kV4V6, kWireguard };

// Such a lease's address and prefix are v4-mapped (::ffff:a.b.c.d), so that one kind of table holds both
// families.
inline bool is_v4_inside(LeaseMode mode) {
  return mode == LeaseMode::kV4V6;
}

struct Lease {
  std::int64_t id = 0;
  std::string user;                       // empty: anonymous
  net::AddressV6 address;                 // the client's inner address
  std::optional<net::Prefix> prefix;      // delegated
  std::vector<std::string> name_servers;  // of the prefix's reverse zone: checked names and addresses
  LeaseMode mode = LeaseMode::kV6UdpV4;
  boost::asio::ip::address outer_address;  // where the client is; unspecified: nowhere yet
  std::uint16_t outer_port = 0;            // v6udpv4 only
  // Mode wireguard: the client's public key, which no other lease has, and the IPv4 address beside the IPv6
  // one.
  std::optional<pki::WireguardKey> wireguard_key;
  std::optional<boost::asio::ip::address_v4> address_v4;
  WallSeconds created = 0;
  WallSeconds last_seen = 0;

  friend bool operator==(const Lease&, const Lease&) = default;
};

// One DNS record as a dynamic update names it: lower case, no dot at the end.
struct DnsRecord {
  std::string zone;
  std::string name;
  std::string type;  // AAAA, A, PTR, NS
  std::string data;

  friend bool operator==(const DnsRecord&, const DnsRecord&) = default;
  friend bool operator<(const DnsRecord& a, const DnsRecord& b) {
    return std::tie(a.zone, a.name, a.type, a.data) < std::tie(b.zone, b.name, b.type, b.data);
  }
};

// What the DNS servers were told of a record.
struct DnsRecordState {
  int ttl = 0;
  bool is_confirmed = false;  // false: sent or about to be, without an answer; it may be there or not

  friend bool operator==(const DnsRecordState&, const DnsRecordState&) = default;
};
using DnsRecords = std::map<DnsRecord, DnsRecordState>;

// How updates of a zone went, for the administrator.
struct DnsZoneStatus {
  WallSeconds last_success = 0;  // 0: never
  WallSeconds last_failure = 0;
  std::string problem;  // of the last attempt; empty: it succeeded
};

struct LoadedLeases {
  std::vector<Lease> leases;    // by ascending id
  std::size_t corrupt = 0;      // rows left out because they make no sense
  std::int64_t highest_id = 0;  // of all rows, also those
};

// SQLite's own result codes and texts, and these two.
enum StoreError : int {
  kStoreNewer = -1,    // written by a newer sixlink-registry
  kStoreForeign = -2,  // a database, but not the registry's
};
// Every failure is an error_code of store_category(), or the system's when the file cannot be opened.
const boost::system::error_category& store_category();

// Several threads may use it: a call waits while another thread has a transaction open.
class Store {
 public:
  // Another process's transaction is waited for so long before a call fails with SQLITE_BUSY. The server
  // waits in its event loop, and a user command's transaction takes milliseconds.
  static constexpr std::chrono::milliseconds kBusyTimeout{2000};

  // Creates the file (0600) and its tables when missing, upgrades older ones; ":memory:" for tests. A file of
  // a newer version or that is no database is refused. An existing file that others may read is made 0600.
  static boost::system::result<Store> open(const std::string& path,
                                           std::chrono::milliseconds busy_timeout = kBusyTimeout);

  Store(Store&&) noexcept = default;
  Store& operator=(Store&&) noexcept = default;
  ~Store() = default;

  // One transaction at a time. Statements outside one commit by themselves. commit() returns after the data
  // is on disk. begin() takes the write lock at once, so that what is read inside stays true. A commit() that
  // fails has rolled back.
  [[nodiscard]] boost::system::error_code begin();
  [[nodiscard]] boost::system::error_code commit();
  void rollback();

  [[nodiscard]] boost::system::result<std::optional<User>> find_user(const std::string& name);
  [[nodiscard]] boost::system::result<std::vector<User>> list_users();
  // false: a user of this name exists already (add), or does not (set_password, delete_user).
  [[nodiscard]] boost::system::result<bool> add_user(const User& user);
  [[nodiscard]] boost::system::result<bool> set_password(const std::string& name, const std::string& realm,
                                                         const std::string& ha1);
  // Also deletes the user's leases.
  [[nodiscard]] boost::system::result<bool> delete_user(const std::string& name);

  [[nodiscard]] boost::system::result<LoadedLeases> load_leases();
  // Inserts or replaces by id. SQLITE_CONSTRAINT_FOREIGNKEY: no such user; the transaction is still usable.
  [[nodiscard]] boost::system::error_code put_lease(const Lease& lease);
  // A lease that is no longer there stays away.
  [[nodiscard]] boost::system::error_code put_last_seen(std::int64_t id, WallSeconds last_seen);
  [[nodiscard]] boost::system::result<std::vector<std::int64_t>> lease_ids();
  [[nodiscard]] boost::system::error_code delete_lease(std::int64_t id);

  // What was published in DNS (dns_records.cc).
  [[nodiscard]] boost::system::result<DnsRecords> dns_records();
  [[nodiscard]] boost::system::error_code put_dns_record(const DnsRecord& record,
                                                         const DnsRecordState& state);
  [[nodiscard]] boost::system::error_code delete_dns_record(const DnsRecord& record);
  // All of them count as not confirmed from now on, so that they are sent again.
  [[nodiscard]] boost::system::error_code unconfirm_dns_records();
  [[nodiscard]] boost::system::result<std::map<std::string, DnsZoneStatus>> dns_zones();
  [[nodiscard]] boost::system::error_code put_dns_zone(const std::string& zone, const DnsZoneStatus& status);
  [[nodiscard]] boost::system::error_code delete_dns_zone(const std::string& zone);
  // Changes when another process has written to the database.
  [[nodiscard]] boost::system::result<std::int64_t> data_version();

 private:
  struct CloseDatabase {
    void operator()(sqlite3* database) const;
  };
  struct FinalizeStatement {
    void operator()(sqlite3_stmt* statement) const;
  };
  // Resets what it looks at: an unfinished SELECT holds a read lock, and bound values would outlive their
  // call.
  struct ResetStatement {
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;
  using Hold = std::unique_lock<std::recursive_mutex>;
  // A statement, and the right to use the connection as long as it is there.
  struct Use {
    Hold hold;
    std::unique_ptr<sqlite3_stmt, ResetStatement> running;
    sqlite3_stmt* get() const { return running.get(); }
  };

  explicit Store(sqlite3* database) : database_(database) {}
  boost::system::error_code configure(std::chrono::milliseconds busy_timeout);
  boost::system::error_code upgrade();
  void end_transaction();
  boost::system::error_code execute(const char* sql);
  boost::system::result<std::int64_t> query_number(const char* sql);
  // Prepared once for each literal `sql`.
  boost::system::result<Use> statement(const char* sql);
  // Runs a statement without result rows.
  boost::system::error_code run(sqlite3_stmt* statement);
  boost::system::result<bool> run_changes(sqlite3_stmt* statement);

  std::unique_ptr<std::recursive_mutex> mutex_ = std::make_unique<std::recursive_mutex>();
  Hold transaction_;  // of the thread that began one
  std::unique_ptr<sqlite3, CloseDatabase> database_;
  std::map<const char*, Statement> statements_;  // goes before database_
};

}  // namespace sixlink::registry
