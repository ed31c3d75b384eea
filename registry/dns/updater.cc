// SPDX-License-Identifier: BSD-3-Clause
// Keeps DNS as the leases call for it.
#include "registry/dns/updater.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "platform/platform.h"
#include "registry/dns/record_plan.h"

namespace sixlink::registry::dns {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// How soon a change of the leases is seen. Changes of one such time share an update.
constexpr std::chrono::seconds kPoll{1};
// Planning costs time in proportion to the leases; it may take a twentieth of ours.
constexpr int kPlanningShare = 20;
constexpr std::chrono::seconds kStoreRetry{10};
// The server's refusals of removals from a zone that is no longer configured, before they are given up.
constexpr int kForeignAttempts = 8;

WallSeconds wall_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Updater::Updater(asio::io_context& io, const Settings& settings, Store& store, LeaseBook& book,
                 spdlog::logger& log, Send send)
    : settings_(settings),
      store_(store),
      book_(book),
      log_(log),
      send_(std::move(send)),
      timer_(io),
      queue_(platform::random_number<std::uint32_t>()) {}

void Updater::stop() {
  is_stopping_ = true;
  timer_.cancel();
}

void Updater::retry_now() {
  queue_.retry_now();
  is_stale_ = true;
  next_plan_ = Clock::time_point::min();
  timer_.cancel();
}

asio::awaitable<void> Updater::run() {
  if (!settings_.publishes()) {
    const auto left = store_.dns_records();
    if (left && !left->empty())
      log_.warn(
          "{} records were published in DNS and stay there, since dns_update_server is not set any more",
          left->size());
    co_return;
  }
  if (const auto problem = key_file_problem(settings_.update_key); !problem.empty()) log_.warn("{}", problem);
  while (!is_stopping_) {
    refresh(Clock::now());
    const auto batch = is_loaded_ && Clock::now() >= store_retry_ ? queue_.next(Clock::now()) : std::nullopt;
    if (batch) {
      co_await send(*batch);
      continue;
    }
    auto wake = Clock::now() + kPoll;
    // A due time that has passed waits for the store.
    if (const auto due = queue_.next_due(); due && *due > Clock::now()) wake = std::min(wake, *due);
    timer_.expires_at(wake);
    co_await timer_.async_wait(kAwait);
  }
}

bool Updater::load() {
  auto records = store_.dns_records();
  if (!records) {
    store_failed(records.error());
    return false;
  }
  auto zones = store_.dns_zones();
  if (!zones) {
    store_failed(zones.error());
    return false;
  }
  published_ = *std::move(records);
  zones_ = *std::move(zones);
  is_loaded_ = true;
  is_stale_ = true;
  return true;
}

void Updater::refresh(Clock::time_point now) {
  if (now < store_retry_) return;
  const auto version = store_.data_version();
  if (!version) return store_failed(version.error());
  if (!is_loaded_ || *version != data_version_) {
    if (!load()) return;
    data_version_ = *version;
  }
  if (book_.revision() != revision_) is_stale_ = true;
  if (!is_stale_ || now < next_plan_) return;
  revision_ = book_.revision();
  is_stale_ = false;
  queue_.set(plan_changes(wanted_records(settings_, book_.leases()), published_,
                          static_cast<int>(settings_.ttl.count())));
  const auto ended = Clock::now();
  next_plan_ = ended + std::max<Clock::duration>(kPoll, (ended - now) * kPlanningShare);
}

asio::awaitable<void> Updater::send(const UpdateQueue::Batch& batch) {
  if (!announce(batch)) co_return;
  // On lines of their own: gcc 12 destroys temporaries of a co_await expression twice.
  auto script = update_script(settings_, batch.zone, batch.changes);
  std::function<bool()> is_stopping = [this] { return is_stopping_; };
  auto sending = send_(settings_.update_key, std::move(script), std::move(is_stopping));
  const auto result = co_await std::move(sending);
  if (is_stopping_ && !result.has_succeeded) co_return;
  if (result.has_succeeded) {
    confirm(batch);
  } else {
    queue_.failed(batch, result.was_answered ? result.failure : UpdateQueue::Failure::kZone, Clock::now());
    record_failure(batch, result);
  }
}

bool Updater::announce(const UpdateQueue::Batch& batch) {
  if (!begin()) return false;
  error_code error;
  const int ttl = static_cast<int>(settings_.ttl.count());
  for (const auto& change : batch.changes) {
    // A removal stands there already, and counts as there until it is answered.
    if (change.is_addition && !error) error = store_.put_dns_record(change.record, {ttl, false});
  }
  if (!finish(error)) return false;
  for (const auto& change : batch.changes) {
    if (change.is_addition) published_.insert_or_assign(change.record, DnsRecordState{ttl, false});
  }
  return true;
}

void Updater::confirm(const UpdateQueue::Batch& batch) {
  if (!begin()) return;
  error_code error;
  const int ttl = static_cast<int>(settings_.ttl.count());
  for (const auto& [record, is_addition] : batch.changes) {
    if (error) break;
    error = is_addition ? store_.put_dns_record(record, {ttl, true}) : store_.delete_dns_record(record);
  }
  auto& status = zones_[batch.zone];
  const bool had_problem = !status.problem.empty();
  status.last_success = wall_now();
  status.problem.clear();
  if (!error) error = store_.put_dns_zone(batch.zone, status);
  if (!finish(error)) return;
  std::size_t added = 0;
  for (const auto& [record, is_addition] : batch.changes) {
    if (is_addition) {
      ++added;
      published_[record].is_confirmed = true;
    } else {
      published_.erase(record);
    }
  }
  queue_.succeeded(batch);
  log_.debug("DNS zone {}: {} records published, {} removed", batch.zone, added,
             batch.changes.size() - added);
  if (had_problem) log_.info("DNS zone {} can be updated again", batch.zone);
  if (!is_configured(batch.zone)) give_up_foreign_zone(batch.zone);
}

void Updater::record_failure(const UpdateQueue::Batch& batch, const UpdateResult& result) {
  auto& status = zones_[batch.zone];
  const bool is_new = status.problem != result.problem;
  status.last_failure = wall_now();
  status.problem = result.problem;
  if (is_new && failure_limit_.allow(Clock::now())) {
    log_.warn("cannot update the DNS zone {} on {}: {}; {} changes wait, it is tried again", batch.zone,
              settings_.update_server, result.problem, queue_.size());
  } else {
    log_.debug("DNS zone {}: {}", batch.zone, result.problem);
  }
  if (result.was_answered && !is_configured(batch.zone) && queue_.failures(batch.zone) >= kForeignAttempts)
    return give_up_foreign_zone(batch.zone);
  if (begin()) finish(store_.put_dns_zone(batch.zone, status));
}

// Nothing of it is wanted any more: what cannot be removed is forgotten.
void Updater::give_up_foreign_zone(const std::string& zone) {
  std::vector<DnsRecord> left;
  for (const auto& [record, state] : published_) {
    if (record.zone == zone) left.push_back(record);
  }
  // Removed or given up: one by one it comes here after each success.
  const bool was_refused = queue_.failures(zone) >= kForeignAttempts;
  if (!left.empty() && !was_refused) return;
  if (!begin()) return;
  error_code error = store_.delete_dns_zone(zone);
  for (const auto& record : left) {
    if (!error) error = store_.delete_dns_record(record);
  }
  if (!finish(error)) return;
  for (const auto& record : left) published_.erase(record);
  zones_.erase(zone);
  is_stale_ = true;
  if (!left.empty())
    log_.warn("{} records stay in the DNS zone {}, which is not configured any more and refuses updates",
              left.size(), zone);
}

bool Updater::begin() {
  if (const auto error = store_.begin()) {
    store_failed(error);
    return false;
  }
  return true;
}

bool Updater::finish(error_code error) {
  if (error) {
    store_.rollback();
  } else {
    error = store_.commit();
  }
  if (error) store_failed(error);
  return !error;
}

void Updater::store_failed(const error_code& error) {
  // What is in memory may differ from the store now.
  is_loaded_ = false;
  store_retry_ = Clock::now() + kStoreRetry;
  if (store_limit_.allow(Clock::now()))
    log_.error("names in DNS are not updated while the database fails: {}", error.message());
}

bool Updater::is_configured(const std::string& zone) const {
  return zone == settings_.user_zone ||
         std::find(settings_.reverse_zones.begin(), settings_.reverse_zones.end(), zone) !=
             settings_.reverse_zones.end();
}

}  // namespace sixlink::registry::dns
