// SPDX-License-Identifier: BSD-3-Clause
// Inner packets as they were sent, of those that a kernel hands to a raw socket.
//
// Kernels join the TCP segments of a connection also inside tunnels, when they receive (GRO) and when they
// send to an interface that would cut them up itself (GSO; to another namespace or virtual machine nobody
// does), and in the same way leave the checksum to the interface. An own end of a tunnel in the kernel undoes
// that; a raw socket gets one packet of up to 64 KiB, or with a checksum of the pseudo-header alone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "src/datapath/frame.h"

namespace sixlink::datapath {

class JoinedPackets {
 public:
  // `packet` is one inner packet as received; it is changed in place. TCP longer than `mtu` is cut. What is
  // anything else, or malformed, comes out as it is.
  JoinedPackets(std::span<std::uint8_t> packet, std::size_t mtu);

  bool is_joined() const { return is_joined_; }

  // Joined TCP as one frame, for an interface that cuts: the packet, in place, with this header. nullopt: it
  // is no such packet. In place of next(), not with it.
  std::optional<FrameHeader> frame();

  // The next packet, valid until the next call; nullopt: that was all.
  std::optional<std::span<std::uint8_t>> next();

 private:
  // IPv4 with options, or IPv6, and TCP, each with all that its length field can say.
  static constexpr std::size_t kMaximumHeaders = 60 + 60;

  void examine();
  std::span<std::uint8_t> cut();

  std::span<std::uint8_t> packet_;
  std::size_t mtu_;
  std::size_t transport_ = 0;  // where TCP begins
  std::size_t headers_ = 0;    // where the data begins
  std::size_t data_ = 0;       // bytes of data in each packet, if joined
  std::size_t done_ = 0;       // bytes of data that came out
  std::array<std::uint8_t, kMaximumHeaders> header_{};
  bool is_joined_ = false;
  bool has_ended_ = false;
};

}  // namespace sixlink::datapath
