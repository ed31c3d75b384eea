// SPDX-License-Identifier: BSD-3-Clause
// Datagrams in a stream of bytes.
#include "src/net/datagram_stream.h"

#include <algorithm>

#include "src/net/big_endian.h"

namespace sixlink::net {

std::span<std::uint8_t> DatagramStream::room() {
  if (begin_ > 0) {
    std::copy(buffer_.get() + begin_, buffer_.get() + end_, buffer_.get());
    end_ -= begin_;
    begin_ = 0;
  }
  return {buffer_.get() + end_, kRoom - end_};
}

std::optional<std::span<const std::uint8_t>> DatagramStream::next() {
  const std::span<const std::uint8_t> bytes(buffer_.get(), end_);
  while (!is_broken_ && end_ - begin_ >= kDatagramHeader) {
    const std::size_t size = get16(bytes, begin_);
    if (size > kLargestStreamDatagram) {
      is_broken_ = true;
      break;
    }
    if (end_ - begin_ < kDatagramHeader + size) break;
    const auto datagram = bytes.subspan(begin_ + kDatagramHeader, size);
    begin_ += kDatagramHeader + size;
    if (size > 0) return datagram;
  }
  return std::nullopt;
}

void append_datagram(std::vector<std::uint8_t>& stream, std::span<const std::uint8_t> datagram) {
  const auto at = stream.size();
  stream.resize(at + kDatagramHeader);
  put16(stream, at, datagram.size());
  stream.insert(stream.end(), datagram.begin(), datagram.end());
}

}  // namespace sixlink::net
