// SPDX-License-Identifier: BSD-3-Clause
// The links that babeld is to use, and how it comes to know them: what it was told, what is still to be told.
//
// babeld 1.12 keeps pointers to an interface that is flushed in the neighbours that it had there, for a
// minute: told so of many links one after another it writes garbage, or ends. So a link that goes is switched
// off in the kernel, of which babeld hears at once, and flushed when its neighbours are forgotten. And it
// takes new settings of an interface that it knows, but uses them only the next time that this comes up: for
// a new cost a link loses its carrier for a moment.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "src/client/babel_settings.h"

namespace sixlink::client {

class BabelLinks {
 public:
  struct Actions {
    // A line for babeld. False: it cannot be told anything any more, and end() was called.
    std::function<bool(const std::string& line)> command;
    // See platform/interface_state.h. Which of the two took the interface away from babeld is the one that
    // gives it back.
    std::function<boost::system::error_code(const std::string& name, bool is_on)> set_carrier;
    std::function<boost::system::error_code(const std::string& name, bool is_on)> set_up;
    // Something has failed that an operator should know.
    std::function<void(const std::string& problem)> complain;
  };
  // Both outlive this.
  BabelLinks(const BabelSettings& settings, const BabelMonitor& monitor, Actions actions);

  void put(const std::string& interface, std::uint32_t cost);
  void remove(const std::string& interface);
  bool has(const std::string& interface) const { return wanted_.contains(interface); }

  // For the configuration of a babeld that is about to start: it will know all of them.
  std::string begin();
  // It does not run any more.
  void end();
  // A babeld that runs can be told: has it know everything. Some of what follows from it waits for news.
  void sync();
  // It has told something of interfaces or neighbours.
  void on_news();
  // Some link has another hello interval than the settings say: at most one of them takes it with each call.
  bool is_interval_old() const;
  void refresh_one();

 private:
  enum class Phase {
    kUsed,
    kWithoutCarrier,  // for a moment, so that it takes its settings
    kDown,            // for a moment, likewise
    kLeaving,         // down, or gone, until babeld has no neighbours there
  };
  struct Told {
    std::uint32_t cost = 0;
    std::chrono::milliseconds hello_interval{0};
    Phase phase = Phase::kUsed;
  };
  bool tell(const std::string& interface, std::uint32_t cost);
  void interrupt(const std::string& interface, Told& told);
  void restore(const std::string& interface, Told& told);
  bool leave(const std::string& interface, Told& told);

  const BabelSettings& settings_;
  const BabelMonitor& monitor_;
  Actions actions_;
  bool can_be_told_ = false;
  std::map<std::string, std::uint32_t> wanted_;  // with their costs
  std::map<std::string, Told> told_;
};

}  // namespace sixlink::client
