// SPDX-License-Identifier: BSD-3-Clause
// What babeld tells over its local socket, as a machine without I/O: routes, neighbours, interfaces, and the
// answers to what it was asked. babeld(8), "Local Configuration Protocol".
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "src/mesh/router.h"

namespace sixlink::client {

// Names a router to the others. A node's is the first 64 bits of its prefix, so that of an announced prefix
// it shows whether it is the announcer's own.
using RouterId = std::array<std::uint8_t, 8>;
RouterId router_id_of(const net::Prefix& prefix);
// "20:01:0d:b8:00:42:00:07", as babeld writes it.
std::string to_string(const RouterId& id);
std::optional<RouterId> parse_router_id(std::string_view text);

// What a network's nodes may announce.
struct Ownership {
  net::Prefix network;
  std::optional<net::PrefixV4> network_v4;
  net::Prefix own;
  std::optional<net::PrefixV4> own_v4;
  // That IPv4 has been in before: whoever has not heard of the new one announces of it, and is no liar.
  std::optional<net::PrefixV4> former_v4 = std::nullopt;

  // Somebody with this router-id does not own the destination, as far as can be told: of IPv4 only that it is
  // outside of the network, or this node's. A default route is nobody's.
  bool is_foreign(const mesh::Destination& destination, const RouterId& origin) const;
  bool is_own(const mesh::Destination& destination) const;
};

class BabelMonitor {
 public:
  // babeld writes no line of more than 511 bytes. Of what it tells so many are kept, the rest is counted.
  static constexpr std::size_t kLongestLine = 1024;
  static constexpr std::size_t kMostRoutes = 65536;
  static constexpr std::size_t kMostNeighbours = 1024;
  static constexpr std::size_t kMostForeign = 256;
  static constexpr std::size_t kMostCommands = 4096;

  explicit BabelMonitor(Ownership ownership);

  // For what is told from now on.
  void set_ownership(Ownership ownership) { ownership_ = std::move(ownership); }
  // A new connection: nothing is known, nothing was asked.
  void begin();
  // Bytes as they come. False: this is not babeld's protocol; problem() says why, and the connection is of no
  // use any more. Bytes are taken as hostile all the same: names and prefixes in them are other nodes'.
  bool input(std::string_view bytes);
  const std::string& problem() const { return problem_; }

  // It was sent this line: one answer will come. False: too many answers are missing.
  bool expect(std::string command);
  std::size_t unanswered() const { return commands_.size(); }
  // The header has come: commands may be sent.
  bool has_greeted() const { return has_greeted_; }
  // What `monitor` begins with is complete.
  bool is_complete() const { return is_complete_; }
  const std::string& version() const { return version_; }  // "babeld-1.12.1"
  const std::string& router_id() const { return router_id_; }

  // Commands that babeld did not take, since the last call.
  struct Refusal {
    std::string command;
    std::string answer;  // "bad", "no" or "no" and why
  };
  std::vector<Refusal> take_refusals();

  // Have changed since the last call.
  bool take_routes_changed() { return std::exchange(routes_changed_, false); }
  bool take_neighbours_changed() { return std::exchange(neighbours_changed_, false); }
  bool take_interfaces_changed() { return std::exchange(interfaces_changed_, false); }
  // Installed ones, in no order. A change of one costs the same however many there are.
  const std::vector<mesh::Route>& routes() const { return routes_; }
  // Of links that babeld uses. It remembers others for a while.
  std::vector<mesh::RouterNeighbour> neighbours() const;
  bool has_neighbour_on(const std::string& interface) const;
  // See mesh::RouterEvents::on_foreign.
  std::vector<mesh::ForeignAnnouncement> take_foreign();
  bool has_foreign() const { return !foreign_.empty(); }
  // Of the interfaces that babeld was told of.
  bool is_interface_up(const std::string& name) const;
  // What babeld announces of this machine's.
  const std::set<std::string>& announced() const { return announced_; }

  std::uint64_t lines() const { return lines_; }
  std::uint64_t malformed() const { return malformed_; }  // lines that were passed over
  std::uint64_t overflowed() const { return overflowed_; }

 private:
  // babeld names a route or a neighbour by where it has it in memory.
  using Id = std::uint64_t;
  class Words;
  bool take_line(std::string_view line);
  bool take_header(std::string_view line);
  bool take_answer(std::string_view line);
  void take_event(std::string_view line);
  bool take_route(bool is_gone, Words& words);
  bool take_neighbour(bool is_gone, Words& words);
  bool take_interface(bool is_gone, Words& words);
  bool take_xroute(bool is_gone, Words& words);
  void put_route(Id id, mesh::Route route);
  void drop_route(Id id);
  void note_foreign(Id id, mesh::ForeignAnnouncement foreign);
  bool fail(std::string why);

  Ownership ownership_;
  std::string partial_;  // of a line
  std::string problem_;
  bool has_greeted_ = false;
  bool is_complete_ = false;
  std::string version_;
  std::string router_id_;
  std::deque<std::string> commands_;
  std::vector<Refusal> refusals_;

  std::vector<mesh::Route> routes_;
  std::vector<Id> ids_;                         // routes_[i]'s
  std::unordered_map<Id, std::size_t> places_;  // of routes_
  bool routes_changed_ = false;
  std::map<Id, mesh::RouterNeighbour> neighbours_;
  bool neighbours_changed_ = false;
  std::unordered_map<Id, mesh::ForeignAnnouncement> foreign_;
  std::vector<mesh::ForeignAnnouncement> foreign_news_;
  std::map<std::string, bool> interfaces_;  // up
  bool interfaces_changed_ = false;
  std::set<std::string> announced_;

  std::uint64_t lines_ = 0;
  std::uint64_t malformed_ = 0;
  std::uint64_t overflowed_ = 0;
};

}  // namespace sixlink::client
