// SPDX-License-Identifier: BSD-3-Clause
// What lanes hand to the control thread.
#include "src/datapath/lane_mailbox.h"

#include <utility>

namespace sixlink::datapath {

LaneMailbox::LaneMailbox(std::size_t most_messages, std::size_t most_bytes)
    : most_messages_(most_messages), most_bytes_(most_bytes) {
  // Reserved, so that lanes do not allocate; memory is taken when it is written.
  for (auto* box : {&filling_, &draining_}) {
    box->entries.reserve(most_messages_);
    box->bytes.reserve(most_bytes_);
  }
}

bool LaneMailbox::post(const LaneMessage& message, std::span<const std::uint8_t> bytes,
                       std::span<const std::uint8_t> more) {
  const auto size = bytes.size() + more.size();
  const std::lock_guard lock(mutex_);
  if (filling_.entries.size() == most_messages_ || filling_.bytes.size() + size > most_bytes_) return false;
  if (is_empty()) wake_.wake();
  filling_.entries.push_back({message, filling_.bytes.size(), size});
  filling_.bytes.insert(filling_.bytes.end(), bytes.begin(), bytes.end());
  filling_.bytes.insert(filling_.bytes.end(), more.begin(), more.end());
  return true;
}

void LaneMailbox::post_error(int LaneErrors::*which, int number) {
  const std::lock_guard lock(mutex_);
  if (is_empty()) wake_.wake();
  errors_.*which = number;
}

LaneErrors LaneMailbox::swap() {
  const std::lock_guard lock(mutex_);
  wake_.clear();
  std::swap(filling_, draining_);
  return std::exchange(errors_, {});
}

}  // namespace sixlink::datapath
