// SPDX-License-Identifier: BSD-3-Clause
// The storage of a batch.
#include "platform/platform.h"

namespace sixlink::platform {

DatagramBatch::DatagramBatch() : storage_(new std::uint8_t[kCapacity * kBufferSize]), datagrams_(kCapacity) {
  for (std::size_t i = 0; i < kCapacity; ++i) datagrams_[i].data = storage_.get() + i * kBufferSize;
}

}  // namespace sixlink::platform
