// SPDX-License-Identifier: BSD-3-Clause
// Runs a program without a shell.
#include "registry/dns/child_process.h"

#include <fcntl.h>
#include <signal.h>
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
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "platform/platform.h"

namespace sixlink::registry::dns {
namespace {

namespace asio = boost::asio;
using asio::experimental::awaitable_operators::operator||;
using asio::posix::stream_descriptor;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kKeptOutput = 8192;
constexpr const char* kMorePath = ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string search_path() {
  const char* path = std::getenv("PATH");
  return std::string(path ? path : "") + kMorePath;
}

// Between fork and exec only async-signal-safe calls: another thread may hold any lock.
[[noreturn]] void become_program(int channel, char* const* arguments, char* const* environment) {
  ::setpgid(0, 0);
  platform::end_with_parent();
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD, SIGUSR1}) ::signal(signal, SIG_DFL);
  for (const int fd : {0, 1, 2}) ::dup2(channel, fd);
  for (int fd = 3; fd < 4096; ++fd) ::close(fd);
  ::execve(arguments[0], arguments, environment);
  ::_exit(127);
}

// A running child and our end of the socket that is its standard input and output. Ends it when destroyed.
class Child {
 public:
  explicit Child(const std::vector<std::string>& command) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) {
      error_ = errno;
      return;
    }
    channel_ = ends[0];
    ::fcntl(channel_, F_SETFD, FD_CLOEXEC);
    ::fcntl(channel_, F_SETFL, O_NONBLOCK);
    std::vector<std::string> texts = command;
    texts.push_back("PATH=" + search_path());
    texts.emplace_back("LC_ALL=C");
    std::vector<char*> arguments;
    std::vector<char*> environment;
    for (std::size_t i = 0; i < texts.size(); ++i)
      (i < command.size() ? arguments : environment).push_back(texts[i].data());
    arguments.push_back(nullptr);
    environment.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) become_program(ends[1], arguments.data(), environment.data());
    error_ = errno;
    ::close(ends[1]);
  }
  ~Child() {
    kill();
    if (channel_ >= 0) ::close(channel_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  bool is_started() const { return pid_ > 0; }
  int error() const { return error_; }
  // Hands the descriptor over.
  int release_channel() { return std::exchange(channel_, -1); }
  bool has_ended(int& status) {
    if (pid_ <= 0) return true;
    const pid_t ended = ::waitpid(pid_, &status, WNOHANG);
    if (ended == 0 || (ended < 0 && errno == EINTR)) return false;
    pid_ = -1;
    return true;
  }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
  int channel_ = -1;
  int error_ = 0;
};

// Appends what is there; false at the end of the output.
bool drain(int fd, std::string& output) {
  char buffer[4096];
  for (int reads = 0; reads < 64; ++reads) {
    const auto size = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (size > 0) {
      const auto room = kKeptOutput - std::min(kKeptOutput, output.size());
      output.append(buffer, std::min(room, static_cast<std::size_t>(size)));
    } else {
      return size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    }
  }
  return true;
}

// Sends what the child takes; false when nothing is left to send.
bool feed(int fd, std::string& input) {
  while (!input.empty()) {
    const auto size = ::send(fd, input.data(), input.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
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
  std::istringstream path(search_path());
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
  Child child(command);
  if (!child.is_started()) {
    result.problem = "cannot start " + command.front() + ": " + std::strerror(child.error());
    co_return result;
  }
  stream_descriptor channel(executor, child.release_channel());
  asio::steady_timer timer(executor);
  bool has_output = true;
  bool has_input = true;
  int status = 0;
  for (;;) {
    has_input = has_input && feed(channel.native_handle(), input);
    has_output = has_output && drain(channel.native_handle(), result.output);
    if (child.has_ended(status)) break;
    const auto now = Clock::now();
    if (now >= deadline || is_stopping()) {
      child.kill();
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
  if (has_output) drain(channel.native_handle(), result.output);
  if (WIFSIGNALED(status)) {
    result.problem = command.front() + " was ended by signal " + std::to_string(WTERMSIG(status));
  } else {
    result.status = WEXITSTATUS(status);
    if (result.status == 127 && result.output.empty()) result.problem = "cannot run " + command.front();
  }
  co_return result;
}

}  // namespace sixlink::registry::dns
