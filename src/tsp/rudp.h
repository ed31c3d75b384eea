// SPDX-License-Identifier: BSD-3-Clause
// TSP's reliable UDP (RFC 5572 section 4.1.2 after draft-ietf-sigtran-reliable-udp's idea): 8 bytes before
// each message, the reply is the acknowledgement. Machines without I/O.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sixlink::tsp {

using TimePoint = std::chrono::steady_clock::time_point;
using Bytes = std::span<const std::uint8_t>;

struct RudpHeader {
  static constexpr std::size_t kSize = 8;
  std::uint32_t sequence = 0;   // high nibble 0xF: tells control from tunnelled packets
  std::uint32_t timestamp = 0;  // milliseconds since the client's session began; echoed
};

// True when the first byte says RUDP control; 6 and 4 in the high nibble are inner packets.
inline bool is_rudp(Bytes datagram) {
  return datagram.size() >= RudpHeader::kSize && (datagram[0] >> 4) == 0xF;
}

struct RudpMessage {
  RudpHeader header;
  std::string_view text;  // a view into the datagram
};
std::optional<RudpMessage> parse_rudp(Bytes datagram);
std::vector<std::uint8_t> make_rudp(const RudpHeader& header, std::string_view text);

// The client's side of one session on one socket. One message is outstanding at a time.
//
//   send() -> waiting --reply--> idle -> send() ...
//               |  ^
//        deadline  | retransmit (same sequence, new timestamp)
//               v  |
//              tick() --attempts used up--> timed out
class RudpClient {
 public:
  struct Event {
    enum class Kind { kNothing, kReply, kRetransmit, kTimeout };
    Kind kind = Kind::kNothing;
    std::string_view text;               // kReply: view into the datagram given to input()
    std::vector<std::uint8_t> datagram;  // kRetransmit: to be sent
  };

  // Deployed clients begin there: very old servers read the number little-endian and see the nibble at its
  // other end.
  static constexpr std::uint32_t kFirstSequence = 0xF00000F0;

  explicit RudpClient(TimePoint session_start, std::uint32_t first_sequence = kFirstSequence)
      : start_(session_start), next_sequence_(first_sequence) {}

  // The datagram to send for the next message. The previous one must be answered.
  std::vector<std::uint8_t> send(std::string_view text, TimePoint now);
  // Replies with another sequence (late duplicates) and runts are ignored.
  Event input(Bytes datagram, TimePoint now);
  Event tick(TimePoint now);
  // When tick() has something to do; max() while nothing is outstanding.
  TimePoint deadline() const { return deadline_; }
  bool is_waiting() const { return is_waiting_; }
  unsigned messages_sent() const { return messages_; }
  std::chrono::milliseconds smoothed_rtt() const { return srtt_; }

 private:
  std::vector<std::uint8_t> transmit(TimePoint now);

  TimePoint start_;
  std::uint32_t next_sequence_;
  std::uint32_t sequence_ = 0;
  std::string text_;
  bool is_waiting_ = false;
  bool was_answered_ = false;
  unsigned sends_ = 0;
  unsigned messages_ = 0;
  TimePoint first_sent_{};
  TimePoint deadline_ = TimePoint::max();
  std::chrono::milliseconds rto_{1000};
  std::chrono::milliseconds srtt_{0};
  std::chrono::milliseconds rttvar_{0};
};

// The server's memory of one client: which sequence it answered and with what, so that a retransmission gets
// the same answer again and a repeated create allocates once.
class RudpServerPeer {
 public:
  enum class Disposition {
    kNew,       // handle it, then answered()
    kRepeated,  // send last_reply() again, with the timestamp of this copy
    kPending,   // a copy of what is being handled: its answer is on the way
    kStale,     // older than the last: ignore
  };
  Disposition classify(std::uint32_t sequence) const;
  // The message is being handled; its answer may come later.
  void begin(std::uint32_t sequence);
  void answered(std::string reply);
  const std::string& last_reply() const { return reply_; }
  std::uint32_t sequence() const { return sequence_; }

 private:
  bool has_message_ = false;
  bool is_pending_ = false;
  std::uint32_t sequence_ = 0;
  std::string reply_;
};

}  // namespace sixlink::tsp
