// SPDX-License-Identifier: BSD-3-Clause
// Who of the mesh is up, and where: the contacts that nodes gave, and what operators see of them.
#pragma once

#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "registry/ca/registrar.h"

namespace sixlink::registry {

struct Neighbour {
  net::Prefix prefix;
  std::optional<std::int64_t> rtt_us;
  std::string transport;  // "udp", "tcp", or nothing
};

enum class NodeState : std::uint8_t { kLive, kSilent, kExpired, kRevoked };
const char* to_string(NodeState state);

struct ListedNode {
  net::Prefix prefix;
  std::string prefix_v4;  // empty: none
  std::string subject;
  std::string email;
  std::string serial;
  std::int64_t created = 0;
  std::int64_t expires = 0;
  std::optional<std::int64_t> revoked;
  std::optional<std::int64_t> last_seen;
  NodeState state = NodeState::kSilent;
  // Of its contact; empty and 0 without one.
  std::string software;
  std::int64_t parameters = 0;
  std::string endpoints;   // JSON
  std::string neighbours;  // JSON
};

class ContactDirectory {
 public:
  // A node that was not heard of for so long is not given to others, except where there are too few.
  static constexpr std::chrono::seconds kLive{180};
  static constexpr std::chrono::hours kPerhapsLive{1};
  static constexpr std::size_t kMostNeighbours = 256;

  explicit ContactDirectory(Registrar& registrar) : registrar_(registrar) {}

  // Hostile bytes, as everything that nodes send.
  Answer<std::int64_t> put(const Asker& node, std::span<const std::uint8_t> der,
                           const std::vector<Neighbour>& neighbours, WallTime now);
  Answer<bool> remove(const Asker& node);
  // Documents in base64. Random, live ones first; without the asker's own.
  Answer<std::vector<std::string>> random(std::size_t count, const net::Prefix& asker, WallTime now);
  Answer<std::string> find(const net::Prefix& node, WallTime now);

  // It asked something just now. Written with the next flush().
  void saw(const net::Prefix& node) { seen_.insert(node.to_string()); }
  // Empty: done.
  std::string flush(WallTime now);

  struct Counts {
    std::size_t nodes = 0;
    std::size_t live = 0;
  };
  Answer<Counts> count(WallTime now);

  // All, by address; or one.
  Answer<std::vector<ListedNode>> nodes(WallTime now);
  Answer<std::vector<ListedNode>> node(const net::Prefix& prefix, WallTime now);

 private:
  Answer<std::vector<ListedNode>> list(const char* condition, const std::vector<Database::Value>& values,
                                       WallTime now);

  Registrar& registrar_;
  std::set<std::string> seen_;
};

}  // namespace sixlink::registry
