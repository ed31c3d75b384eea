// SPDX-License-Identifier: BSD-3-Clause
// One client of a registry's WireGuard tunnel server, for registry_load.cc: its key, its session, and one
// packet that it sends until it was answered.
#pragma once

#include <array>
#include <chrono>
#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "src/pki/wireguard_key.h"
#include "src/wireguard/device.h"

namespace sixlink::bench {

class WireguardClient {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  std::string public_key() const { return pair_.public_key().to_string(); }

  // False: the broker's key is none.
  bool start(std::string_view server_key, TimePoint now) {
    const auto key = pki::WireguardKey::parse(server_key);
    if (!key) return false;
    wireguard::SecretKey secret;
    std::memcpy(secret.writable().data(), pair_.private_bytes().data(), wireguard::kKeySize);
    device_.emplace(std::move(secret));
    wireguard::PeerConfig peer;
    peer.public_key = key->bytes;
    // Where it really is, the caller knows.
    peer.endpoint = {boost::asio::ip::address_v4::loopback(), 1};
    peer.allowed_ips = {*net::Prefix::make({}, 0)};
    const auto added = device_->add_peer(std::move(peer), now, actions_);
    if (!added) return false;
    peer_ = *added;
    actions_.clear();
    return true;
  }

  // Calls `queue` with each datagram for the broker.
  template <typename Queue>
  void send(std::span<const std::uint8_t> packet, TimePoint now, Queue&& queue) {
    if (!device_) return;
    device_->tick(now, actions_);
    device_->send_to(peer_, packet, now, actions_);
    carry_out(queue);
  }
  // True: a packet was in it.
  template <typename Queue>
  bool receive(std::string_view datagram, TimePoint now, Queue&& queue) {
    if (!device_) return false;
    std::array<std::uint8_t, 2048> room;
    if (datagram.size() > room.size()) return false;
    std::memcpy(room.data(), datagram.data(), datagram.size());
    device_->input(std::span(room).first(datagram.size()), {{boost::asio::ip::address_v4::loopback(), 1}, {}},
                   now, actions_);
    const bool has_packet = !actions_.packets.empty();
    carry_out(queue);
    return has_packet;
  }

 private:
  static pki::WireguardKeyPair make_pair() {
    auto pair = pki::WireguardKeyPair::generate();
    if (!pair) throw std::runtime_error("OpenSSL has no X25519");
    return *std::move(pair);
  }

  template <typename Queue>
  void carry_out(Queue&& queue) {
    for (const auto& datagram : actions_.datagrams)
      queue(std::string_view(reinterpret_cast<const char*>(datagram.bytes.data()), datagram.bytes.size()));
    actions_.clear();
  }

  pki::WireguardKeyPair pair_ = make_pair();
  std::optional<wireguard::Device> device_;
  wireguard::PeerId peer_;
  wireguard::Actions actions_;
};

}  // namespace sixlink::bench
