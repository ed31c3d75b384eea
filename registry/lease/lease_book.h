// SPDX-License-Identifier: BSD-3-Clause
// Who holds which inner address and which delegated prefix. The book is the truth while the registry runs; every change is written
// to the store in one transaction a batch, and the caller tells a client of its lease only after commit() (group commit: many
// sessions share one write to disk).
#pragma once

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
  kNoAddressLeft = 1,     // TSP 301
  kNoPrefixLeft,          // TSP 507
  kPrefixLength,          // TSP 518: length not served here
  kPrefixNotForAnonymous, // TSP 522
  kTooManyForAddress,     // the quota of anonymous leases for one outer address
  kStore,                 // the store failed; the batch was rolled back
};
const boost::system::error_category& lease_category();
boost::system::error_code make_error_code(LeaseError error);

struct LeasePolicy {
  net::Prefix prefix;              // the registry's; its first /64 holds the tunnels' inner addresses (::1 is the broker's own),
                                   // the rest is delegated. A /64 delegates nothing.
  int shortest_delegation = 48;    // a user may ask for this length at the shortest ...
  int longest_delegation = 64;
  bool anonymous_prefix = false;   // anonymous clients may have a prefix
  WallSeconds anonymous_lifetime = 86400;  // without a packet this long, an anonymous lease ends
  int anonymous_per_address = 256;         // anonymous leases held from one outer address
};

struct LeaseRequest {
  std::string user;  // empty: anonymous, a new lease every time
  LeaseMode mode = LeaseMode::kV6UdpV4;
  boost::asio::ip::address outer_address;
  std::uint16_t outer_port = 0;
  int prefix_length = 0;  // 0: none asked
};

class LeaseBook {
 public:
  // Loads the store's leases. One outside the policy's prefix, or that overlaps another, is left in the store, not served, and
  // counted by skipped(). `store` outlives the book.
  static boost::system::result<LeaseBook> load(Store& store, const LeasePolicy& policy);

  // The broker's own inner address: prefix::1.
  net::AddressV6 broker_address() const;

  // A user's lease is found again with the same address and prefix, and takes the new outer endpoint; a user who asks for another
  // prefix length gets another prefix and keeps the address; one who asks none keeps what is held. Begins the batch's
  // transaction when there is none. Nothing is durable before commit(). On an error nothing of this call remains.
  [[nodiscard]] boost::system::result<Lease> acquire(const LeaseRequest& request, WallSeconds now);
  // Ends a lease (TSP delete, expiry, user deleted). Part of the batch too. false: no such lease.
  [[nodiscard]] boost::system::result<bool> release(std::int64_t id);

  // Makes the batch durable. On failure the store and the book are both as they were before the batch. No batch: success.
  [[nodiscard]] boost::system::error_code commit();
  // Takes the batch back.
  void rollback();
  bool has_uncommitted() const;

  // In memory only; written by save_activity().
  void touch(std::int64_t id, WallSeconds now);
  // Writes changed last_seen times and commits.
  [[nodiscard]] boost::system::error_code save_activity();
  // Ids of anonymous leases whose time is over, at most `limit`. The caller releases them.
  std::vector<std::int64_t> expired(WallSeconds now, std::size_t limit) const;
  // Ids of leases whose user is no longer in the store (deleted from the command line).
  [[nodiscard]] boost::system::result<std::vector<std::int64_t>> orphaned();

  const Lease* find(std::int64_t id) const;
  const Lease* find_user(const std::string& user) const;
  std::vector<Lease> all() const;
  std::size_t size() const;
  std::size_t skipped() const;

 private:
  // (implementation's choice)
};

}  // namespace sixlink::registry

namespace boost::system {
template <>
struct is_error_code_enum<sixlink::registry::LeaseError> : std::true_type {};
}  // namespace boost::system
