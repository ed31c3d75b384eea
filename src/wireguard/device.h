// SPDX-License-Identifier: BSD-3-Clause
// The WireGuard protocol as a machine without I/O: one interface's key, its peers, their handshakes, sessions
// and timers (whitepaper; "WireGuard: Next Generation Kernel Network Tunnel").
#pragma once

#include <boost/asio/ip/udp.hpp>
#include <boost/system/result.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/net/prefix.h"
#include "src/wireguard/activity.h"
#include "src/wireguard/allowed_ips.h"
#include "src/wireguard/keypair.h"
#include "src/wireguard/protocol.h"
#include "src/wireguard/secret_key.h"

namespace sixlink::wireguard {

// Names a peer as long as the device lives: a removed peer's id is never another's.
struct PeerId {
  std::uint32_t slot =
      UINT32_MAX;  // a small number, used again after removal: AllowedIps' owner, a lane's table
  std::uint32_t generation = 0;

  friend bool operator==(const PeerId&, const PeerId&) = default;
};

// Where a peer is: its address, and which of ours it was last seen at (unspecified: not known, the system
// picks).
struct Endpoint {
  boost::asio::ip::udp::endpoint remote;
  boost::asio::ip::address local;

  bool is_known() const { return remote.port() != 0; }
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

struct PeerConfig {
  PublicKey public_key{};
  std::optional<SecretKey> preshared_key;
  std::optional<boost::asio::ip::udp::endpoint> endpoint;
  // v4-mapped for IPv4 (net::v4_mapped). What another peer had moves here.
  std::vector<net::Prefix> allowed_ips;
  std::chrono::seconds persistent_keepalive{0};  // 0: none
};

enum class Error {
  kOwnKey,        // a peer with this device's own public key
  kUselessKey,    // a public key of low order: everyone would know the keys made with it
  kPeerExists,    // a second peer with the same key
  kTooManyPeers,  // Settings::most_peers
};
const char* explain(Error error);
// For result::value().
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& where);

struct Settings {
  std::size_t most_peers = 1 << 20;
  // Of the tunnel: inner packets are not padded beyond it. 0: without limit.
  std::size_t mtu = 1420;
  // Handshakes that arrive in a second, from all; above it initiators must first show, with a cookie, that
  // they receive at their address. One costs an eighth of a millisecond.
  unsigned busy_handshakes_per_second = 800;
  // For tests and simulations: where randomness and the wall clock (only for timestamps in initiations and
  // for "latest handshake") come from. Empty: the system's.
  std::function<void(std::span<std::uint8_t>)> random = {};
  std::function<std::chrono::system_clock::time_point()> wall_clock = {};
};

// What became of a datagram or a packet. Counted in Counters.
enum class Outcome : std::uint8_t {
  // received
  kHandshakeAnswered,  // an initiation: the response is in the actions
  kSessionMade,        // a response: keys are there
  kCookieAnswered,     // under load: a cookie is in the actions
  kCookieTaken,        // for the next initiation
  kData,               // an inner packet is in the actions
  kKeepalive,
  kMalformed,      // no WireGuard message, or of a wrong size
  kForged,         // mac1 or a tag is wrong
  kUnknownPeer,    // a valid initiation of no peer of ours
  kUnknownIndex,   // for no session of ours
  kReplayed,       // an initiation or a counter that was seen before, or is too old
  kFlooding,       // more initiations than one address or peer may make
  kExpired,        // the session is too old
  kForeignSource,  // an inner packet from an address that is not the peer's
  kNotIp,          // decrypted, but no inner packet
  // to be sent
  kSent,
  kStaged,      // waits for a session
  kNoRoute,     // no peer has the address
  kNoEndpoint,  // the peer's address is not known
  kTooLong,     // does not fit a datagram
  kCount,
};
const char* to_string(Outcome outcome);

// What the caller has to do, in this order. Reused: clear() keeps the storage.
struct Actions {
  struct Change {
    PeerId peer;
    bool keys = false;      // keypairs() of it: lanes' tables
    bool endpoint = false;  // endpoint() of it
    // The handshake was completed; or 90 seconds of attempts were in vain (it is tried again when there is
    // traffic).
    bool is_reachable = false;
    bool is_unreachable = false;
  };
  struct Datagram {
    PeerId peer;  // not set: an answer to someone who is no peer yet (a cookie)
    Endpoint to;
    std::vector<std::uint8_t> bytes;
  };
  struct Packet {
    PeerId peer;
    std::vector<std::uint8_t> bytes;
  };
  // Before sending, so that what is answered finds its keys. A peer may stand there more than once.
  std::vector<Change> changes;
  std::vector<Datagram> datagrams;
  std::vector<Packet> packets;  // inner packets that came

  void clear();
  bool empty() const { return changes.empty() && datagrams.empty() && packets.empty(); }
};

struct Keypairs {
  KeypairRef previous;  // receives until it expires
  KeypairRef current;   // sends and receives
  KeypairRef next;      // receives; becomes the current one when something comes (responder)
};

struct PeerStatus {
  PublicKey public_key{};
  bool has_preshared_key = false;
  std::optional<Endpoint> endpoint;
  std::vector<net::Prefix> allowed_ips;
  std::chrono::seconds persistent_keepalive{0};
  std::optional<std::chrono::system_clock::time_point> latest_handshake;
  std::uint64_t bytes_received = 0;  // of whole messages, handshakes included
  std::uint64_t bytes_sent = 0;
  bool has_session = false;  // a keypair that may send now
};

struct Counters {
  std::uint64_t outcomes[static_cast<std::size_t>(Outcome::kCount)] = {};
  std::uint64_t initiations_sent = 0;
  std::uint64_t dh_operations = 0;

  std::uint64_t operator[](Outcome outcome) const { return outcomes[static_cast<std::size_t>(outcome)]; }
};

// For the control thread alone. It also has the whole data path, so that it runs by itself where one thread
// is enough (tests, simulations); datapath threads work with what keypairs(), activity(), endpoint() and
// allowed_ips() give, and tell it by wake() and roamed().
class Device {
 public:
  // `now` and all later ones are of one steady clock and do not go back. Throws std::runtime_error when
  // OpenSSL lacks an algorithm.
  explicit Device(SecretKey private_key, Settings settings = {});
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const PublicKey& public_key() const;

  // ---- peers ----
  boost::system::result<PeerId, Error> add_peer(PeerConfig config, TimePoint now, Actions& actions);
  // Its keys are wiped as soon as no lane holds them; actions.changes says so (keypairs() is empty then).
  void remove_peer(PeerId peer, Actions& actions);
  std::optional<PeerId> find_peer(const PublicKey& public_key) const;
  // A peer's slot: who a prefix of allowed_ips() belongs to.
  std::optional<PeerId> peer_in_slot(std::uint32_t slot) const;
  std::size_t peer_count() const;
  std::vector<PeerId> peers() const;

  void set_endpoint(PeerId peer, const boost::asio::ip::udp::endpoint& endpoint, Actions& actions);
  void set_persistent_keepalive(PeerId peer, std::chrono::seconds interval, TimePoint now, Actions& actions);
  void add_allowed_ip(PeerId peer, const net::Prefix& prefix);
  void remove_allowed_ip(PeerId peer, const net::Prefix& prefix);
  // Begins a handshake without waiting for traffic, unless one was begun within REKEY_TIMEOUT.
  void connect(PeerId peer, TimePoint now, Actions& actions);

  // ---- the machine ----
  // A datagram from the outer network. Hostile until shown otherwise. `datagram` is decrypted in place.
  Outcome input(std::span<std::uint8_t> datagram, const Endpoint& from, TimePoint now, Actions& actions);
  // An inner packet, for the peer whose address it is sent to.
  Outcome send(Bytes packet, TimePoint now, Actions& actions);
  // The same for a peer that is known, as where each has an interface of its own.
  Outcome send_to(PeerId peer, Bytes packet, TimePoint now, Actions& actions);
  // All that is due.
  void tick(TimePoint now, Actions& actions);
  // When tick() has something to do; max(): never.
  TimePoint deadline() const;

  // ---- from datapath threads, through a queue ----
  // An Activity or Keypair::confirm() asked for it.
  void wake(PeerId peer, TimePoint now, Actions& actions);
  // An authenticated, new message of `peer` came from there.
  void roamed(PeerId peer, const Endpoint& from, Actions& actions);

  // ---- what lanes work with; empty for a peer that is gone ----
  Keypairs keypairs(PeerId peer) const;
  std::shared_ptr<Activity> activity(PeerId peer) const;
  std::optional<Endpoint> endpoint(PeerId peer) const;
  const AllowedIps& allowed_ips() const;

  std::optional<PeerStatus> status(PeerId peer, TimePoint now) const;
  const Counters& counters() const;

 private:
  class Machine;
  std::unique_ptr<Machine> machine_;
};

}  // namespace sixlink::wireguard
