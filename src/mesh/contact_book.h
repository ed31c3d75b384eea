// SPDX-License-Identifier: BSD-3-Clause
// The contacts that a node knows: of each peer the newest, of all as many as it was told to keep. What is
// dropped is chosen at random, so that nobody can push out those that matter, and those that worked stay.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "src/mesh/node.h"
#include "src/mesh/packed_prefix.h"
#include "src/mesh/seeded_random.h"

namespace sixlink::mesh {

class ContactBook {
 public:
  struct Entry {
    ContactRef contact;
    TimePoint verified;               // when its signature was looked at last
    std::optional<TimePoint> worked;  // when a link with it last was up
    // Heard on the local network: when, and where it sent from.
    std::optional<TimePoint> seen_near;
    std::optional<Endpoint> near;
    std::optional<TimePoint> tcp_until;  // something between drops WireGuard in UDP
    // Something between lets only the ports through that are shared.
    std::optional<TimePoint> shared_port_until;
    std::optional<TimePoint> moved;  // when a link with it was ended for one on the local network
    bool is_neighbour = false;       // a link with it is up, or is being made: never dropped
  };
  enum class Taken : std::uint8_t {
    kNew,    // the first of its node, or newer than what was there
    kKnown,  // exactly that one was there
    kOld,    // a newer one was there
  };

  explicit ContactBook(std::size_t most) : most_(most) {}

  // The contact was verified.
  Taken take(ContactRef contact, TimePoint now, SeededRandom& random);
  // The one that has exactly these bytes and was verified after `since`. Null: none.
  ContactRef find_signed(std::span<const std::uint8_t> der, TimePoint since) const;
  Entry* find(const net::Prefix& prefix);
  const Entry* find(const net::Prefix& prefix) const;
  bool remove(const net::Prefix& prefix);
  void remove_if(const std::function<bool(const Entry&)>& condition);

  std::size_t size() const { return entries_.size(); }
  // In no order, which changes with take() and remove().
  const Entry& at(std::size_t i) const { return entries_[i]; }

 private:
  bool drop_one(SeededRandom& random);  // false: all are neighbours
  void remove_at(std::size_t i);

  std::size_t most_;
  std::vector<Entry> entries_;
  std::vector<std::uint64_t> ends_;  // of the entries' signatures: what is looked through first
  std::unordered_map<PackedPrefix, std::uint32_t, PackedPrefixHash> places_;
};

// How long to leave a peer alone that could not be linked: longer each time, never for ever.
class Backoffs {
 public:
  static constexpr std::size_t kMost = 512;

  bool may_try(const net::Prefix& peer, TimePoint now) const;
  // `longest` bounds the wait.
  void failed(const net::Prefix& peer, TimePoint now, std::chrono::seconds longest, SeededRandom& random);
  // Not before `until`, without counting as a failure.
  void hold(const net::Prefix& peer, TimePoint until, SeededRandom& random);
  void clear(const net::Prefix& peer) { peers_.erase(PackedPrefix(peer)); }
  void clear() { peers_.clear(); }
  // Nobody waits longer than that from now on.
  void shorten(TimePoint until);
  std::size_t size() const { return peers_.size(); }

 private:
  struct Wait {
    std::uint8_t failures = 0;
    TimePoint until;
  };
  Wait& of(const net::Prefix& peer, SeededRandom& random);

  std::unordered_map<PackedPrefix, Wait, PackedPrefixHash> peers_;
};

}  // namespace sixlink::mesh
