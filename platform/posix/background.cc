// SPDX-License-Identifier: BSD-3-Clause
// Background process and PID file, with POSIX calls only.
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "platform/platform.h"

namespace sixlink::platform {
namespace {

boost::system::error_code last_error() {
  return {errno, boost::system::system_category()};
}

// Only for the parent between fork and exit, where nothing else runs.
volatile sig_atomic_t child_pid = 0;
void pass_on(int signal) {
  if (child_pid > 0) ::kill(static_cast<pid_t>(child_pid), signal);
}

constexpr int kPassedOn[] = {SIGINT, SIGTERM, SIGHUP};

[[noreturn]] void wait_as_parent(pid_t child, int fd, int lost_code, const sigset_t& mask) {
  child_pid = child;
  struct sigaction action {};
  action.sa_handler = &pass_on;
  for (const int signal : kPassedOn) ::sigaction(signal, &action, nullptr);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  unsigned char code = 0;
  for (;;) {
    const auto size = ::read(fd, &code, 1);
    if (size == 1) ::_exit(code);
    if (size < 0 && errno == EINTR) continue;
    break;  // the child ended without a word
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  ::_exit(WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : lost_code);
}

}  // namespace

boost::system::result<Background> Background::fork(int lost_code) {
  int ends[2];
  if (::pipe(ends) != 0) return last_error();
  ::fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  ::fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  std::fflush(nullptr);
  // A signal right after the fork would end the parent alone, and the child would go on unseen.
  sigset_t passed_on;
  sigset_t before;
  ::sigemptyset(&passed_on);
  for (const int signal : kPassedOn) ::sigaddset(&passed_on, signal);
  ::sigprocmask(SIG_BLOCK, &passed_on, &before);
  const pid_t child = ::fork();
  if (child < 0) {
    const auto error = last_error();
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    ::close(ends[0]);
    ::close(ends[1]);
    return error;
  }
  if (child > 0) {
    ::close(ends[1]);
    wait_as_parent(child, ends[0], lost_code, before);
  }
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  ::close(ends[0]);
  return Background(ends[1]);
}

Background::Background(Background&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Background::~Background() {
  if (fd_ >= 0) ::close(fd_);
}

void Background::report(int code, bool detach) {
  if (fd_ < 0) return;
  if (detach) {
    ::setsid();
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
      for (int fd = 0; fd <= 2; ++fd) ::dup2(null, fd);
      if (null > 2) ::close(null);
    }
  }
  const auto byte = static_cast<unsigned char>(code);
  while (::write(fd_, &byte, 1) < 0 && errno == EINTR) {
  }
  ::close(std::exchange(fd_, -1));
}

void claim_standard_descriptors() {
  int fd = 0;
  do {
    fd = ::open("/dev/null", O_RDWR);
  } while (fd >= 0 && fd <= 2);
  if (fd > 2) ::close(fd);
}

void forbid_core_files() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
}

boost::system::result<PidFile> PidFile::acquire(const std::string& path, long& holder) {
  holder = 0;
  // A holder that was killed has the lock until the kernel has taken it apart, which for one with a TUN takes
  // a while: who starts us right after a kill -9 must not be told that it still runs.
  int waits = 10;
  // 0600: who can open it can lock it, and keep the next start out. The file may be removed by the holder
  // between open and lock; then what was locked is no longer at the path.
  for (int attempt = 0; attempt < 10; ++attempt) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return last_error();
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      const auto error = last_error();
      char text[32] = {};
      if (::read(fd, text, sizeof text - 1) > 0) holder = ::strtol(text, nullptr, 10);
      ::close(fd);
      if (error != boost::system::errc::operation_would_block || waits-- == 0) return error;
      holder = 0;
      attempt = 0;
      const timespec pause{0, 100'000'000};
      ::nanosleep(&pause, nullptr);
      continue;
    }
    struct stat locked {};
    struct stat at_path {};
    if (::fstat(fd, &locked) == 0 && ::stat(path.c_str(), &at_path) == 0 && locked.st_ino == at_path.st_ino &&
        locked.st_dev == at_path.st_dev) {
      const auto text = std::to_string(::getpid()) + "\n";
      if (::ftruncate(fd, 0) != 0 ||
          ::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
        const auto error = last_error();
        ::close(fd);
        return error;
      }
      return PidFile(path, fd);
    }
    ::close(fd);
  }
  return boost::system::errc::make_error_code(boost::system::errc::resource_unavailable_try_again);
}

PidFile::PidFile(PidFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

PidFile::~PidFile() {
  if (fd_ < 0) return;
  ::unlink(path_.c_str());
  ::close(fd_);
}

}  // namespace sixlink::platform
