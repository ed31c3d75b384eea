// SPDX-License-Identifier: BSD-3-Clause
// Keeps DNS as the leases call for it. It looks at the lease book by itself, so that nobody waits for it and
// nothing but the book has to tell it anything. What it is about to publish is in the store before it is
// sent, and leaves the store after it was removed, so that a crash or an outage at any moment leaves nothing
// behind for good.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <string>

#include "registry/dns/nsupdate.h"
#include "registry/dns/settings.h"
#include "registry/dns/update_queue.h"
#include "registry/lease/lease_book.h"
#include "registry/store/store.h"
#include "src/log/log.h"

namespace sixlink::registry::dns {

class Updater {
 public:
  // How an update is sent: run_nsupdate(), and in tests a DNS server of their own.
  using Send = std::function<boost::asio::awaitable<UpdateResult>(std::string key_file, std::string script,
                                                                  std::function<bool()> is_stopping)>;

  // The references outlive the updater.
  Updater(boost::asio::io_context& io, const Settings& settings, Store& store, LeaseBook& book,
          spdlog::logger& log, Send send = &run_nsupdate);

  // Ends after stop(); at once when nothing is to be published. An update that is going on ends with it.
  boost::asio::awaitable<void> run();
  void stop();
  // Looks at the leases at once, and tries again what is being waited for.
  void retry_now();

 private:
  using Clock = std::chrono::steady_clock;

  bool load();
  void refresh(Clock::time_point now);
  boost::asio::awaitable<void> send(const UpdateQueue::Batch& batch);
  bool announce(const UpdateQueue::Batch& batch);
  void confirm(const UpdateQueue::Batch& batch);
  void record_failure(const UpdateQueue::Batch& batch, const UpdateResult& result);
  void give_up_foreign_zone(const std::string& zone);
  // Begins a transaction of ours; false: it cannot, logged.
  bool begin();
  bool finish(boost::system::error_code error);
  void store_failed(const boost::system::error_code& error);
  bool is_configured(const std::string& zone) const;

  const Settings& settings_;
  Store& store_;
  LeaseBook& book_;
  spdlog::logger& log_;
  Send send_;
  boost::asio::steady_timer timer_;
  bool is_stopping_ = false;

  UpdateQueue queue_;
  DnsRecords published_;  // what the store has
  std::map<std::string, DnsZoneStatus> zones_;
  bool is_loaded_ = false;
  bool is_stale_ = true;  // the queue is to be planned anew
  std::uint64_t revision_ = 0;
  std::int64_t data_version_ = 0;
  Clock::time_point next_plan_ = Clock::time_point::min();
  Clock::time_point store_retry_ = Clock::time_point::min();
  log::RateLimit store_limit_{1, std::chrono::seconds(60)};
  log::RateLimit failure_limit_{5, std::chrono::seconds(60)};
};

}  // namespace sixlink::registry::dns
