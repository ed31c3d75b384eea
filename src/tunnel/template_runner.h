// SPDX-License-Identifier: BSD-3-Clause
// One tunnel's template from creation to teardown, and the teardown of what an earlier run left behind.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>

#include "src/tunnel/parameters.h"
#include "src/tunnel/script.h"

namespace sixlink::tunnel {

class TemplateRunner {
 public:
  struct Settings {
    std::string template_name;
    std::string home_dir;  // TSP_HOME_DIR and the first place to look; may be empty
    std::string data_dir;  // the installation's
    std::string run_dir;
    std::string instance;  // run_dir/instance.record and .tunnel are its files
    int verbosity = 0;
  };

  // `log` outlives the runner.
  TemplateRunner(Settings settings, spdlog::logger& log) : settings_(std::move(settings)), log_(log) {}

  // At start: undoes what a run left that ended without a goodbye. False: a failure, logged; the next start
  // tries again.
  boost::asio::awaitable<bool> remove_leftovers();
  // There is something to undo of an earlier run.
  bool has_leftovers() const;

  struct Created {
    std::string problem;          // empty: done; else what failed, for the user
    bool is_unsupported = false;  // kind kernel: the system has no such interface, and nothing was left
  };
  // Creates the tunnel's addresses and routes, and with kind kernel its interface. tear_down() is to be
  // called in any case, while an interface of ours is still there.
  boost::asio::awaitable<Created> create(TunnelParameters parameters, std::function<bool()> is_hurried);

  // The tunnel stands, and the network around it changed: sees to it that the way to the broker leads around
  // the tunnel, where there is one.
  boost::asio::awaitable<void> refresh();

  // Undoes create(); nothing when there was none. False: something is left (logged), and the next teardown or
  // start undoes it.
  boost::asio::awaitable<bool> tear_down();

  std::chrono::milliseconds create_duration() const { return create_duration_; }

 private:
  TemplateContext context() const;
  std::string path(const char* suffix) const { return settings_.run_dir + "/" + settings_.instance + suffix; }
  std::string leftover_path() const { return path(".tunnel"); }

  Settings settings_;
  spdlog::logger& log_;
  std::string template_path_;
  TunnelParameters parameters_;
  bool needs_teardown_ = false;
  std::chrono::milliseconds create_duration_{0};
};

}  // namespace sixlink::tunnel
