// SPDX-License-Identifier: BSD-3-Clause
// A pipe to oneself.
#include "src/datapath/wake_pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace sixlink::datapath {

WakePipe::WakePipe() {
  if (::pipe(ends_) != 0) throw std::system_error(errno, std::system_category(), "pipe");
  for (const int end : ends_) {
    ::fcntl(end, F_SETFD, FD_CLOEXEC);
    ::fcntl(end, F_SETFL, O_NONBLOCK);
  }
}

WakePipe::~WakePipe() {
  ::close(ends_[0]);
  ::close(ends_[1]);
}

void WakePipe::wake() {
  // A full pipe wakes as well.
  const char byte = 0;
  while (::write(ends_[1], &byte, 1) < 0 && errno == EINTR) {
  }
}

void WakePipe::clear() {
  char bytes[64];
  for (;;) {
    const auto size = ::read(ends_[0], bytes, sizeof bytes);
    if (size == static_cast<ssize_t>(sizeof bytes) || (size < 0 && errno == EINTR)) continue;
    return;
  }
}

}  // namespace sixlink::datapath
