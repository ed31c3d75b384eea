// SPDX-License-Identifier: BSD-3-Clause
// The tunnel server's decisions: which client an inner packet belongs to, and whether it may pass. One
// interface and one table for all clients, not an interface for each. No I/O; the clock comes in once a
// batch.
//
// The control thread changes the tables, and alone may look into them freely. Lanes ask what is marked so,
// any number of them at once; what they note down is atomic.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/udp.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "registry/store/store.h"
#include "src/datapath/lane_policy.h"
#include "src/net/icmp.h"

namespace sixlink::registry {

// Where a client is on the outer side. v6v4 and v4v6 have no port.
struct Outer {
  LeaseMode mode = LeaseMode::kV6UdpV4;
  boost::asio::ip::address address;  // unspecified: nowhere
  std::uint16_t port = 0;

  friend bool operator==(const Outer&, const Outer&) = default;
};

// Our own addresses that clients speak to, by small numbers. Addresses are added and stay; a machine has few.
class LocalAddresses {
 public:
  // 0 is for the unspecified address, and for those for which there is no room.
  std::uint8_t number_of(const boost::asio::ip::address& address);
  const boost::asio::ip::address& operator[](std::uint8_t number) const { return addresses_[number]; }

 private:
  std::array<boost::asio::ip::address, 256> addresses_;
  std::atomic<std::size_t> count_{1};
  std::mutex mutex_;  // of whoever adds one
};

struct Tunnel : datapath::LanePeer {
  std::int64_t lease = 0;
  // Of mode v4v6 v4-mapped.
  net::AddressV6 address;
  std::optional<net::Prefix> prefix;
  std::optional<boost::asio::ip::address_v4> address_v4;  // mode wireguard: beside the IPv6 one
  Outer outer;                                            // mode wireguard: only the mode counts
  // Which of our addresses the client speaks to: TunnelServer::local_of().
  std::atomic<std::uint8_t> local{0};
  std::atomic<WallSeconds> last_seen{0};               // of the last packet; 0: none since it was put
  std::unique_ptr<datapath::WireguardPeer> wireguard;  // mode wireguard: for lanes
};

class TunnelServer {
 public:
  struct Settings {
    net::Prefix prefix;  // all IPv6 that is routed to the tunnel interface
    net::AddressV6 broker_address;
    std::size_t mtu = 1280;  // at most, of any mode
    // What each mode carries; not told: mtu.
    std::size_t mtu_v6udpv4 = 0;
    std::size_t mtu_v6v4 = 0;
    std::size_t mtu_v4v6 = 0;
    boost::asio::ip::address_v4 broker_address_v4{};  // unspecified: no v4v6
    std::size_t mtu_wireguard = 0;
  };
  explicit TunnelServer(const Settings& settings) : settings_(settings) {}

  // How a change of the tables is made while no lane asks; without it, at once.
  using Exclusively = std::function<void(const std::function<void()>& change)>;
  void set_exclusively(Exclusively exclusively) { exclusively_ = std::move(exclusively); }

  // Adds a lease or replaces the one of the same id. Who held the outer endpoint before is not connected any
  // more. A lease without an outer address is known but not connected. `local`: our address that the client
  // is expected to speak to; unspecified: not known.
  void put(const Lease& lease, const boost::asio::ip::address& local = {});
  void remove(std::int64_t lease);

  // Mode wireguard: the lease's peer has what the device says now. To be called while no lane asks.
  void update_session(std::int64_t lease, const wireguard::Device& device, wireguard::PeerId peer);
  // Lanes.
  const datapath::WireguardSessions& sessions() const { return sessions_; }

  // What is to be done with a packet.
  struct Verdict {
    std::optional<datapath::Drop> drop;    // nullopt: pass it on
    std::optional<net::IcmpPacket> error;  // with drop: to be sent back to where the packet came from
    Tunnel* tunnel = nullptr;              // from inside: where it goes to; passed: whose it is
  };
  // Lanes: whose packets come from `outer`, sent to our address `local`; null: nobody's.
  Tunnel* find_sender(const Outer& outer, const boost::asio::ip::address& local, WallSeconds now);
  // Lanes: a packet of that client; pass: write it to the interface.
  Verdict from_client(Tunnel& tunnel, std::span<const std::uint8_t> packet);
  // A packet that WireGuard says is from the lease's client.
  Verdict from_peer(std::int64_t lease, std::span<const std::uint8_t> packet, WallSeconds now);
  // Lanes: a packet from the interface, or a frame that is cut into packets of `largest` bytes; pass: send it
  // to verdict.tunnel->outer; an error goes back into the interface.
  Verdict from_inside(std::span<const std::uint8_t> packet, std::size_t largest);
  Verdict from_inside(std::span<const std::uint8_t> packet) { return from_inside(packet, packet.size()); }

  // Lanes: what packets of the tunnel hold at most.
  std::size_t mtu_of(const Tunnel& tunnel) const;
  // Lanes: our address that the client speaks to; unspecified until it did.
  const boost::asio::ip::address& local_of(const Tunnel& tunnel) const {
    return locals_[tunnel.local.load(std::memory_order_acquire)];
  }

  // Once a second at most: how many ICMP errors may be sent until the next call (RFC 4443 section 2.4 f).
  void refill_errors() { errors_left_ = kErrorsASecond; }

  // Calls with each tunnel that had a packet since the last call.
  template <typename Function>
  void for_each_active(Function&& function) {
    for (auto& [id, tunnel] : tunnels_) {
      if (tunnel->last_seen != 0) function(*tunnel);
    }
  }

  std::size_t size() const { return tunnels_.size(); }
  const Tunnel* find(const net::AddressV6& inner) const;
  const Tunnel* find_outer(const Outer& outer) const;

 private:
  static constexpr unsigned kErrorsASecond = 200;

  struct AddressHash {
    std::size_t operator()(const net::AddressV6::bytes_type& bytes) const;
  };
  struct OuterHash {
    std::size_t operator()(const Outer& outer) const;
  };

  Verdict refuse(datapath::Drop reason, std::span<const std::uint8_t> packet,
                 std::optional<net::Undeliverable> error = std::nullopt, std::size_t mtu = 0);
  void unlink(const Tunnel& tunnel);
  void link(const Lease& lease, const boost::asio::ip::address& local);
  void change(const std::function<void()>& what) { exclusively_ ? exclusively_(what) : what(); }

  Settings settings_;
  std::unordered_map<std::int64_t, std::unique_ptr<Tunnel>> tunnels_;
  std::unordered_map<net::AddressV6::bytes_type, Tunnel*, AddressHash> by_address_;
  // One table for each prefix length in use, few lengths at most (48 to 64, 104 to 128).
  std::array<std::unordered_map<net::AddressV6::bytes_type, Tunnel*, AddressHash>, 129> by_prefix_;
  std::vector<int> lengths_;  // in use, longest first
  std::unordered_map<Outer, Tunnel*, OuterHash> by_outer_;
  datapath::WireguardSessions sessions_;
  LocalAddresses locals_;
  std::atomic<unsigned> errors_left_{kErrorsASecond};
  Exclusively exclusively_;
};

}  // namespace sixlink::registry
