// SPDX-License-Identifier: BSD-3-Clause
// What the mesh's routing has in the kernel's tables that babeld does not look after itself: where it finds
// what this node announces, and the routes that it leaves when it is killed.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "src/client/babel_settings.h"
#include "src/mesh/router.h"

namespace spdlog {
class logger;
}

namespace sixlink::client {

// The control thread's. What cannot be done is logged: there is nothing else to do about it.
class BabelTables {
 public:
  // `logger` outlives it.
  BabelTables(const BabelSettings& settings, spdlog::logger& logger);

  // These and no others are announced; keep(): with the next restore_announcements().
  void keep(const std::vector<mesh::Destination>& destinations);
  void announce(const std::vector<mesh::Destination>& destinations);
  // Nothing is in the table; or what was announced last, and nothing else.
  void withdraw_announcements();
  void restore_announcements();

  // Routes that babeld made with these metrics, both included.
  void remove_routes(std::uint32_t lowest_metric, std::uint32_t highest_metric);
  // Those of every babeld of ours, and what it retracted.
  void remove_all_routes();

 private:
  using Announcements = std::map<std::string, mesh::Destination>;  // by text
  void change_announcements(const Announcements& before, const Announcements& wanted);

  unsigned announce_table_;
  std::set<unsigned> tables_;  // babeld's
  spdlog::logger& logger_;
  Announcements wanted_;
};

}  // namespace sixlink::client
