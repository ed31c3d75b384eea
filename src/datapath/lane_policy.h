// SPDX-License-Identifier: BSD-3-Clause
// What lanes ask about packets: whose they are, whether they may pass, where they go. No I/O. Called from
// several lanes at once, each under its own mutex; whoever changes what the answers depend on holds the
// mutexes of all of them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "platform/packet_io.h"
#include "src/datapath/inner_filter.h"
#include "src/datapath/wireguard_sessions.h"
#include "src/net/icmp.h"

namespace sixlink::datapath {

// What the outer socket is.
enum class Encapsulation : std::uint8_t {
  kUdp,
  kIpv6InIpv4,  // what is received begins with the IPv4 header
  kIpv4InIpv6,
};

// The other end of a tunnel, whatever the policy knows of it.
class LanePeer {
 protected:
  LanePeer() = default;
  ~LanePeer() = default;
};

class LanePolicy {
 public:
  virtual ~LanePolicy() = default;

  // Whether a packet passes; if not, why, and what its sender is to be told.
  struct Decision {
    std::optional<Drop> drop;
    std::optional<net::IcmpPacket> error;
    std::size_t mtu = 0;  // what the tunnel carries
    // It was decided by more than addresses and next header: packets like it are to be asked about, too.
    bool is_alone = false;
  };

  struct Arrival : Decision {
    bool is_watched = false;  // the control thread wants a copy
    bool is_taken = false;    // the control thread has it, and nobody else
  };
  // Who sends datagrams on that route to socket `socket` of the lane; null: nobody that we know. Asked once
  // for those that came together.
  virtual LanePeer* find_sender(std::size_t socket, const platform::Route& route) = 0;
  // An inner packet of `sender`.
  virtual Arrival arrive(LanePeer& sender, std::span<const std::uint8_t> packet) = 0;
  // The sessions of the WireGuard messages that come; null: this is no WireGuard tunnel.
  virtual const WireguardSessions* sessions() const { return nullptr; }
  // Whether a UDP datagram is no packet, but for the control thread.
  virtual bool is_control(std::span<const std::uint8_t> datagram) const = 0;

  struct Departure : Decision {
    // To be encrypted for this peer. Without a session it is the control thread's, as a message with its tag.
    const WireguardPeer* wireguard = nullptr;
    std::size_t socket = 0;  // of the lane's sockets
    platform::Route route;   // the lane fills in the traffic class
  };
  // A packet or frame from the interface. `largest`: bytes in the largest packet that it is cut into.
  virtual Departure depart(std::span<const std::uint8_t> frame, std::size_t largest) = 0;
};

}  // namespace sixlink::datapath
