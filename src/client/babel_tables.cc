// SPDX-License-Identifier: BSD-3-Clause
// What the mesh's routing has in the kernel's tables that babeld does not look after itself.
#include "src/client/babel_tables.h"

#include <spdlog/spdlog.h>

#include <utility>
#include <variant>

#include "platform/route_table.h"

namespace sixlink::client {
namespace {

namespace ip = boost::asio::ip;
using boost::system::error_code;

// Of what is in `these` and not in `others`; the last error.
error_code for_each_missing(const std::map<std::string, mesh::Destination>& these,
                            const std::map<std::string, mesh::Destination>& others,
                            error_code (*change)(unsigned, const ip::address&, int), unsigned table) {
  error_code error;
  for (const auto& [text, destination] : these) {
    if (others.contains(text)) continue;
    const auto failed = std::visit(
        [&](const auto& prefix) { return change(table, ip::address(prefix.address), prefix.length); },
        destination);
    if (failed) error = failed;
  }
  return error;
}

}  // namespace

BabelTables::BabelTables(const BabelSettings& settings, spdlog::logger& logger)
    : announce_table_(settings.announce_table), tables_{settings.table}, logger_(logger) {
  if (settings.default_table) tables_.insert(*settings.default_table);
}

void BabelTables::keep(const std::vector<mesh::Destination>& destinations) {
  wanted_.clear();
  for (const auto& destination : destinations) wanted_.emplace(mesh::to_string(destination), destination);
}

void BabelTables::announce(const std::vector<mesh::Destination>& destinations) {
  const auto before = wanted_;
  keep(destinations);
  change_announcements(before, wanted_);
}

void BabelTables::withdraw_announcements() {
  const auto removed = platform::remove_routes({announce_table_, platform::kRouteProtocolStatic});
  if (!removed)
    logger_.error("routing: the kernel's table {} cannot be emptied: {}", announce_table_,
                  removed.error().message());
}

void BabelTables::restore_announcements() {
  withdraw_announcements();
  change_announcements({}, wanted_);
}

void BabelTables::change_announcements(const Announcements& before, const Announcements& wanted) {
  auto error = for_each_missing(before, wanted, platform::remove_unreachable_route, announce_table_);
  if (const auto failed = for_each_missing(wanted, before, platform::add_unreachable_route, announce_table_))
    error = failed;
  if (error)
    logger_.error(
        "routing: what this node announces cannot be put into the kernel's table {}: {}; others "
        "will not find the way to it",
        announce_table_, error.message());
}

void BabelTables::remove_routes(std::uint32_t lowest_metric, std::uint32_t highest_metric) {
  for (const auto table : tables_) {
    const auto removed =
        platform::remove_routes({table, platform::kRouteProtocolBabel, lowest_metric, highest_metric});
    if (!removed)
      logger_.error("routing: routes that babeld left in the kernel's table {} cannot be removed: {}", table,
                    removed.error().message());
    else if (*removed > 0)
      logger_.debug("routing: removed {} routes that babeld left in table {}", *removed, table);
  }
}

void BabelTables::remove_all_routes() {
  remove_routes(kLastRouteMetric, kFirstRouteMetric);
  remove_routes(kRetractedMetric, kRetractedMetric);
}

}  // namespace sixlink::client
