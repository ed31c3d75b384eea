// SPDX-License-Identifier: BSD-3-Clause
// Who holds which inner address and which delegated prefix.
#include "registry/lease/lease_book.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace sixlink::registry {
namespace {

using boost::system::error_code;

// ::1 is the broker, :: the subnet-router anycast address (RFC 4291 section 2.6.1).
constexpr std::uint32_t kFirstIdentifier = 2;

// Of one batch, so that who waits for it does not wait long: about 10 ms.
constexpr std::size_t kMostActivity = 2000;

// Of a prefix that is one address; what v4-mapped ones are longer by (RFC 4291 section 2.5.5.2); a network of
// two machines in IPv4.
constexpr int kAddressLength = 128;
constexpr int kMappedBits = 96;
constexpr int kTwoMachines = 30;

net::Prefix single(const boost::asio::ip::address_v4& address) {
  return net::v4_mapped({address, 32});
}

// Boost's base has a protected destructor and friends, which gcc takes for an accessible one.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
class LeaseCategory final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "lease"; }
  std::string message(int code) const override {
    switch (static_cast<LeaseError>(code)) {
      case LeaseError::kNoAddressLeft:
        return "no tunnel address is left";
      case LeaseError::kNoPrefixLeft:
        return "no prefix of this length is left";
      case LeaseError::kPrefixLength:
        return "prefixes of this length are not delegated here";
      case LeaseError::kPrefixNotForAnonymous:
        return "anonymous clients get no prefix here";
      case LeaseError::kTooManyForAddress:
        return "too many anonymous leases are held from this outer address";
      case LeaseError::kKeyInUse:
        return "another tunnel has this WireGuard key";
    }
    return "unknown lease error " + std::to_string(code);
  }
};
#pragma GCC diagnostic pop

}  // namespace

const boost::system::error_category& lease_category() {
  static const LeaseCategory category;
  return category;
}

error_code make_error_code(LeaseError error) {
  return {static_cast<int>(error), lease_category()};
}

LeaseBook::LeaseBook(Store& store, const LeasePolicy& policy)
    : store_(&store),
      policy_(policy),
      tunnels_{net::mask(policy.prefix.address, 64), 64},
      pool_(policy.prefix),
      used_(policy.last_identifier + 1),
      cursor_(kFirstIdentifier) {
  pool_.reserve(tunnels_);
  if (!policy.prefix_v4) return;
  const auto whole = net::v4_mapped(*policy.prefix_v4);
  pool_v4_.emplace(whole, kAddressLength);
  const auto last = policy.prefix_v4->address.to_uint() | (0xffffffffU >> policy.prefix_v4->length);
  // The first and the last one mean the network and all of it to many systems.
  pool_v4_->reserve({whole.address, kAddressLength});
  pool_v4_->reserve(single(broker_address_v4()));
  pool_v4_->reserve(single(boost::asio::ip::address_v4(last)));
}

boost::asio::ip::address_v4 LeaseBook::broker_address_v4() const {
  if (!policy_.prefix_v4) return {};
  return boost::asio::ip::address_v4(policy_.prefix_v4->address.to_uint() + 1);
}

boost::system::result<LeaseBook> LeaseBook::load(Store& store, const LeasePolicy& policy) {
  const auto loaded = store.load_leases();
  if (!loaded) return loaded.error();
  LeaseBook book(store, policy);
  book.skipped_ = loaded->corrupt;
  book.next_id_ = loaded->highest_id + 1;
  std::uint32_t highest = kFirstIdentifier - 1;
  for (Lease lease : loaded->leases) {
    if (!book.can_serve(lease)) {
      ++book.skipped_;
      continue;
    }
    // Of another prefix_v4, or none any more: it gets one again when it asks.
    if (lease.address_v4 && !(book.pool_v4_ && book.pool_v4_->is_free(single(*lease.address_v4))))
      lease.address_v4.reset();
    if (const auto number = book.identifier(lease.address)) highest = std::max(highest, *number);
    book.replace(lease.id, lease);
  }
  book.cursor_ = highest < policy.last_identifier ? highest + 1 : kFirstIdentifier;
  return book;
}

net::AddressV6 LeaseBook::broker_address() const {
  return address_of(1);
}

net::AddressV6 LeaseBook::address_of(std::uint32_t identifier) const {
  auto bytes = tunnels_.address.to_bytes();
  for (std::size_t i = 0; i < 4; ++i) bytes[15 - i] = static_cast<unsigned char>(identifier >> (8 * i));
  return net::AddressV6(bytes);
}

std::optional<std::uint32_t> LeaseBook::identifier(const net::AddressV6& address) const {
  const auto bytes = address.to_bytes();
  std::uint32_t value = 0;
  for (std::size_t i = 12; i < 16; ++i) value = value << 8 | bytes[i];
  if (value < kFirstIdentifier || value > policy_.last_identifier || address_of(value) != address)
    return std::nullopt;
  return value;
}

std::optional<std::uint32_t> LeaseBook::free_identifier() const {
  if (used_count_ == policy_.last_identifier - kFirstIdentifier + 1) return std::nullopt;
  std::uint32_t candidate = cursor_;
  while (used_[candidate])
    candidate = candidate == policy_.last_identifier ? kFirstIdentifier : candidate + 1;
  return candidate;
}

bool LeaseBook::can_serve(const Lease& lease) const {
  if (lease.wireguard_key && by_key_.contains(*lease.wireguard_key)) return false;
  if (!lease.user.empty() && by_user_[is_v4_inside(lease.mode)].contains(lease.user)) return false;
  if (is_v4_inside(lease.mode)) {
    if (!pool_v4_ || !pool_v4_->is_free({lease.address, kAddressLength})) return false;
    return !lease.prefix || (pool_v4_->is_free(*lease.prefix) && !lease.prefix->contains(lease.address));
  }
  const auto number = identifier(lease.address);
  if (!number || used_[*number]) return false;
  return !lease.prefix || pool_.is_free(*lease.prefix);
}

void LeaseBook::add_to_indexes(const Lease& lease) {
  if (is_v4_inside(lease.mode)) {
    pool_v4_->reserve({lease.address, kAddressLength});
  } else {
    used_[*identifier(lease.address)] = true;
    ++used_count_;
  }
  if (lease.prefix) pool_of(lease.mode).reserve(*lease.prefix);
  if (lease.address_v4) pool_v4_->reserve(single(*lease.address_v4));
  if (lease.wireguard_key) by_key_[*lease.wireguard_key] = lease.id;
  if (lease.user.empty()) {
    ++anonymous_[lease.outer_address];
  } else {
    by_user_[is_v4_inside(lease.mode)][lease.user] = lease.id;
  }
}

void LeaseBook::remove_from_indexes(const Lease& lease) {
  if (is_v4_inside(lease.mode)) {
    pool_v4_->release({lease.address, kAddressLength});
  } else {
    used_[*identifier(lease.address)] = false;
    --used_count_;
  }
  if (lease.prefix) pool_of(lease.mode).release(*lease.prefix);
  if (lease.address_v4) pool_v4_->release(single(*lease.address_v4));
  if (lease.wireguard_key) by_key_.erase(*lease.wireguard_key);
  if (!lease.user.empty()) {
    by_user_[is_v4_inside(lease.mode)].erase(lease.user);
  } else if (const auto held = anonymous_.find(lease.outer_address); --held->second == 0) {
    anonymous_.erase(held);
  }
}

void LeaseBook::replace(std::int64_t id, std::optional<Lease> after) {
  ++revision_;
  if (const auto before = leases_.find(id); before != leases_.end()) {
    remove_from_indexes(before->second);
    if (!after) leases_.erase(before);
  }
  if (!after) return;
  add_to_indexes(*after);
  leases_.insert_or_assign(id, std::move(*after));
}

std::optional<net::AddressV6> LeaseBook::choose_address(LeaseMode mode) {
  if (!is_v4_inside(mode)) {
    const auto number = free_identifier();
    return number ? std::optional(address_of(*number)) : std::nullopt;
  }
  if (!pool_v4_) return std::nullopt;
  const auto chosen = pool_v4_->allocate(kAddressLength);
  if (!chosen) return std::nullopt;
  pool_v4_->release(*chosen);
  return chosen->address;
}

std::optional<net::Prefix> LeaseBook::choose_prefix(const Lease& lease, int length) {
  auto& pool = pool_of(lease.mode);
  // A new IPv4 address comes out of the same pool; one that is held is taken there already.
  const net::Prefix address{lease.address, kAddressLength};
  const bool is_new = is_v4_inside(lease.mode) && pool.reserve(address);
  // What is held goes back first: a shorter prefix may be the one around it when the pool is full.
  if (lease.prefix) pool.release(*lease.prefix);
  const auto chosen = pool.allocate(length);
  if (chosen) pool.release(*chosen);
  if (lease.prefix) pool.reserve(*lease.prefix);
  if (is_new) pool.release(address);
  return chosen;
}

boost::system::result<int> LeaseBook::wanted_length(const LeaseRequest& request, const Lease* held) const {
  if (request.prefix_length == 0) return 0;
  if (request.user.empty() && !policy_.anonymous_prefix) return LeaseError::kPrefixNotForAnonymous;
  const bool is_v4 = is_v4_inside(request.mode);
  const int shortest = is_v4 ? policy_.shortest_delegation_v4 : policy_.shortest_delegation;
  const int longest = is_v4 ? policy_.longest_delegation_v4 : policy_.longest_delegation;
  const int whole = is_v4 ? policy_.prefix_v4->length : policy_.prefix.length;
  int length = request.prefix_length;
  if (length == LeaseRequest::kAnyLength) {
    if (held != nullptr && held->prefix) return 0;
    length = is_v4 ? std::clamp(kTwoMachines, shortest, longest) : longest;
  }
  if (length < shortest || length > longest || length <= whole) return LeaseError::kPrefixLength;
  return is_v4 ? length + kMappedBits : length;
}

const Lease* LeaseBook::held_by(const LeaseRequest& request) const {
  if (!request.user.empty()) return find_user(request.user, request.mode);
  const Lease* lease = request.wireguard_key ? find_key(*request.wireguard_key) : nullptr;
  return lease && lease->user.empty() ? lease : nullptr;
}

boost::system::result<Lease> LeaseBook::draft(const LeaseRequest& request, WallSeconds now) {
  // Mode v4v6 is not offered without a pool; who asks all the same finds nothing left.
  if (is_v4_inside(request.mode) && !pool_v4_) return LeaseError::kNoAddressLeft;
  const Lease* held = held_by(request);
  if (request.wireguard_key) {
    const Lease* holder = find_key(*request.wireguard_key);
    if (holder != nullptr && holder != held) return LeaseError::kKeyInUse;
  }
  const auto length = wanted_length(request, held);
  if (!length) return length.error();
  Lease lease;
  if (held != nullptr) {
    lease = *held;
  } else {
    if (request.user.empty()) {
      const auto count = anonymous_.find(request.outer_address);
      if (count != anonymous_.end() && count->second >= policy_.anonymous_per_address) {
        return LeaseError::kTooManyForAddress;
      }
    }
    const auto address = choose_address(request.mode);
    if (!address) return LeaseError::kNoAddressLeft;
    lease.id = next_id_;
    lease.user = request.user;
    lease.address = *address;
    lease.created = now;
  }
  lease.mode = request.mode;
  lease.wireguard_key = request.wireguard_key;
  if (lease.mode == LeaseMode::kWireguard && pool_v4_ && !lease.address_v4) {
    if (const auto chosen = choose_address(LeaseMode::kV4V6))
      lease.address_v4 = boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, *chosen);
  }
  if (*length != 0 && (!lease.prefix || lease.prefix->length != *length)) {
    const auto prefix = choose_prefix(lease, *length);
    if (!prefix) return LeaseError::kNoPrefixLeft;
    lease.prefix = prefix;
  }
  if (request.name_servers) lease.name_servers = *request.name_servers;
  lease.outer_address = request.outer_address;
  lease.outer_port = request.outer_port;
  lease.last_seen = now;
  return lease;
}

boost::system::result<Lease> LeaseBook::acquire(const LeaseRequest& request, WallSeconds now) {
  const auto lease = draft(request, now);
  if (!lease) return lease.error();
  if (!leases_.contains(lease->id)) {
    next_id_ = lease->id + 1;
    if (const auto number = identifier(lease->address))
      cursor_ = *number == policy_.last_identifier ? kFirstIdentifier : *number + 1;
  }
  change(lease->id, *lease);
  return lease;
}

bool LeaseBook::release(std::int64_t id) {
  if (!leases_.contains(id)) return false;
  change(id, std::nullopt);
  return true;
}

void LeaseBook::change(std::int64_t id, std::optional<Lease> after) {
  const auto before = leases_.find(id);
  changes_.push_back({id, before == leases_.end() ? std::nullopt : std::optional(before->second)});
  writes_.push_back({id, after});
  replace(id, std::move(after));
}

LeaseBatch LeaseBook::take_batch() {
  LeaseBatch batch;
  batch.writes = std::exchange(writes_, {});
  under_way_ = changes_.size();
  is_under_way_ = true;
  const auto count = std::min(activity_.size(), kMostActivity);
  const auto rest = activity_.end() - static_cast<std::ptrdiff_t>(count);
  activity_under_way_.assign(rest, activity_.end());
  activity_.erase(rest, activity_.end());
  if (activity_.empty()) activity_.shrink_to_fit();
  batch.last_seen = activity_under_way_;
  return batch;
}

LeasesWritten LeaseBook::write(Store& store, const LeaseBatch& batch) {
  LeasesWritten outcome;
  if (batch.is_empty()) return outcome;
  outcome.error = store.begin();
  if (outcome.error) return outcome;
  const auto fail = [&](const error_code& error) {
    store.rollback();
    return LeasesWritten{error, {}};
  };
  for (const auto& [id, lease] : batch.writes) {
    const auto error = lease ? store.put_lease(*lease) : store.delete_lease(id);
    if (error.category() == store_category() && error.value() == SQLITE_CONSTRAINT_FOREIGNKEY) {
      // Only this statement failed.
      outcome.lack_users.push_back(id);
    } else if (error) {
      return fail(error);
    }
  }
  for (const auto& [id, when] : batch.last_seen) {
    if (const auto error = store.put_last_seen(id, when)) return fail(error);
  }
  outcome.error = store.commit();
  if (outcome.error) outcome.lack_users.clear();
  return outcome;
}

void LeaseBook::written(const LeasesWritten& outcome) {
  is_under_way_ = false;
  if (under_way_ > 0) lacked_users_ = outcome.lack_users;
  if (outcome.error) {
    activity_.insert(activity_.end(), activity_under_way_.begin(), activity_under_way_.end());
    merge_activity();
    undo();
    return;
  }
  activity_under_way_ = {};
  changes_.erase(changes_.begin(), changes_.begin() + static_cast<std::ptrdiff_t>(under_way_));
  if (changes_.empty()) changes_.shrink_to_fit();
  under_way_ = 0;
  for (const auto id : lacked_users_) {
    replace(id, std::nullopt);
    for (auto& later : changes_) {
      if (later.id == id) later.before.reset();
    }
  }
}

error_code LeaseBook::commit() {
  while (has_unwritten()) {
    const auto outcome = write(*store_, take_batch());
    written(outcome);
    if (outcome.error) return outcome.error;
  }
  return {};
}

void LeaseBook::rollback() {
  undo();
}

void LeaseBook::undo() {
  std::unordered_map<std::int64_t, WallSeconds> heard;
  if (!changes_.empty()) heard.insert(activity_.begin(), activity_.end());
  for (auto change = changes_.rbegin(); change != changes_.rend(); ++change) {
    if (change->before) {
      // That its client was heard is true whatever became of the batch.
      if (const auto seen = heard.find(change->id); seen != heard.end())
        change->before->last_seen = std::max(change->before->last_seen, seen->second);
    }
    replace(change->id, std::move(change->before));
  }
  changes_.clear();
  writes_.clear();
  under_way_ = 0;
}

bool LeaseBook::lacked_user(std::int64_t id) const {
  return std::find(lacked_users_.begin(), lacked_users_.end(), id) != lacked_users_.end();
}

void LeaseBook::touch(std::int64_t id, WallSeconds now) {
  const auto lease = leases_.find(id);
  if (lease == leases_.end()) return;
  // Later than its creation, also within the same second: it has been used.
  const auto seen = std::max(now, lease->second.created + 1);
  if (lease->second.last_seen == seen) return;
  lease->second.last_seen = seen;
  activity_.emplace_back(id, seen);
  // What cannot be written for long must not grow.
  if (activity_.size() > 2 * leases_.size() + kMostActivity) merge_activity();
}

void LeaseBook::merge_activity() {
  std::sort(activity_.begin(), activity_.end());
  std::vector<std::pair<std::int64_t, WallSeconds>> latest;
  for (const auto& entry : activity_) {
    if (!latest.empty() && latest.back().first == entry.first) latest.pop_back();
    latest.push_back(entry);
  }
  activity_ = std::move(latest);
}

std::vector<std::int64_t> LeaseBook::expired(WallSeconds now, std::size_t limit) const {
  std::vector<std::int64_t> ids;
  for (const auto& [id, lease] : leases_) {
    if (ids.size() >= limit) break;
    if (!lease.user.empty()) continue;
    // Taken and never used: by a forged source address, or a client that went away at once.
    const bool is_unused = lease.last_seen == lease.created;
    const auto lifetime =
        is_unused ? std::min(policy_.anonymous_lifetime, kUnusedLifetime) : policy_.anonymous_lifetime;
    if (now - lease.last_seen >= lifetime) ids.push_back(id);
  }
  return ids;
}

std::optional<std::int64_t> LeaseBook::stalest_anonymous(const boost::asio::ip::address& outer_address,
                                                         WallSeconds silent_since) const {
  std::optional<std::int64_t> stalest;
  WallSeconds last_seen = silent_since;
  for (const auto& [id, lease] : leases_) {
    if (!lease.user.empty() || lease.outer_address != outer_address || lease.last_seen >= last_seen) continue;
    stalest = id;
    last_seen = lease.last_seen;
  }
  return stalest;
}

boost::system::result<std::vector<std::int64_t>> LeaseBook::orphaned() {
  const auto stored = store_->lease_ids();
  if (!stored) return stored.error();
  std::unordered_set<std::int64_t> known(stored->begin(), stored->end());
  for (const auto& change : changes_) known.insert(change.id);  // the store may not have them yet
  std::vector<std::int64_t> ids;
  for (const auto& [id, lease] : leases_) {
    if (!known.contains(id)) ids.push_back(id);
  }
  return ids;
}

const Lease* LeaseBook::find(std::int64_t id) const {
  const auto lease = leases_.find(id);
  return lease == leases_.end() ? nullptr : &lease->second;
}

const Lease* LeaseBook::find_user(const std::string& user, LeaseMode mode) const {
  const auto& users = by_user_[is_v4_inside(mode)];
  const auto id = users.find(user);
  return id == users.end() ? nullptr : find(id->second);
}

const Lease* LeaseBook::find_key(const pki::WireguardKey& key) const {
  const auto id = by_key_.find(key);
  return id == by_key_.end() ? nullptr : find(id->second);
}

std::vector<Lease> LeaseBook::all() const {
  std::vector<Lease> leases;
  leases.reserve(leases_.size());
  for (const auto& [id, lease] : leases_) leases.push_back(lease);
  return leases;
}

std::size_t LeaseBook::size() const {
  return leases_.size();
}

std::size_t LeaseBook::skipped() const {
  return skipped_;
}

}  // namespace sixlink::registry
