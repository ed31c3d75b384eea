// SPDX-License-Identifier: BSD-3-Clause
// Datagrams in a stream of bytes: each with its length (16 bits, network byte order) before it. A length of 0
// is padding, as a keepalive.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace sixlink::net {

inline constexpr std::size_t kDatagramHeader = 2;
// With its length it fits in a TLS record.
inline constexpr std::size_t kLargestStreamDatagram = 16384 - kDatagramHeader;

// The receiving end. The storage is allocated once, and bounded.
class DatagramStream {
 public:
  static constexpr std::size_t kRoom = 49152;

  DatagramStream() : buffer_(new std::uint8_t[kRoom]) {}

  // Where the next bytes of the stream are to be written; at least 16,384 once next() has said nullopt.
  // Invalidates what next() returned.
  std::span<std::uint8_t> room();
  // So many were.
  void written(std::size_t size) { end_ += size; }
  // The next datagram that is complete, valid until room(). nullopt: none, or is_broken().
  std::optional<std::span<const std::uint8_t>> next();
  // A length that is not allowed: nothing that follows can be read.
  bool is_broken() const { return is_broken_; }

 private:
  std::unique_ptr<std::uint8_t[]> buffer_;  // not initialised: memory is taken as it is used
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool is_broken_ = false;
};

// Appends `datagram` (1 to kLargestStreamDatagram bytes) to `stream`.
void append_datagram(std::vector<std::uint8_t>& stream, std::span<const std::uint8_t> datagram);

}  // namespace sixlink::net
