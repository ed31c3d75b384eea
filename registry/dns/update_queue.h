// SPDX-License-Identifier: BSD-3-Clause
// Which changes are sent to the DNS server next, and when: batches of one zone, with a back-off of its own
// for each zone. A machine without I/O.
//
//   A zone:  ready --failure--> waiting (1 s, doubling to a minute) --time--> ready
//
// A server that refuses a batch may dislike one name of it: the next batch is half as large, and one name
// that is refused alone is put off, so that it does not stand in the others' way.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "registry/dns/record_plan.h"

namespace sixlink::registry::dns {

class UpdateQueue {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  static constexpr std::size_t kLargestBatch = 100;  // names; some 30 KB of commands
  static constexpr std::chrono::milliseconds kFirstDelay{1000};
  static constexpr std::chrono::milliseconds kLongestDelay{60000};
  static constexpr std::chrono::seconds kPutOff{60};

  struct Batch {
    std::string zone;
    std::vector<Change> changes;
    std::size_t names = 0;
  };
  enum class Failure {
    kZone,     // nobody answered, or the answer is about the whole zone (a wrong key)
    kRefused,  // the answer may be about one name of the batch
  };

  explicit UpdateQueue(std::uint32_t seed) : random_(seed) {}

  // What is to be done from now on, as plan_changes() gives it. Zones keep their back-off.
  void set(std::vector<Change> changes);
  // What to send now. The caller reports it by succeeded() or failed() before it asks again.
  std::optional<Batch> next(TimePoint now);
  // Takes the batch's changes out.
  void succeeded(const Batch& batch);
  void failed(const Batch& batch, Failure failure, TimePoint now);

  // When next() has something, at the earliest; nullopt: nothing is to be done.
  std::optional<TimePoint> next_due() const;
  // Forgets every delay.
  void retry_now();
  // How often the zone's updates failed one after another.
  int failures(const std::string& zone) const;
  std::size_t size() const { return changes_.size(); }

 private:
  using Name = std::pair<std::string, std::string>;  // zone, name
  struct Zone {
    std::size_t limit = kLargestBatch;
    int failures = 0;
    TimePoint not_before = TimePoint::min();
  };

  std::vector<Change> changes_;
  std::map<std::string, Zone> zones_;  // only those with something to do
  std::map<Name, TimePoint> put_off_;  // only names with something to do
  std::string last_zone_;              // zones take turns
  std::minstd_rand random_;            // spreads the retries of several registries
};

}  // namespace sixlink::registry::dns
