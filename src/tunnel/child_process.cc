// SPDX-License-Identifier: BSD-3-Clause
// A program that runs beside ours.
#include "src/tunnel/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "platform/platform.h"

namespace sixlink::tunnel {
namespace {

boost::system::error_code last_error() {
  return {errno, boost::system::system_category()};
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// Between fork and exec only async-signal-safe calls: another thread may hold any lock.
[[noreturn]] void become_program(int channel, bool takes_input, char* const* arguments,
                                 char* const* environment) {
  ::setpgid(0, 0);
  platform::end_with_parent();
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD, SIGUSR1}) ::signal(signal, SIG_DFL);
  ::dup2(takes_input ? channel : ::open("/dev/null", O_RDONLY), 0);
  ::dup2(channel, 1);
  ::dup2(channel, 2);
  for (int fd = 3; fd < 4096; ++fd) ::close(fd);
  ::execve(arguments[0], arguments, environment);
  ::_exit(127);
}

}  // namespace

boost::system::result<ChildProcess> ChildProcess::start(std::vector<std::string> command,
                                                        std::vector<std::string> environment,
                                                        bool takes_input) {
  const auto arguments = pointers(command);
  const auto variables = pointers(environment);
  int ends[2];
  // A pipe where one is enough: a script may open /dev/stderr, which a socket does not allow.
  if ((takes_input ? ::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : ::pipe(ends)) != 0) return last_error();
  ::fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  const pid_t pid = ::fork();
  if (pid == 0) become_program(ends[1], takes_input, arguments.data(), variables.data());
  const auto error = last_error();
  ::close(ends[1]);
  if (pid > 0) return ChildProcess(pid, ends[0]);
  ::close(ends[0]);
  return error;
}

ChildProcess::~ChildProcess() {
  kill();
  if (channel_ >= 0) ::close(channel_);
}

bool ChildProcess::has_ended(int& status) {
  if (pid_ <= 0) return true;
  const pid_t ended = ::waitpid(pid_, &status, WNOHANG);
  if (ended == 0 || (ended < 0 && errno == EINTR)) return false;
  pid_ = -1;
  return true;
}

void ChildProcess::kill() {
  if (pid_ <= 0) return;
  ::kill(-pid_, SIGKILL);
  ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

void ChildProcess::terminate() {
  if (pid_ > 0) ::kill(pid_, SIGTERM);
}

std::string child_search_path() {
  const char* path = std::getenv("PATH");
  return std::string(path ? path : "/usr/bin:/bin") +
         ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

bool read_available(int channel, std::string& output) {
  char buffer[4096];
  for (int reads = 0; reads < 64; ++reads) {
    const auto size = ::read(channel, buffer, sizeof buffer);
    if (size <= 0) return size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    output.append(buffer, static_cast<std::size_t>(size));
  }
  return true;
}

}  // namespace sixlink::tunnel
