// SPDX-License-Identifier: BSD-3-Clause
// What lanes hand to the control thread: messages that are no data packets, and errors. Bounded: what does
// not fit is dropped, as it would be by a full socket, but errors always fit.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "platform/packet_io.h"
#include "src/datapath/wake_pipe.h"

namespace sixlink::datapath {

struct LaneMessage {
  enum class Kind : std::uint8_t {
    kDatagram,   // of the outer side, not to be taken for an inner packet
    kPacket,     // an inner packet that came in and that the control thread wants to see
    kDeparture,  // an inner packet from the interface that the control thread is to send; `tag` says where
    kWake,       // `tag`, a WireGuard peer: wireguard::Device::wake()
    kRoamed,     // `tag`, a WireGuard peer, sends on `route`: wireguard::Device::roamed()
    kError,      // an ICMP message about a packet that goes nowhere
  };
  Kind kind = Kind::kDatagram;
  bool is_truncated = false;
  bool is_from_inside = false;  // kError: the packet came from the interface, and the message goes back there
  std::uint16_t socket = 0;     // that it came from
  std::int64_t tag = 0;
  platform::Route route;
  std::span<std::uint8_t> bytes;
};

struct LaneErrors {
  int receive = 0;  // the last of them; 0: none
  int send = 0;
  int interface = 0;  // it is gone, down or broken

  bool any() const { return receive != 0 || send != 0 || interface != 0; }
};

class LaneMailbox {
 public:
  static constexpr std::size_t kMostMessages = 1024;
  static constexpr std::size_t kMostBytes = 1 << 20;
  explicit LaneMailbox(std::size_t most_messages = kMostMessages, std::size_t most_bytes = kMostBytes);

  // Readable when there is something.
  int fd() const { return wake_.fd(); }

  // Any thread: a message with these bytes, which may be in two pieces. False: full.
  bool post(const LaneMessage& message, std::span<const std::uint8_t> bytes,
            std::span<const std::uint8_t> more = {});
  void post_receive_error(int number) { post_error(&LaneErrors::receive, number); }
  void post_send_error(int number) { post_error(&LaneErrors::send, number); }
  void post_interface_error(int number) { post_error(&LaneErrors::interface, number); }

  // The control thread. `take` is given each message in the order of post(); its bytes are there during the
  // call only.
  template <typename Take>
  LaneErrors drain(Take&& take) {
    const auto errors = swap();
    for (auto& entry : draining_.entries) {
      entry.message.bytes = std::span(draining_.bytes).subspan(entry.offset, entry.size);
      take(entry.message);
    }
    draining_.entries.clear();
    draining_.bytes.clear();
    return errors;
  }

 private:
  struct Entry {
    LaneMessage message;
    std::size_t offset = 0;
    std::size_t size = 0;
  };
  struct Box {
    std::vector<Entry> entries;
    std::vector<std::uint8_t> bytes;
  };

  LaneErrors swap();
  bool is_empty() const { return filling_.entries.empty() && !errors_.any(); }
  void post_error(int LaneErrors::*which, int number);

  const std::size_t most_messages_;
  const std::size_t most_bytes_;
  WakePipe wake_;
  std::mutex mutex_;  // of filling_ and errors_
  Box filling_;
  LaneErrors errors_;
  Box draining_;  // the control thread's
};

}  // namespace sixlink::datapath
