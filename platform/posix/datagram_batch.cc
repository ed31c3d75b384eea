// SPDX-License-Identifier: BSD-3-Clause
// The storage of a batch.
#include "platform/platform.h"

namespace sixlink::platform {

DatagramBatch::DatagramBatch(std::size_t buffer_size)
    : buffer_size_(buffer_size), storage_(new std::uint8_t[kCapacity * buffer_size]), datagrams_(kCapacity) {
  for (std::size_t i = 0; i < kCapacity; ++i) datagrams_[i].data = buffer(i).data();
}

}  // namespace sixlink::platform
