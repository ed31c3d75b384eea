// SPDX-License-Identifier: BSD-3-Clause
// The WireGuard part of an in lane: decrypts the messages of a batch, refuses repetitions, and tells their
// peers' timers.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "src/datapath/inner_filter.h"
#include "src/datapath/lane_mailbox.h"
#include "src/datapath/wireguard_sessions.h"
#include "src/wireguard/sealer.h"

namespace sixlink::datapath {

class LaneOpener {
 public:
  // Throws std::runtime_error when OpenSSL lacks the cipher.
  explicit LaneOpener(LaneMailbox& mailbox) : mailbox_(mailbox) {}

  // Type 4 and three zeros (whitepaper section 5.4.6).
  static bool is_data(std::span<const std::uint8_t> datagram) {
    return datagram.size() >= wireguard::kDataOverhead && datagram[0] == 4 && datagram[1] == 0 &&
           datagram[2] == 0 && datagram[3] == 0;
  }

  // Once a batch.
  void set_time(wireguard::TimePoint now) { now_ = now; }
  struct Opened {
    std::optional<Drop> drop;
    LanePeer* sender = nullptr;        // without drop: whose it is
    std::span<std::uint8_t> packet{};  // within `message`; empty: a keepalive
  };
  Opened open(const WireguardSessions& sessions, const platform::Route& from,
              std::span<std::uint8_t> message);
  // Before the lane's mutex is let go: timers learn of what came, and the session is left.
  void settle();
  // Keys were changed: they go from here too.
  void forget_keys() { opener_.forget(); }

 private:
  LaneMailbox& mailbox_;
  wireguard::Opener opener_;
  wireguard::TimePoint now_{};
  // Of the last message.
  std::uint32_t index_ = 0;
  WireguardSessions::Session session_;
  std::optional<wireguard::Keypair::Window> window_;
  platform::Route from_;  // of an authentic one
  std::uint64_t packets_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace sixlink::datapath
