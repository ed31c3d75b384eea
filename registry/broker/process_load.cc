// SPDX-License-Identifier: BSD-3-Clause
// How busy this process is.
#include "registry/broker/process_load.h"

#include <sys/resource.h>
#include <sys/time.h>

namespace sixlink::registry {

void ProcessLoad::add(TimePoint now, std::chrono::microseconds cpu_time) {
  samples_.push_back({now, cpu_time});
  while (samples_.size() > 2 && samples_[1].at <= now - kWindow) samples_.pop_front();
}

double ProcessLoad::percent() const {
  if (samples_.size() < 2) return 0;
  const auto& first = samples_.front();
  const auto& last = samples_.back();
  const std::chrono::duration<double> passed = last.at - first.at;
  const std::chrono::duration<double> used = last.cpu_time - first.cpu_time;
  return passed.count() <= 0 ? 0 : 100 * used.count() / passed.count();
}

std::chrono::microseconds process_cpu_time() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

}  // namespace sixlink::registry
