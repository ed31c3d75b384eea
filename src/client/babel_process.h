// SPDX-License-Identifier: BSD-3-Clause
// babeld's process: what it prints, line by line, and that it has ended.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/system/result.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace sixlink::client {

// The control thread's. Does not wait for anything but in its destructor, which kills.
class BabelProcess {
 public:
  struct Events {
    std::function<void(const std::string& line)> on_output;
    // Once, and not after the object is gone, which it may be made in there. "was killed by signal 9"
    std::function<void(const std::string& how)> on_end;
  };
  static constexpr std::size_t kLongestLine = 512;  // more of one is left out

  static boost::system::result<std::unique_ptr<BabelProcess>> start(boost::asio::io_context& io,
                                                                    std::vector<std::string> command,
                                                                    Events events);
  ~BabelProcess();
  BabelProcess(const BabelProcess&) = delete;
  BabelProcess& operator=(const BabelProcess&) = delete;

  void terminate();  // SIGTERM: it takes its routes away, which is done in a second
  pid_t pid() const;

 private:
  struct State;
  explicit BabelProcess(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

// Where the program is; empty: nowhere. A name with a slash is a path already.
std::string find_program(const std::string& name);

}  // namespace sixlink::client
