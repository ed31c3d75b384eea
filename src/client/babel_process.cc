// SPDX-License-Identifier: BSD-3-Clause
// babeld's process.
#include "src/client/babel_process.h"

#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <utility>

#include "src/tunnel/child_process.h"

namespace sixlink::client {
namespace {

namespace asio = boost::asio;

// Its descriptors are closed a little before it can be waited for.
constexpr std::chrono::milliseconds kReapInterval{5};

std::string describe(int status) {
  if (WIFSIGNALED(status)) return "was killed by signal " + std::to_string(WTERMSIG(status));
  return "ended with exit status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

struct BabelProcess::State : std::enable_shared_from_this<State> {
  State(asio::io_context& io, tunnel::ChildProcess started, Events given)
      : child(std::move(started)),
        channel(io, child.release_channel()),
        reap_timer(io),
        events(std::move(given)) {}

  void read() {
    channel.async_wait(asio::posix::stream_descriptor::wait_read,
                       [self = shared_from_this()](const boost::system::error_code& error) {
                         if (self->is_over || error) return;
                         self->take_output();
                       });
  }

  void take_output() {
    std::string bytes;
    const bool is_open = tunnel::read_available(channel.native_handle(), bytes);
    for (const char c : bytes) {
      if (c == '\n')
        tell_line();
      else if (line.size() < kLongestLine)
        line += c;
      if (is_over) return;
    }
    if (is_open) return read();
    tell_line();
    if (!is_over) reap();
  }

  void tell_line() {
    if (line.empty()) return;
    const auto whole = std::exchange(line, {});
    events.on_output(whole);
  }

  void reap() {
    int status = 0;
    if (child.has_ended(status)) {
      is_over = true;
      // The owner may drop this object in there.
      const auto on_end = std::move(events.on_end);
      return on_end(describe(status));
    }
    reap_timer.expires_after(kReapInterval);
    reap_timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!self->is_over && !error) self->reap();
    });
  }

  void close() {
    is_over = true;
    boost::system::error_code ignored;
    channel.close(ignored);
    reap_timer.cancel();
    child.kill();
  }

  tunnel::ChildProcess child;
  asio::posix::stream_descriptor channel;
  asio::steady_timer reap_timer;
  Events events;
  std::string line;
  bool is_over = false;  // it has ended, or nobody wants to know any more
};

boost::system::result<std::unique_ptr<BabelProcess>> BabelProcess::start(asio::io_context& io,
                                                                         std::vector<std::string> command,
                                                                         Events events) {
  auto child = tunnel::ChildProcess::start(std::move(command),
                                           {"PATH=" + tunnel::child_search_path(), "LC_ALL=C"}, false);
  if (!child) return child.error();
  auto state = std::make_shared<State>(io, std::move(*child), std::move(events));
  state->read();
  return std::unique_ptr<BabelProcess>(new BabelProcess(std::move(state)));
}

BabelProcess::BabelProcess(std::shared_ptr<State> state) : state_(std::move(state)) {}

BabelProcess::~BabelProcess() {
  state_->close();
}

void BabelProcess::terminate() {
  state_->child.terminate();
}

pid_t BabelProcess::pid() const {
  return state_->child.pid();
}

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return ::access(name.c_str(), X_OK) == 0 ? name : std::string();
  const auto path = tunnel::child_search_path();
  for (std::size_t begin = 0; begin <= path.size();) {
    const auto end = std::min(path.find(':', begin), path.size());
    const auto directory = path.substr(begin, end - begin);
    const auto candidate = directory + "/" + name;
    if (directory.starts_with('/') && ::access(candidate.c_str(), X_OK) == 0) return candidate;
    begin = end + 1;
  }
  return {};
}

}  // namespace sixlink::client
