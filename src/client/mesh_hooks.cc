// SPDX-License-Identifier: BSD-3-Clause
// The administrator's commands that run with a node.
#include "src/client/mesh_hooks.h"

#include <sys/wait.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <optional>

#include "src/log/log.h"
#include "src/tsp/status.h"
#include "src/tunnel/child_process.h"

namespace sixlink::client {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLook{500};
constexpr std::chrono::seconds kFirstPause{1};
constexpr std::chrono::seconds kLongestPause{60};
// A command that ran for so long has worked: its next start does not wait.
constexpr std::chrono::seconds kWorked{60};
constexpr std::chrono::seconds kPatience{2};
constexpr std::size_t kLongestLine = 500;

std::string how_it_ended(int status) {
  if (WIFEXITED(status)) return "ended with exit status " + std::to_string(WEXITSTATUS(status));
  return WIFSIGNALED(status) ? "was ended by signal " + std::to_string(WTERMSIG(status)) : "ended";
}

}  // namespace

//  running --ended, daemon=--> pausing --> running
//     |                           |
//     +--ended, up=; stop()-------+--> over
class MeshHooks::Command : public std::enable_shared_from_this<Command> {
 public:
  Command(asio::io_context& io, std::string key, std::string text, bool is_kept,
          const std::vector<std::string>& environment, spdlog::logger& log)
      : key_(std::move(key)),
        text_(std::move(text)),
        is_kept_(is_kept),
        environment_(environment),
        log_(log),
        output_(io),
        timer_(io) {}

  void run() {
    auto environment = environment_;
    environment.push_back("PATH=" + tunnel::child_search_path());
    auto child = tunnel::ChildProcess::start({"/bin/sh", "-c", text_}, std::move(environment), false);
    started_ = Clock::now();
    if (!child) {
      log_.error("{}= cannot be started: {}", key_, child.error().message());
      pause();
      return;
    }
    log_.info("{}= runs: {}", key_, text_);
    child_.emplace(std::move(*child));
    output_.assign(child_->release_channel());
    read();
    look();
  }

  void terminate() {
    is_kept_ = false;
    if (child_) {
      child_->terminate();
      kill_at_ = Clock::now() + kPatience;
      look();
    } else {
      over();
    }
  }

  bool is_over() const { return is_over_; }
  std::function<void()> on_over = [] {};

  // Nothing happens afterwards.
  void abandon() {
    is_over_ = true;
    on_over = [] {};
    timer_.cancel();
    boost::system::error_code ignored;
    output_.close(ignored);
    child_.reset();
  }

 private:
  void read() {
    output_.async_wait(asio::posix::stream_descriptor::wait_read,
                       [self = shared_from_this()](const boost::system::error_code& error) {
                         if (error || self->is_over_) return;
                         const bool goes_on =
                             tunnel::read_available(self->output_.native_handle(), self->partial_);
                         self->log_lines(!goes_on);
                         if (goes_on) {
                           self->read();
                         } else {
                           boost::system::error_code ignored;
                           self->output_.close(ignored);
                         }
                       });
  }

  void log_lines(bool is_end) {
    std::size_t at = 0;
    for (;;) {
      auto end = partial_.find('\n', at);
      if (end == std::string::npos) {
        if (!is_end && partial_.size() - at <= kLongestLine) break;
        end = partial_.size();
      }
      if (end > at && lines_.allow(Clock::now()))
        log_.info("{}=: {}", key_, tsp::printable(partial_.substr(at, end - at), kLongestLine));
      at = std::min(end + 1, partial_.size());
      if (at == partial_.size()) break;
    }
    partial_.erase(0, at);
  }

  void look() {
    timer_.expires_after(kLook);
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (error || self->is_over_ || !self->child_) return;
      int status = 0;
      if (!self->child_->has_ended(status)) {
        if (self->kill_at_ && Clock::now() >= *self->kill_at_) {
          self->child_->kill();
          self->ended("was killed, as it did not end in time");
        } else {
          self->look();
        }
        return;
      }
      self->ended(how_it_ended(status));
      const bool is_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
      if (!is_well) self->log_.warn("{}= {}", self->key_, how_it_ended(status));
    });
  }

  void ended(const std::string& how) {
    log_.debug("{}= {}", key_, how);
    child_.reset();
    boost::system::error_code ignored;
    output_.close(ignored);
    partial_.clear();
    if (is_kept_) {
      pause();
    } else {
      over();
    }
  }

  void pause() {
    if (!is_kept_) return over();
    const bool has_worked = Clock::now() - started_ >= kWorked;
    pause_ = has_worked ? kFirstPause : std::clamp(pause_ * 2, kFirstPause, kLongestPause);
    log_.warn("{}= is started again in {} s", key_, pause_.count());
    timer_.expires_after(pause_);
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error && !self->is_over_) self->run();
    });
  }

  void over() {
    if (is_over_) return;
    is_over_ = true;
    timer_.cancel();
    on_over();
  }

  std::string key_;
  std::string text_;
  bool is_kept_;
  std::vector<std::string> environment_;
  spdlog::logger& log_;
  asio::posix::stream_descriptor output_;
  asio::steady_timer timer_;
  std::optional<tunnel::ChildProcess> child_;
  std::string partial_;
  log::RateLimit lines_{20, std::chrono::seconds(10)};
  Clock::time_point started_{};
  std::chrono::seconds pause_{0};
  std::optional<Clock::time_point> kill_at_;
  bool is_over_ = false;
};

MeshHooks::MeshHooks(asio::io_context& io, Settings settings, spdlog::logger& log)
    : io_(io), settings_(std::move(settings)), log_(log) {}

MeshHooks::~MeshHooks() {
  for (const auto& command : commands_) command->abandon();
}

void MeshHooks::start() {
  if (!commands_.empty()) return;
  const auto add = [&](const char* key, const std::string& text, bool is_kept) {
    if (text.empty()) return;
    commands_.push_back(std::make_shared<Command>(io_, key, text, is_kept, settings_.environment, log_));
    commands_.back()->run();
  };
  add("up", settings_.up, false);
  add("daemon", settings_.daemon, true);
}

void MeshHooks::stop(std::function<void()> done) {
  const auto left = std::make_shared<std::size_t>(1);
  const auto finish = [left, done = std::move(done)] {
    if (--*left == 0) done();
  };
  for (const auto& command : commands_) {
    if (command->is_over()) continue;
    ++*left;
    command->on_over = finish;
    command->terminate();
  }
  finish();
}

}  // namespace sixlink::client
