// SPDX-License-Identifier: BSD-3-Clause
// The registry's durable state: users and leases, in SQLite. One process serves; the command line's user commands open the same
// file at the same time (WAL, busy timeout).
#pragma once

#include <sqlite3.h>

#include <boost/asio/ip/address.hpp>
#include <boost/system/result.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/net/prefix.h"

namespace sixlink::registry {

// Seconds since the epoch: leases outlive the process, so a wall clock it is. Used for expiry only.
using WallSeconds = std::int64_t;

struct User {
  std::string name;
  std::string realm;
  std::string ha1;  // 16 bytes: MD5(name ":" realm ":" password), RFC 2831's H({username, realm, passwd})
  WallSeconds created = 0;
};

enum class LeaseMode { kV6UdpV4, kV6V4 };

struct Lease {
  std::int64_t id = 0;
  std::string user;                   // empty: anonymous
  net::AddressV6 address;             // the client's inner address
  std::optional<net::Prefix> prefix;  // delegated
  LeaseMode mode = LeaseMode::kV6UdpV4;
  boost::asio::ip::address outer_address;  // where the client is; unspecified: nowhere yet
  std::uint16_t outer_port = 0;            // v6udpv4 only
  WallSeconds created = 0;
  WallSeconds last_seen = 0;

  friend bool operator==(const Lease&, const Lease&) = default;
};

// Every failure is an error_code of store_category() (SQLite's own result codes and texts).
const boost::system::error_category& store_category();

class Store {
 public:
  // Creates the file (0600) and its tables when missing, upgrades older ones; ":memory:" for tests. A file of a newer version or
  // that is no database is refused.
  static boost::system::result<Store> open(const std::string& path);

  Store(Store&&) noexcept = default;
  Store& operator=(Store&&) noexcept = default;
  ~Store() = default;

  // One transaction at a time. Statements outside one commit by themselves. commit() returns after the data is on disk.
  [[nodiscard]] boost::system::error_code begin();
  [[nodiscard]] boost::system::error_code commit();
  void rollback();

  [[nodiscard]] boost::system::result<std::optional<User>> find_user(const std::string& name);
  [[nodiscard]] boost::system::result<std::vector<User>> list_users();
  // false: a user of this name exists already (add), or does not (set_password, delete_user).
  [[nodiscard]] boost::system::result<bool> add_user(const User& user);
  [[nodiscard]] boost::system::result<bool> set_password(const std::string& name, const std::string& realm,
                                                         const std::string& ha1);
  // Also deletes the user's lease.
  [[nodiscard]] boost::system::result<bool> delete_user(const std::string& name);

  [[nodiscard]] boost::system::result<std::vector<Lease>> load_leases();
  // Inserts or replaces by id.
  [[nodiscard]] boost::system::error_code put_lease(const Lease& lease);
  [[nodiscard]] boost::system::error_code delete_lease(std::int64_t id);

 private:
  struct CloseDatabase {
    void operator()(sqlite3* database) const;
  };
  struct FinalizeStatement {
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

  explicit Store(sqlite3* database) : database_(database) {}
  // Prepared once, reset before it is handed out.
  boost::system::result<sqlite3_stmt*> statement(const char* sql);

  std::unique_ptr<sqlite3, CloseDatabase> database_;
  std::map<const char*, Statement> statements_;  // goes before database_
};

}  // namespace sixlink::registry
