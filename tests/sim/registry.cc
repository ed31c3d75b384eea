// SPDX-License-Identifier: BSD-3-Clause
#include "tests/sim/registry.h"

#include <algorithm>

#include "tests/sim/delays.h"

namespace sixlink::sim {

Registry::Registry(std::size_t nodes, std::uint64_t seed) : entries_(nodes), random_(scramble(seed)) {}

void Registry::publish(std::uint32_t number, const std::vector<std::uint8_t>& der) {
  auto& entry = entries_[number];
  entry.der = der;
  entry.silent_since = TimePoint::max();
  if (entry.place != UINT32_MAX) return;
  entry.place = static_cast<std::uint32_t>(listed_.size());
  listed_.push_back(number);
}

void Registry::withdraw(std::uint32_t number) {
  auto& entry = entries_[number];
  if (entry.place == UINT32_MAX) return;
  const auto last = listed_.back();
  listed_[entry.place] = last;
  entries_[last].place = entry.place;
  listed_.pop_back();
  entry = {};
}

void Registry::fell_silent(std::uint32_t number, TimePoint now) {
  entries_[number].silent_since = now;
}

std::vector<std::vector<std::uint8_t>> Registry::some(unsigned count, TimePoint now) {
  ++requests_;
  std::vector<std::vector<std::uint8_t>> contacts;
  std::vector<std::uint32_t> given;
  count = std::min(count, kMostContacts);
  for (unsigned tries = 0; given.size() < count && tries < 4 * count && !listed_.empty(); ++tries) {
    const auto number = listed_[random_() % listed_.size()];
    const auto& entry = entries_[number];
    if (entry.silent_since != TimePoint::max() && now - entry.silent_since > kPatience) {
      withdraw(number);
      continue;
    }
    if (std::ranges::find(given, number) != given.end()) continue;
    given.push_back(number);
    contacts.push_back(entry.der);
  }
  return contacts;
}

}  // namespace sixlink::sim
