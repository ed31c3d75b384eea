// SPDX-License-Identifier: BSD-3-Clause
// What a SendBatch has collected, for the DatagramSocket of each system.
#pragma once

#include <array>

#include "platform/packet_io.h"

namespace sixlink::platform {

// One or more datagrams of one route: `pieces` of Scratch::pieces from first_piece on.
struct SendBatch::Message {
  Route route;
  std::uint32_t first_piece = 0;
  std::uint32_t pieces = 0;
  std::uint32_t size = 0;
  std::uint32_t segment_size = 0;  // of each datagram but the last, which may have less
  std::uint32_t datagrams = 0;
  bool is_closed = false;  // the last datagram was smaller: none may follow
};

struct SendBatch::Scratch {
  // What a system call takes for one message (UIO_MAXIOV).
  static constexpr std::size_t kMostPieces = 1024;

  // A peer that the kernel would not cut a super datagram for, and from which segment size on. Two peers in
  // one slot forget each other: that costs a failing call now and then.
  struct Refusal {
    boost::asio::ip::udp::endpoint peer;
    std::uint32_t segment_size = 0;
    std::uint32_t uses_left = 0;
  };
  static constexpr std::size_t kRefusals = 64;
  // After so many super datagrams it is tried again: paths change.
  static constexpr std::uint32_t kRefusalUses = 1024;

  std::vector<Message> messages;
  std::vector<iovec> pieces;
  std::array<Refusal, kRefusals> refusals;

  Refusal& refusal_of(const boost::asio::ip::udp::endpoint& peer);
  // Whether it is of use to ask the kernel to cut this one.
  bool may_segment(const Message& message);
  void remember_refusal(const Message& message, std::size_t from_segment_size);
};

}  // namespace sixlink::platform
