// SPDX-License-Identifier: BSD-3-Clause
// Whether newcomers are served here, sent to other brokers, or told to come back: by configuration, by load,
// and while the registry is drained for maintenance. A machine without I/O.
#pragma once

#include <cstddef>

namespace sixlink::registry {

enum class RedirectWhen {
  kAlways,  // a front door: nobody is served here
  kLoad,    // above redirect_above_tunnels or redirect_above_load
  kDrain,   // only while drained
};

//  serving --measured() above a limit--> loaded --measured() well below it--> serving
//  drain() from anywhere: draining --undrain()--> what it was
class Redirector {
 public:
  struct Settings {
    bool has_brokers = false;  // there are others to send newcomers to
    RedirectWhen when = RedirectWhen::kDrain;
    std::size_t above_tunnels = 0;  // 0: no limit
    int above_load = 0;             // percent; 0: no limit
  };
  enum class Decision { kServe, kRedirect, kBusy };

  explicit Redirector(const Settings& settings) : settings_(settings) {}

  // To be called every few seconds. True: loaded or not has changed.
  bool measured(std::size_t tunnels_in_use, double load_percent);
  // A newcomer got a tunnel, which counts until the next measurement tells more. True: loaded has changed.
  bool granted();
  void drain() { is_draining_ = true; }
  void undrain() { is_draining_ = false; }

  // For everybody, so that VERSION is answered with it.
  bool redirects_all() const { return settings_.has_brokers && settings_.when == RedirectWhen::kAlways; }
  // For one who asks for a tunnel; who holds one that is in use is not sent on for load.
  Decision decide(bool holds_tunnel) const;
  bool is_draining() const { return is_draining_; }
  bool is_loaded() const { return is_loaded_; }
  // Who is about to go is not to be found close. A loaded one answers: it serves those whom it knows.
  bool answers_echo() const { return !is_draining_; }

 private:
  bool update();

  Settings settings_;
  std::size_t tunnels_ = 0;
  double load_ = 0;
  bool is_loaded_ = false;
  bool is_draining_ = false;
};

}  // namespace sixlink::registry
