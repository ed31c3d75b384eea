// SPDX-License-Identifier: BSD-3-Clause
// Makes the lease book's changes durable without stopping the event loop: one batch is written on another
// thread while the next one is made. The slower the disk, the more sessions share a write.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "registry/lease/lease_book.h"

namespace sixlink::registry {

class GroupCommit {
 public:
  using Done = std::function<void(const boost::system::error_code&)>;
  struct Counters {
    std::uint64_t batches = 0;
    std::uint64_t changes = 0;  // of leases
    std::size_t largest = 0;    // batch
    std::chrono::microseconds spent{0};
    std::chrono::microseconds longest{0};
  };

  // All methods are for the thread of `loop`; batches are written on `worker`, one at a time. It may be the
  // same. `book` and `store` outlive the object, and `worker` runs until it is gone.
  GroupCommit(boost::asio::any_io_executor loop, boost::asio::any_io_executor worker, LeaseBook& book,
              Store& store);
  GroupCommit(const GroupCommit&) = delete;
  GroupCommit& operator=(const GroupCommit&) = delete;
  // Waits for a batch that is being written; nobody is told of it.
  ~GroupCommit();

  // Later, `done` is called with what became of all that changed up to now. A failure has taken all changes
  // back, those that were made since as well.
  void commit(Done done);
  // The same for last_seen times: as many batches as they need, behind those of others. Nobody is told but
  // of a failure.
  void save_activity(Done failed);
  // All of that, and everybody told, before it returns.
  boost::system::error_code finish();
  const Counters& counters() const { return counters_; }

 private:
  struct Job;

  void start();
  // The job is done, unless finish() was faster.
  void finish_job(const std::shared_ptr<Job>& job);
  void count(const Job& job);

  boost::asio::any_io_executor loop_;
  boost::asio::any_io_executor worker_;
  LeaseBook& book_;
  Store& store_;
  std::shared_ptr<Job> job_;   // under way
  std::vector<Done> told_;     // of that job
  std::vector<Done> waiting_;  // of the next
  Done activity_failed_;       // null: no activity is to be saved
  Counters counters_;
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);  // for jobs that end when this has
};

}  // namespace sixlink::registry
