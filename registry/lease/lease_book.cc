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
      case LeaseError::kStore:
        return "the database failed";
      case LeaseError::kUserDeleted:
        return "the user does not exist any more";
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
}

boost::system::result<LeaseBook> LeaseBook::load(Store& store, const LeasePolicy& policy) {
  const auto loaded = store.load_leases();
  if (!loaded) return loaded.error();
  LeaseBook book(store, policy);
  book.skipped_ = loaded->corrupt;
  book.next_id_ = loaded->highest_id + 1;
  std::uint32_t highest = kFirstIdentifier - 1;
  for (const Lease& lease : loaded->leases) {
    if (!book.can_serve(lease)) {
      ++book.skipped_;
      continue;
    }
    highest = std::max(highest, *book.identifier(lease.address));
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
  const auto number = identifier(lease.address);
  if (!number || used_[*number]) return false;
  if (!lease.user.empty() && by_user_.contains(lease.user)) return false;
  return !lease.prefix || pool_.is_free(*lease.prefix);
}

void LeaseBook::add_to_indexes(const Lease& lease) {
  used_[*identifier(lease.address)] = true;
  ++used_count_;
  if (lease.prefix) pool_.reserve(*lease.prefix);
  if (lease.user.empty()) {
    ++anonymous_[lease.outer_address];
  } else {
    by_user_[lease.user] = lease.id;
  }
}

void LeaseBook::remove_from_indexes(const Lease& lease) {
  used_[*identifier(lease.address)] = false;
  --used_count_;
  if (lease.prefix) pool_.release(*lease.prefix);
  if (!lease.user.empty()) {
    by_user_.erase(lease.user);
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

std::optional<net::Prefix> LeaseBook::choose_prefix(const std::optional<net::Prefix>& held, int length) {
  // What is held goes back first: a shorter prefix may be the one around it when the pool is full.
  if (held) pool_.release(*held);
  const auto chosen = pool_.allocate(length);
  if (chosen) pool_.release(*chosen);
  if (held) pool_.reserve(*held);
  return chosen;
}

error_code LeaseBook::check_prefix_length(const LeaseRequest& request) const {
  if (request.prefix_length == 0) return {};
  if (request.user.empty() && !policy_.anonymous_prefix) return LeaseError::kPrefixNotForAnonymous;
  if (request.prefix_length < policy_.shortest_delegation ||
      request.prefix_length > policy_.longest_delegation || request.prefix_length <= policy_.prefix.length) {
    return LeaseError::kPrefixLength;
  }
  return {};
}

boost::system::result<Lease> LeaseBook::draft(const LeaseRequest& request, WallSeconds now) {
  if (const auto error = check_prefix_length(request)) return error;
  const Lease* held = request.user.empty() ? nullptr : find_user(request.user);
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
    const auto number = free_identifier();
    if (!number) return LeaseError::kNoAddressLeft;
    lease.id = next_id_;
    lease.user = request.user;
    lease.address = address_of(*number);
    lease.created = now;
  }
  if (request.prefix_length != 0 && (!lease.prefix || lease.prefix->length != request.prefix_length)) {
    const auto prefix = choose_prefix(lease.prefix, request.prefix_length);
    if (!prefix) return LeaseError::kNoPrefixLeft;
    lease.prefix = prefix;
  }
  if (request.name_servers) lease.name_servers = *request.name_servers;
  lease.mode = request.mode;
  lease.outer_address = request.outer_address;
  lease.outer_port = request.outer_port;
  lease.last_seen = now;
  return lease;
}

boost::system::result<Lease> LeaseBook::acquire(const LeaseRequest& request, WallSeconds now) {
  const auto lease = draft(request, now);
  if (!lease) return lease.error();
  if (const auto error = ensure_batch()) return error;
  if (const auto error = store_->put_lease(*lease)) {
    if (error.category() != store_category() || error.value() != SQLITE_CONSTRAINT_FOREIGNKEY)
      return fail(error);
    // Only this statement failed. Without other changes, holding the write lock serves nobody.
    if (changes_.empty()) rollback();
    return LeaseError::kUserDeleted;
  }
  const auto before = leases_.find(lease->id);
  if (before == leases_.end()) {
    changes_.push_back({lease->id, std::nullopt});
    next_id_ = lease->id + 1;
    const std::uint32_t number = *identifier(lease->address);
    cursor_ = number == policy_.last_identifier ? kFirstIdentifier : number + 1;
  } else {
    changes_.push_back({lease->id, before->second});
  }
  replace(lease->id, *lease);
  return lease;
}

boost::system::result<bool> LeaseBook::release(std::int64_t id) {
  const auto held = leases_.find(id);
  if (held == leases_.end()) return false;
  if (const auto error = ensure_batch()) return {boost::system::in_place_error, error};
  if (const auto error = store_->delete_lease(id)) return {boost::system::in_place_error, fail(error)};
  changes_.push_back({id, held->second});
  replace(id, std::nullopt);
  return true;
}

error_code LeaseBook::ensure_batch() {
  if (in_batch_) return {};
  if (const auto error = store_->begin()) {
    store_error_ = error;
    return LeaseError::kStore;
  }
  in_batch_ = true;
  cursor_before_ = cursor_;
  return {};
}

error_code LeaseBook::fail(const error_code& reason) {
  store_error_ = reason;
  rollback();
  return LeaseError::kStore;
}

error_code LeaseBook::commit() {
  if (!in_batch_) return {};
  if (const auto error = store_->commit()) {
    undo();
    return error;
  }
  in_batch_ = false;
  changes_.clear();
  return {};
}

void LeaseBook::rollback() {
  if (!in_batch_) return;
  store_->rollback();
  undo();
}

void LeaseBook::undo() {
  for (auto change = changes_.rbegin(); change != changes_.rend(); ++change) {
    if (change->before) {
      // That its client was heard is true whatever became of the batch.
      const auto heard = activity_.find(change->id);
      if (heard != activity_.end())
        change->before->last_seen = std::max(change->before->last_seen, heard->second);
    }
    replace(change->id, std::move(change->before));
  }
  changes_.clear();
  cursor_ = cursor_before_;
  in_batch_ = false;
}

bool LeaseBook::has_uncommitted() const {
  return in_batch_;
}

void LeaseBook::touch(std::int64_t id, WallSeconds now) {
  const auto lease = leases_.find(id);
  if (lease == leases_.end()) return;
  // Later than its creation, also within the same second: it has been used.
  const auto seen = std::max(now, lease->second.created + 1);
  if (lease->second.last_seen == seen) return;
  lease->second.last_seen = seen;
  activity_[id] = seen;
}

error_code LeaseBook::save_activity() {
  if (activity_.empty()) return commit();
  if (ensure_batch()) return store_error_;
  for (const auto& [id, when] : activity_) {
    const auto lease = leases_.find(id);
    if (lease == leases_.end()) continue;
    if (const auto error = store_->put_last_seen(id, lease->second.last_seen)) {
      rollback();
      return error;
    }
  }
  const auto error = commit();
  if (!error) activity_.clear();
  return error;
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
  const std::unordered_set<std::int64_t> known(stored->begin(), stored->end());
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

const Lease* LeaseBook::find_user(const std::string& user) const {
  const auto id = by_user_.find(user);
  return id == by_user_.end() ? nullptr : find(id->second);
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
