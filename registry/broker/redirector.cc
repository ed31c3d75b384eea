// SPDX-License-Identifier: BSD-3-Clause
// Whether newcomers are served here.
#include "registry/broker/redirector.h"

namespace sixlink::registry {
namespace {

// Newcomers are served again when a tenth of the limit has become free; load varies more than tunnels do.
constexpr std::size_t kTunnelsPercent = 90;
constexpr double kLoadPercent = 80;

}  // namespace

bool Redirector::measured(std::size_t tunnels_in_use, double load_percent) {
  tunnels_ = tunnels_in_use;
  load_ = load_percent;
  return update();
}

bool Redirector::granted() {
  ++tunnels_;
  return update();
}

bool Redirector::update() {
  if (!settings_.has_brokers || settings_.when != RedirectWhen::kLoad) return false;
  const bool before = is_loaded_;
  const auto tunnels = settings_.above_tunnels;
  const double load = settings_.above_load;
  if (!is_loaded_) {
    is_loaded_ = (tunnels > 0 && tunnels_ >= tunnels) || (load > 0 && load_ >= load);
  } else {
    const bool few_tunnels = tunnels == 0 || tunnels_ <= tunnels * kTunnelsPercent / 100;
    const bool little_load = load <= 0 || load_ <= load * kLoadPercent / 100;
    is_loaded_ = !few_tunnels || !little_load;
  }
  return is_loaded_ != before;
}

Redirector::Decision Redirector::decide(bool holds_tunnel) const {
  if (is_draining_) return settings_.has_brokers ? Decision::kRedirect : Decision::kBusy;
  if (redirects_all()) return Decision::kRedirect;
  return is_loaded_ && !holds_tunnel ? Decision::kRedirect : Decision::kServe;
}

}  // namespace sixlink::registry
