// SPDX-License-Identifier: BSD-3-Clause
// A thread of the datapath.
#include "src/datapath/lane_thread.h"

#include <poll.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "platform/platform.h"

namespace sixlink::datapath {

LaneThread::LaneThread(std::vector<int> descriptors, bool is_urgent, Work work)
    : descriptors_(std::move(descriptors)),
      is_urgent_(is_urgent),
      work_(std::move(work)),
      is_enabled_(descriptors_.size(), true) {
  // Signals are the control thread's.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void LaneThread::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    has_order_ = true;
  }
  wake_.wake();
  thread_.join();
}

void LaneThread::set_enabled(std::size_t i, bool is_enabled) {
  if (!thread_.joinable()) return;
  std::unique_lock lock(mutex_);
  is_enabled_[i] = is_enabled;
  has_order_ = true;
  wake_.wake();
  obeyed_.wait(lock, [this] { return !has_order_; });
}

bool LaneThread::obey(std::vector<pollfd>& waiting) {
  wake_.clear();
  const std::lock_guard lock(mutex_);
  // poll() passes negative descriptors over.
  for (std::size_t i = 0; i < descriptors_.size(); ++i) waiting[i].fd = is_enabled_[i] ? descriptors_[i] : -1;
  has_order_ = false;
  obeyed_.notify_all();
  return !is_stopping_;
}

void LaneThread::run() {
  if (is_urgent_) platform::hurry_thread();
  std::vector<pollfd> waiting;
  for (const int fd : descriptors_) waiting.push_back({fd, POLLIN, 0});
  waiting.push_back({wake_.fd(), POLLIN, 0});
  std::vector<bool> has_more(descriptors_.size());
  bool is_waiting = true;
  for (;;) {
    if (::poll(waiting.data(), static_cast<nfds_t>(waiting.size()), is_waiting ? -1 : 0) < 0) {
      if (errno == EINTR || errno == EAGAIN || errno == ENOMEM) continue;
      std::abort();  // only a mistake of ours is left
    }
    if (waiting.back().revents != 0 && !obey(waiting)) return;
    is_waiting = true;
    for (std::size_t i = 0; i < descriptors_.size(); ++i) {
      if (waiting[i].fd < 0 || (waiting[i].revents == 0 && !has_more[i])) continue;
      const auto turn = work_(i);
      has_more[i] = turn == Turn::kMore;
      if (has_more[i]) is_waiting = false;
      if (turn == Turn::kEnded) end(i, waiting);
    }
  }
}

void LaneThread::end(std::size_t i, std::vector<pollfd>& waiting) {
  const std::lock_guard lock(mutex_);
  descriptors_[i] = -1;
  waiting[i].fd = -1;
}

}  // namespace sixlink::datapath
