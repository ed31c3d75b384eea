// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/contact_book.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace sixlink::mesh {
namespace {

constexpr std::chrono::seconds kFirstWait{2};
// 2 s doubled so often are more than any bound of ours.
constexpr std::uint8_t kMostFailures = 20;
// How many are looked at for one that never worked, before one that did is dropped.
constexpr int kDraws = 8;

// The end is the signature, where all differ.
std::uint64_t end_of(std::span<const std::uint8_t> der) {
  std::uint64_t end = 0;
  const auto size = std::min(der.size(), sizeof end);
  if (size != 0) std::memcpy(&end, der.data() + der.size() - size, size);
  return end;
}

}  // namespace

ContactBook::Taken ContactBook::take(ContactRef contact, TimePoint now, SeededRandom& random) {
  const PackedPrefix key(contact->contact.prefix);
  if (const auto found = places_.find(key); found != places_.end()) {
    auto& entry = entries_[found->second];
    if (entry.contact->der == contact->der) {
      entry.verified = now;
      return Taken::kKnown;
    }
    if (entry.contact->contact.sequence >= contact->contact.sequence) return Taken::kOld;
    entry.verified = now;
    ends_[found->second] = end_of(contact->der);
    entry.contact = std::move(contact);
    return Taken::kNew;
  }
  while (entries_.size() >= most_ && drop_one(random)) {
  }
  places_.emplace(key, static_cast<std::uint32_t>(entries_.size()));
  ends_.push_back(end_of(contact->der));
  entries_.push_back({std::move(contact), now, {}, {}, {}, {}, {}, {}, false});
  return Taken::kNew;
}

ContactRef ContactBook::find_signed(std::span<const std::uint8_t> der, TimePoint since) const {
  const auto end = end_of(der);
  for (auto one = std::ranges::find(ends_, end); one != ends_.end();
       one = std::find(one + 1, ends_.end(), end)) {
    const auto& entry = entries_[static_cast<std::size_t>(one - ends_.begin())];
    if (entry.verified >= since && std::ranges::equal(entry.contact->der, der)) return entry.contact;
  }
  return nullptr;
}

ContactBook::Entry* ContactBook::find(const net::Prefix& prefix) {
  const auto found = places_.find(PackedPrefix(prefix));
  return found == places_.end() ? nullptr : &entries_[found->second];
}

const ContactBook::Entry* ContactBook::find(const net::Prefix& prefix) const {
  const auto found = places_.find(PackedPrefix(prefix));
  return found == places_.end() ? nullptr : &entries_[found->second];
}

bool ContactBook::remove(const net::Prefix& prefix) {
  const auto found = places_.find(PackedPrefix(prefix));
  if (found == places_.end()) return false;
  remove_at(found->second);
  return true;
}

void ContactBook::remove_if(const std::function<bool(const Entry&)>& condition) {
  for (std::size_t i = 0; i < entries_.size();) {
    if (condition(entries_[i])) {
      remove_at(i);
    } else {
      ++i;
    }
  }
}

void ContactBook::remove_at(std::size_t i) {
  places_.erase(PackedPrefix(entries_[i].contact->contact.prefix));
  if (i + 1 != entries_.size()) {
    entries_[i] = std::move(entries_.back());
    ends_[i] = ends_.back();
    places_[PackedPrefix(entries_[i].contact->contact.prefix)] = static_cast<std::uint32_t>(i);
  }
  entries_.pop_back();
  ends_.pop_back();
}

bool ContactBook::drop_one(SeededRandom& random) {
  if (entries_.empty()) return false;
  std::optional<std::size_t> place;
  for (int draw = 0; draw < kDraws; ++draw) {
    const auto i = random.below(entries_.size());
    const auto& entry = entries_[i];
    if (entry.is_neighbour) continue;
    place = i;
    if (!entry.worked && !entry.seen_near) break;
  }
  // All that were drawn are neighbours. Where all are, there are more of them than the book is to have.
  const auto first = place ? 0 : random.below(entries_.size());
  for (std::size_t i = 0; !place && i < entries_.size(); ++i) {
    const auto next = (first + i) % entries_.size();
    if (!entries_[next].is_neighbour) place = next;
  }
  if (place) remove_at(*place);
  return place.has_value();
}

bool Backoffs::may_try(const net::Prefix& peer, TimePoint now) const {
  const auto found = peers_.find(PackedPrefix(peer));
  return found == peers_.end() || found->second.until <= now;
}

void Backoffs::failed(const net::Prefix& peer, TimePoint now, std::chrono::seconds longest,
                      SeededRandom& random) {
  auto& wait = of(peer, random);
  std::chrono::nanoseconds pause = kFirstWait;
  for (int i = 0; i < wait.failures && pause < longest; ++i) pause *= 2;
  wait.failures = std::min<std::uint8_t>(static_cast<std::uint8_t>(wait.failures + 1), kMostFailures);
  wait.until = now + random.jitter(std::min<std::chrono::nanoseconds>(pause, longest), 0.5, 1.0);
}

void Backoffs::hold(const net::Prefix& peer, TimePoint until, SeededRandom& random) {
  auto& wait = of(peer, random);
  wait.until = std::max(wait.until, until);
}

void Backoffs::shorten(TimePoint until) {
  for (auto& [peer, wait] : peers_) wait.until = std::min(wait.until, until);
}

Backoffs::Wait& Backoffs::of(const net::Prefix& peer, SeededRandom& random) {
  const PackedPrefix key(peer);
  if (peers_.size() >= kMost && !peers_.contains(key)) {
    // Of a random bucket: being forgotten only means to be tried sooner.
    auto bucket = random.below(peers_.bucket_count());
    while (peers_.bucket_size(bucket) == 0) bucket = (bucket + 1) % peers_.bucket_count();
    peers_.erase(PackedPrefix(peers_.begin(bucket)->first));
  }
  return peers_[key];
}

}  // namespace sixlink::mesh
