// SPDX-License-Identifier: BSD-3-Clause
// Who holds which inner address and which delegated prefix. The book is the truth while the registry runs;
// its changes are written to the store in one transaction a batch, and the caller tells a client of its lease
// only after that (group commit: many sessions share one write to disk). While a batch is written, on any
// thread, the next one is made (group_commit.h).
//
//   changes --take_batch()--> under way --written(ok)--> durable
//      ^                          |
//      +--- made meanwhile        +--written(error)--> all changes are undone, those made meanwhile too
#pragma once

#include <array>
#include <boost/system/result.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "registry/lease/prefix_pool.h"
#include "registry/store/store.h"

namespace sixlink::registry {

enum class LeaseError {
  kNoAddressLeft = 1,      // TSP 301
  kNoPrefixLeft,           // TSP 507
  kPrefixLength,           // TSP 518: length not served here
  kPrefixNotForAnonymous,  // TSP 522
  kTooManyForAddress,      // the quota of anonymous leases for one outer address
  kKeyInUse,               // another's tunnel has the WireGuard key
};
const boost::system::error_category& lease_category();
boost::system::error_code make_error_code(LeaseError error);

struct LeasePolicy {
  net::Prefix prefix;  // the registry's; its first /64 holds the tunnels' inner addresses (::1 is the
                       // broker's own), the rest is delegated. A /64 delegates nothing.
  int shortest_delegation = 56;  // a user may ask for this length at the shortest ...
  int longest_delegation = 64;
  // For mode v4v6. Its first address is the broker's own, the rest is given to clients: single addresses, and
  // prefixes to routers.
  std::optional<net::PrefixV4> prefix_v4;
  int shortest_delegation_v4 = 29;
  int longest_delegation_v4 = 32;
  bool anonymous_prefix = false;           // anonymous clients may have a prefix
  WallSeconds anonymous_lifetime = 86400;  // without a packet this long, an anonymous lease ends
  int anonymous_per_address = 256;         // anonymous leases held from one outer address
  // Interface identifiers given to clients: 2 to this. A million are more than one registry serves, and low
  // ones let the tunnel server look clients up in an array.
  std::uint32_t last_identifier = 1u << 20;
};

struct LeaseRequest {
  std::string user;  // empty: anonymous, a new lease every time
  LeaseMode mode = LeaseMode::kV6UdpV4;
  boost::asio::ip::address outer_address;
  std::uint16_t outer_port = 0;
  int prefix_length = 0;  // 0: none asked
  // As prefix_length: what the client holds already, else the longest that is delegated here (IPv4: up to
  // /30, which holds two machines).
  static constexpr int kAnyLength = -1;
  // For the prefix's reverse zone; absent: what the lease has stays.
  std::optional<std::vector<std::string>> name_servers;
  std::optional<pki::WireguardKey> wireguard_key{};  // mode wireguard
};

// What is to be written in one transaction.
struct LeaseBatch {
  struct Write {
    std::int64_t id = 0;
    std::optional<Lease> lease;  // nullopt: it ended
  };
  std::vector<Write> writes;                                    // in this order
  std::vector<std::pair<std::int64_t, WallSeconds>> last_seen;  // afterwards
  bool is_empty() const { return writes.empty() && last_seen.empty(); }
};

// What became of it.
struct LeasesWritten {
  boost::system::error_code error;       // nothing was written
  std::vector<std::int64_t> lack_users;  // not written: their users were deleted from the command line
};

class LeaseBook {
 public:
  // Loads the store's leases. One outside the policy's prefix, that overlaps another, or whose row is corrupt
  // is left in the store, not served, and counted by skipped(). `store` outlives the book.
  static boost::system::result<LeaseBook> load(Store& store, const LeasePolicy& policy);

  // The broker's own inner address: prefix::1.
  net::AddressV6 broker_address() const;
  // The same of prefix_v4; unspecified without one.
  boost::asio::ip::address_v4 broker_address_v4() const;

  // A user has one lease of each inner family: v6udpv4 and v6v4 share one, v4v6 has another. It is found
  // again with the same address and prefix, and takes the new mode and outer endpoint; a user who asks for
  // another prefix length gets another prefix and keeps the address; one who asks none keeps what is held.
  // Mode wireguard: an anonymous client is found again by its key, and an IPv4 address comes with the lease
  // where there is a prefix_v4 with a free one.
  // Nothing is durable before it is written. On an error nothing of this call remains.
  [[nodiscard]] boost::system::result<Lease> acquire(const LeaseRequest& request, WallSeconds now);
  // Ends a lease (TSP delete, expiry, user deleted). Part of the batch too. false: no such lease.
  bool release(std::int64_t id);

  // What changed since the last one, and some of what touch() was told. The caller writes it, on whatever
  // thread, and calls written() with the outcome before it takes another.
  LeaseBatch take_batch();
  static LeasesWritten write(Store& store, const LeaseBatch& batch);
  // On failure the book is as it was before the batch. A lease without user is in the book no more.
  void written(const LeasesWritten& outcome);
  // All of that here and now, until nothing is left to write. On failure the store and the book are both as
  // they were before the batch. Not while one is under way.
  [[nodiscard]] boost::system::error_code commit();
  // Takes all changes back that are not durable. Not while a batch is under way.
  void rollback();
  // Changes that are not durable.
  bool has_uncommitted() const { return !changes_.empty(); }
  // That last_seen times wait to be written, too.
  bool has_unwritten() const { return has_uncommitted() || !activity_.empty(); }
  bool is_under_way() const { return is_under_way_; }
  // In the last batch that had changes the lease was not written: its user was deleted after the login.
  bool lacked_user(std::int64_t id) const;

  // In memory; written with a later batch. A lease that was never touched ends within kUnusedLifetime.
  void touch(std::int64_t id, WallSeconds now);
  static constexpr WallSeconds kUnusedLifetime = 600;
  // Ids of anonymous leases whose time is over, at most `limit`. The caller releases them.
  std::vector<std::int64_t> expired(WallSeconds now, std::size_t limit) const;
  // The anonymous lease of that outer address whose last
  // packet is longest ago, if that was before `silent_since`.
  std::optional<std::int64_t> stalest_anonymous(const boost::asio::ip::address& outer_address,
                                                WallSeconds silent_since) const;
  // Ids of leases that are no longer in the store: their user was deleted from the command line. The caller
  // releases them.
  [[nodiscard]] boost::system::result<std::vector<std::int64_t>> orphaned();

  // Pointers are valid until the lease changes.
  const Lease* find(std::int64_t id) const;
  // The user's lease of the mode's inner family.
  const Lease* find_user(const std::string& user, LeaseMode mode = LeaseMode::kV6UdpV4) const;
  const Lease* find_key(const pki::WireguardKey& key) const;
  std::vector<Lease> all() const;
  const std::map<std::int64_t, Lease>& leases() const { return leases_; }
  // Grows with every change of a lease, except of when it was last seen.
  std::uint64_t revision() const { return revision_; }
  std::size_t size() const;
  std::size_t skipped() const;

 private:
  struct Change {
    std::int64_t id;
    std::optional<Lease> before;
  };

  LeaseBook(Store& store, const LeasePolicy& policy);

  PrefixPool& pool_of(LeaseMode mode) { return is_v4_inside(mode) ? *pool_v4_ : pool_; }

  bool can_serve(const Lease& lease) const;
  // The interface identifier below the tunnels' /64, when it is one that is given to clients.
  std::optional<std::uint32_t> identifier(const net::AddressV6& address) const;
  std::optional<std::uint32_t> free_identifier() const;
  net::AddressV6 address_of(std::uint32_t identifier) const;
  // Free, of the mode's inner family. Changes nothing.
  std::optional<net::AddressV6> choose_address(LeaseMode mode);
  // A block of `length` that is free, or will be when the lease's prefix is given back. Changes nothing.
  std::optional<net::Prefix> choose_prefix(const Lease& lease, int length);
  // 0: the lease keeps what it has.
  boost::system::result<int> wanted_length(const LeaseRequest& request, const Lease* held) const;
  boost::system::result<Lease> draft(const LeaseRequest& request, WallSeconds now);
  // The lease that the request is to be given again; null: none.
  const Lease* held_by(const LeaseRequest& request) const;

  void change(std::int64_t id, std::optional<Lease> after);
  // Makes `after` what the book says of `id`, in memory and all indexes.
  void replace(std::int64_t id, std::optional<Lease> after);
  void add_to_indexes(const Lease& lease);
  void remove_from_indexes(const Lease& lease);
  void undo();
  // One entry a lease, the latest.
  void merge_activity();

  Store* store_;
  LeasePolicy policy_;
  net::Prefix tunnels_;  // the /64 of the inner addresses
  PrefixPool pool_;
  std::optional<PrefixPool> pool_v4_;
  std::map<std::int64_t, Lease> leases_;
  std::array<std::unordered_map<std::string, std::int64_t>, 2> by_user_;  // of IPv6 inside, of IPv4
  std::map<pki::WireguardKey, std::int64_t> by_key_;
  std::map<boost::asio::ip::address, int> anonymous_;  // leases held from each outer address
  std::vector<bool> used_;                             // by interface identifier
  std::size_t used_count_ = 0;
  std::uint32_t cursor_;      // where the search for a free identifier starts
  std::int64_t next_id_ = 1;  // never goes back, so that an id always means one lease
  std::size_t skipped_ = 0;
  std::uint64_t revision_ = 0;

  // Not durable, in order: those of the batch that is under way first.
  std::vector<Change> changes_;
  std::size_t under_way_ = 0;
  bool is_under_way_ = false;
  std::vector<LeaseBatch::Write> writes_;  // for the next batch
  std::vector<std::int64_t> lacked_users_;
  // Touched, not yet written; and those that are under way.
  std::vector<std::pair<std::int64_t, WallSeconds>> activity_;
  std::vector<std::pair<std::int64_t, WallSeconds>> activity_under_way_;
};

}  // namespace sixlink::registry

namespace boost::system {
template <>
struct is_error_code_enum<sixlink::registry::LeaseError> : std::true_type {};
}  // namespace boost::system
