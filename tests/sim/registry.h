// SPDX-License-Identifier: BSD-3-Clause
// What nodes want of the registry while they run: contacts of others, as those published them.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "src/mesh/signed_contact.h"
#include "tests/sim/nat.h"

namespace sixlink::sim {

class Registry {
 public:
  static constexpr unsigned kMostContacts = 32;  // in an answer
  // A contact of a node that says nothing any more is given away for so long.
  static constexpr std::chrono::seconds kPatience{100};

  Registry(std::size_t nodes, std::uint64_t seed);

  bool is_up() const { return is_up_; }
  void set_up(bool up) { is_up_ = up; }

  void publish(std::uint32_t number, const std::vector<std::uint8_t>& der);
  void withdraw(std::uint32_t number);
  // It died, which the registry does not see.
  void fell_silent(std::uint32_t number, TimePoint now);
  // Different ones, at random.
  std::vector<std::vector<std::uint8_t>> some(unsigned count, TimePoint now);
  // Empty: it has none.
  const std::vector<std::uint8_t>& of(std::uint32_t number) const { return entries_[number].der; }
  std::size_t size() const { return listed_.size(); }
  std::uint64_t requests() const { return requests_; }

 private:
  struct Entry {
    std::vector<std::uint8_t> der;
    std::uint32_t place = UINT32_MAX;  // in listed_
    TimePoint silent_since = TimePoint::max();
  };
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> listed_;
  std::mt19937_64 random_;
  std::uint64_t requests_ = 0;
  bool is_up_ = true;
};

}  // namespace sixlink::sim
