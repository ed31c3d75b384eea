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
    : descriptors_(std::move(descriptors)), is_urgent_(is_urgent), work_(std::move(work)) {
  // Signals are the control thread's.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void LaneThread::give(Order order) {
  {
    const std::lock_guard lock(mutex_);
    order_ = order;
  }
  changed_.notify_all();
  wake_.wake();
}

void LaneThread::stop() {
  if (!thread_.joinable()) return;
  give(Order::kStop);
  thread_.join();
}

void LaneThread::pause() {
  if (!thread_.joinable()) return;
  give(Order::kPause);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return is_paused_; });
}

void LaneThread::resume() {
  if (thread_.joinable()) give(Order::kRun);
}

bool LaneThread::obey() {
  wake_.clear();
  std::unique_lock lock(mutex_);
  if (order_ == Order::kPause) {
    is_paused_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return order_ != Order::kPause; });
    is_paused_ = false;
  }
  return order_ != Order::kStop;
}

void LaneThread::run() {
  if (is_urgent_) platform::hurry_thread();
  std::vector<pollfd> waiting;
  for (const int fd : descriptors_) waiting.push_back({fd, POLLIN, 0});
  waiting.push_back({wake_.fd(), POLLIN, 0});
  std::vector<bool> has_more(descriptors_.size());
  bool is_idle = true;
  for (;;) {
    if (::poll(waiting.data(), static_cast<nfds_t>(waiting.size()), is_idle ? -1 : 0) < 0) {
      if (errno == EINTR || errno == EAGAIN || errno == ENOMEM) continue;
      std::abort();  // only a mistake of ours is left
    }
    if (waiting.back().revents != 0 && !obey()) return;
    is_idle = true;
    for (std::size_t i = 0; i < descriptors_.size(); ++i) {
      if (waiting[i].revents == 0 && !has_more[i]) continue;
      const auto turn = work_(i);
      has_more[i] = turn == Turn::kMore;
      if (has_more[i]) is_idle = false;
      if (turn == Turn::kEnded) waiting[i].fd = -1;  // poll() passes it over
    }
  }
}

}  // namespace sixlink::datapath
