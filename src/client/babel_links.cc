// SPDX-License-Identifier: BSD-3-Clause
// The links that babeld is to use.
#include "src/client/babel_links.h"

#include <utility>
#include <vector>

namespace sixlink::client {

BabelLinks::BabelLinks(const BabelSettings& settings, const BabelMonitor& monitor, Actions actions)
    : settings_(settings), monitor_(monitor), actions_(std::move(actions)) {}

void BabelLinks::put(const std::string& interface, std::uint32_t cost) {
  wanted_[interface] = cost;
  if (can_be_told_) sync();
}

void BabelLinks::remove(const std::string& interface) {
  if (wanted_.erase(interface) > 0 && can_be_told_) sync();
}

std::string BabelLinks::begin() {
  end();
  std::string text;
  for (const auto& [interface, cost] : wanted_) {
    text += babel_interface(settings_, interface, cost) + "\n";
    told_[interface] = {cost, settings_.hello_interval, Phase::kUsed};
  }
  return text;
}

void BabelLinks::end() {
  can_be_told_ = false;
  for (auto& [interface, told] : told_) restore(interface, told);
  told_.clear();
}

void BabelLinks::sync() {
  can_be_told_ = true;
  std::vector<std::string> leaving;
  for (const auto& [interface, told] : told_)
    if (!wanted_.contains(interface) && told.phase != Phase::kLeaving) leaving.push_back(interface);
  for (const auto& interface : leaving)
    if (!leave(interface, told_[interface])) return;
  for (const auto& [interface, cost] : wanted_) {
    const auto told = told_.find(interface);
    const bool is_known = told != told_.end() && told->second.phase != Phase::kLeaving;
    if (is_known && told->second.cost == cost) continue;
    if (!tell(interface, cost)) return;
    if (is_known) interrupt(interface, told_[interface]);
  }
}

// What babeld takes of an interface that it knows is the same as of a new one.
bool BabelLinks::tell(const std::string& interface, std::uint32_t cost) {
  auto& told = told_[interface];
  told.cost = cost;
  told.hello_interval = settings_.hello_interval;
  // It was down until now; whoever uses it again has brought it up.
  if (told.phase == Phase::kLeaving) told.phase = Phase::kUsed;
  return actions_.command(babel_interface(settings_, interface, cost));
}

void BabelLinks::interrupt(const std::string& interface, Told& told) {
  // One that is not up takes its settings when it comes.
  if (told.phase != Phase::kUsed || !monitor_.is_interface_up(interface)) return;
  if (!actions_.set_carrier(interface, false)) {
    told.phase = Phase::kWithoutCarrier;
  } else if (const auto error = actions_.set_up(interface, false); !error) {
    told.phase = Phase::kDown;
  } else {
    actions_.complain("the cost of " + interface + " cannot be changed: " + error.message());
  }
}

void BabelLinks::restore(const std::string& interface, Told& told) {
  boost::system::error_code error;
  if (told.phase == Phase::kWithoutCarrier) error = actions_.set_carrier(interface, true);
  if (told.phase == Phase::kDown) error = actions_.set_up(interface, true);
  if (told.phase != Phase::kLeaving) told.phase = Phase::kUsed;
  if (error && error != boost::system::errc::no_such_device)
    actions_.complain(interface + " cannot be switched on again: " + error.message());
}

// False: babeld cannot be told, and told_ is empty.
bool BabelLinks::leave(const std::string& interface, Told& told) {
  told.phase = Phase::kLeaving;
  const auto error = actions_.set_up(interface, false);
  // Gone already: babeld knows, or will in a moment.
  if (!error || error == boost::system::errc::no_such_device) return true;
  actions_.complain(interface + " cannot be switched off: " + error.message());
  // The name may be the entry's own.
  const auto command = "flush interface " + interface;
  told_.erase(interface);
  return actions_.command(command);
}

void BabelLinks::on_news() {
  if (!can_be_told_) return;
  std::vector<std::string> forgotten;
  for (auto& [interface, told] : told_) {
    if (told.phase == Phase::kLeaving) {
      if (!monitor_.has_neighbour_on(interface) && !monitor_.is_interface_up(interface))
        forgotten.push_back(interface);
    } else if (told.phase != Phase::kUsed && !monitor_.is_interface_up(interface)) {
      restore(interface, told);
    }
  }
  for (const auto& interface : forgotten) {
    told_.erase(interface);
    if (!actions_.command("flush interface " + interface)) return;
  }
}

bool BabelLinks::is_interval_old() const {
  for (const auto& [interface, told] : told_)
    if (told.phase != Phase::kLeaving && told.hello_interval != settings_.hello_interval) return true;
  return false;
}

void BabelLinks::refresh_one() {
  if (!can_be_told_) return;
  for (auto& [interface, told] : told_) {
    if (told.phase == Phase::kLeaving || told.hello_interval == settings_.hello_interval) continue;
    const auto name = interface;
    if (tell(name, told.cost)) interrupt(name, told_[name]);
    return;
  }
}

}  // namespace sixlink::client
