// SPDX-License-Identifier: BSD-3-Clause
// Wakes a thread that waits in poll(2), or an event loop, from another one.
#pragma once

namespace sixlink::datapath {

class WakePipe {
 public:
  // Throws std::system_error: no descriptors are left.
  WakePipe();
  WakePipe(const WakePipe&) = delete;
  WakePipe& operator=(const WakePipe&) = delete;
  ~WakePipe();

  int fd() const { return ends_[0]; }  // readable from wake() to clear()
  void wake();
  void clear();

 private:
  int ends_[2];
};

}  // namespace sixlink::datapath
