// SPDX-License-Identifier: BSD-3-Clause
// Makes the lease book's changes durable without stopping the event loop.
#include "registry/lease/group_commit.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace sixlink::registry {

namespace asio = boost::asio;
using boost::system::error_code;
using std::chrono::microseconds;

struct GroupCommit::Job {
  LeaseBatch batch;
  LeasesWritten outcome;
  microseconds took{0};

  // By the first caller; the others wait until it is done.
  void run(Store& store) {
    std::unique_lock lock(mutex_);
    if (state_ == State::kWaiting) {
      state_ = State::kRunning;
      lock.unlock();
      const auto start = std::chrono::steady_clock::now();
      outcome = LeaseBook::write(store, batch);
      took = std::chrono::duration_cast<microseconds>(std::chrono::steady_clock::now() - start);
      lock.lock();
      state_ = State::kDone;
      changed_.notify_all();
    }
    changed_.wait(lock, [this] { return state_ == State::kDone; });
  }

 private:
  enum class State { kWaiting, kRunning, kDone };
  std::mutex mutex_;
  std::condition_variable changed_;
  State state_ = State::kWaiting;
};

GroupCommit::GroupCommit(asio::any_io_executor loop, asio::any_io_executor worker, LeaseBook& book,
                         Store& store)
    : loop_(std::move(loop)), worker_(std::move(worker)), book_(book), store_(store) {}

GroupCommit::~GroupCommit() {
  if (job_) job_->run(store_);
}

void GroupCommit::commit(Done done) {
  waiting_.push_back(std::move(done));
  if (!job_) start();
}

void GroupCommit::save_activity(Done failed) {
  activity_failed_ = std::move(failed);
  if (!job_) start();
}

void GroupCommit::start() {
  job_ = std::make_shared<Job>();
  job_->batch = book_.take_batch();
  told_ = std::exchange(waiting_, {});
  asio::post(worker_,
             [this, job = job_, &store = store_, loop = loop_, is_alive = std::weak_ptr<bool>(is_alive_)] {
               job->run(store);
               asio::post(loop, [this, job, is_alive] {
                 if (!is_alive.expired()) finish_job(job);
               });
             });
}

void GroupCommit::finish_job(const std::shared_ptr<Job>& job) {
  if (job != job_) return;
  job_.reset();
  const auto& error = job->outcome.error;
  count(*job);
  book_.written(job->outcome);
  auto told = std::exchange(told_, {});
  if (error) {
    // What was changed since is taken back as well.
    for (auto& done : std::exchange(waiting_, {})) told.push_back(std::move(done));
    if (const auto failed = std::exchange(activity_failed_, {})) told.push_back(failed);
  } else if (!book_.has_unwritten()) {
    activity_failed_ = {};
  }
  // The disk is not to wait until all are told.
  if (!waiting_.empty() || activity_failed_) start();
  for (const auto& done : told) done(error);
}

void GroupCommit::count(const Job& job) {
  if (job.batch.is_empty() || job.outcome.error) return;
  ++counters_.batches;
  counters_.changes += job.batch.writes.size();
  counters_.largest = std::max(counters_.largest, job.batch.writes.size());
  counters_.spent += job.took;
  counters_.longest = std::max(counters_.longest, job.took);
}

error_code GroupCommit::finish() {
  while (job_ || !waiting_.empty() || book_.has_unwritten()) {
    if (!job_) start();
    const auto job = job_;
    job->run(store_);
    finish_job(job);
    if (job->outcome.error) return job->outcome.error;
  }
  return {};
}

}  // namespace sixlink::registry
