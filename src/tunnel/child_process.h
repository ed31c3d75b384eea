// SPDX-License-Identifier: BSD-3-Clause
// A program that runs beside ours: started without a shell, its output captured, ended at the latest with its
// owner.
#pragma once

#include <sys/types.h>

#include <boost/system/result.hpp>
#include <string>
#include <utility>
#include <vector>

namespace sixlink::tunnel {

class ChildProcess {
 public:
  // `command`: the program's absolute path and its arguments. `environment`: all that it gets of one,
  // NAME=VALUE. Its standard output and error are our channel; so is its standard input if it `takes_input`,
  // else that is empty. It leads a process group of its own, and ends when our process does, where the system
  // can do that.
  static boost::system::result<ChildProcess> start(std::vector<std::string> command,
                                                   std::vector<std::string> environment, bool takes_input);
  ~ChildProcess();  // kills it
  ChildProcess(ChildProcess&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), channel_(std::exchange(other.channel_, -1)) {}
  ChildProcess& operator=(ChildProcess&&) = delete;
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Hands our end of the channel over, which does not block.
  int release_channel() { return std::exchange(channel_, -1); }
  // Sets `status` (waitpid) the first time that it answers yes.
  bool has_ended(int& status);
  // With its process group; returns when it has ended.
  void kill();
  // Asks it to end (SIGTERM); has_ended() tells when it did.
  void terminate();
  pid_t pid() const { return pid_; }  // -1: it has ended

 private:
  ChildProcess(pid_t pid, int channel) : pid_(pid), channel_(channel) {}

  pid_t pid_ = -1;  // -1: it has ended
  int channel_ = -1;
};

// PATH with the directories for administrators behind ours.
std::string child_search_path();

// Appends what is there, 256 KiB at most: a child that never stops writing must not hold the event loop.
// False at the end of the output.
bool read_available(int channel, std::string& output);

}  // namespace sixlink::tunnel
