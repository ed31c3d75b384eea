// SPDX-License-Identifier: BSD-3-Clause
// The WireGuard part of an out lane: encrypts the packets of a batch and tells their peers' timers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "src/datapath/lane_mailbox.h"
#include "src/datapath/segment.h"
#include "src/datapath/wireguard_sessions.h"
#include "src/wireguard/sealer.h"

namespace sixlink::datapath {

class LaneSealer {
 public:
  // Throws std::runtime_error when OpenSSL lacks the cipher.
  explicit LaneSealer(LaneMailbox& mailbox) : mailbox_(mailbox) {}

  // Once a batch.
  void set_time(wireguard::TimePoint now) { now_ = now; }
  // `packets` for `peer` follow. False: there is no session to send them in.
  bool begin(const WireguardPeer& peer, std::size_t packets);
  static std::size_t message_size(std::size_t packet, std::size_t mtu) {
    return wireguard::padded_size(packet, mtu) + wireguard::kDataOverhead;
  }
  // The next of them becomes a message of message_size() bytes at `to`. Its size; 0: OpenSSL failed.
  std::size_t seal(const Segment& packet, std::size_t mtu, std::uint8_t* to);
  // At the end of a batch: timers learn of it, and keys are let go.
  void settle();
  // Keys were changed: they go from here too.
  void forget_keys() { sealer_.forget(); }

 private:
  void tell();

  LaneMailbox& mailbox_;
  wireguard::Sealer sealer_;
  wireguard::TimePoint now_{};
  // The peer of the last packets. Shared, as it may be removed while the lane sends.
  const WireguardPeer* peer_ = nullptr;
  std::int64_t tag_ = 0;
  wireguard::KeypairRef keypair_;
  std::shared_ptr<wireguard::Activity> activity_;
  std::uint64_t counter_ = 0;  // the next one
  std::uint64_t packets_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace sixlink::datapath
