// SPDX-License-Identifier: BSD-3-Clause
// Runs a program without a shell.
#include "registry/dns/child_process.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <sstream>

#include "src/tunnel/child_process.h"

namespace sixlink::registry::dns {
namespace {

namespace asio = boost::asio;
using asio::experimental::awaitable_operators::operator||;
using asio::posix::stream_descriptor;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kKeptOutput = 8192;

// Sends what the child takes; false when nothing is left to send. SIGPIPE is ignored in the whole program.
bool feed(int fd, std::string& input) {
  while (!input.empty()) {
    const auto size = ::send(fd, input.data(), input.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    // A child that does not want its input says why itself.
    if (size < 0) break;
    input.erase(0, static_cast<std::size_t>(size));
  }
  ::shutdown(fd, SHUT_WR);
  return false;
}

}  // namespace

std::string find_program(const std::string& name) {
  std::istringstream path(tunnel::child_search_path());
  for (std::string directory; std::getline(path, directory, ':');) {
    if (directory.empty() || directory.front() != '/') continue;
    auto candidate = directory + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

asio::awaitable<ChildResult> run_child(std::vector<std::string> command, std::string input,
                                       std::chrono::seconds limit, std::function<bool()> is_stopping) {
  using Clock = std::chrono::steady_clock;
  const auto executor = co_await asio::this_coro::executor;
  const auto deadline = Clock::now() + limit;
  ChildResult result;
  // Registered before the fork, so that the child's end cannot be missed.
  asio::signal_set child_ended(executor, SIGCHLD);
  std::vector<std::string> environment{"PATH=" + tunnel::child_search_path(), "LC_ALL=C"};
  auto child = tunnel::ChildProcess::start(command, std::move(environment), true);
  if (!child) {
    result.problem = "cannot start " + command.front() + ": " + child.error().message();
    co_return result;
  }
  stream_descriptor channel(executor, child->release_channel());
  asio::steady_timer timer(executor);
  bool has_output = true;
  bool has_input = true;
  int status = 0;
  for (;;) {
    has_input = has_input && feed(channel.native_handle(), input);
    has_output = has_output && tunnel::read_available(channel.native_handle(), result.output);
    if (result.output.size() > kKeptOutput) result.output.resize(kKeptOutput);
    if (child->has_ended(status)) break;
    const auto now = Clock::now();
    if (now >= deadline || is_stopping()) {
      child->kill();
      result.problem = now < deadline ? "ended with the registry"
                                      : command.front() + " did not end in time (" +
                                            std::to_string(limit.count()) + " s) and was killed";
      co_return result;
    }
    // SIGCHLD of another child, or one coalesced away, is caught by looking again after a while.
    timer.expires_at(std::min(deadline, now + std::chrono::milliseconds(250)));
    if (has_input) {
      co_await (channel.async_wait(stream_descriptor::wait_write, kAwait) || child_ended.async_wait(kAwait) ||
                timer.async_wait(kAwait));
    } else if (has_output) {
      co_await (channel.async_wait(stream_descriptor::wait_read, kAwait) || child_ended.async_wait(kAwait) ||
                timer.async_wait(kAwait));
    } else {
      co_await (child_ended.async_wait(kAwait) || timer.async_wait(kAwait));
    }
  }
  if (has_output) tunnel::read_available(channel.native_handle(), result.output);
  if (result.output.size() > kKeptOutput) result.output.resize(kKeptOutput);
  if (WIFSIGNALED(status)) {
    result.problem = command.front() + " was ended by signal " + std::to_string(WTERMSIG(status));
  } else {
    result.status = WEXITSTATUS(status);
    if (result.status == 127 && result.output.empty()) result.problem = "cannot run " + command.front();
  }
  co_return result;
}

}  // namespace sixlink::registry::dns
