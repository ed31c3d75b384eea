// SPDX-License-Identifier: BSD-3-Clause
// A node of the mesh as a machine without I/O: whom it knows, which links it makes and keeps, what it tells
// its neighbours. Datagrams, events and times go in; what is to be done comes out. The daemon runs it over
// sockets, WireGuard and babeld; tests/sim runs it ten thousand times in one process.
#pragma once

#include <boost/asio/ip/udp.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "src/mesh/contact.h"
#include "src/mesh/parameters.h"
#include "src/mesh/signed_contact.h"
#include "src/net/prefix.h"

namespace sixlink::mesh {

using TimePoint = std::chrono::steady_clock::time_point;
using Endpoint = boost::asio::ip::udp::endpoint;  // IPv4 as such, never v4-mapped

// Names a link as long as the node lives. Never 0, never used again.
using LinkId = std::uint64_t;

// Which way a datagram goes or came.
//   kOuter    the node's UDP port, in the clear: negotiation of links, hole punching
//   kLink     inside of a link that is up, encrypted: between neighbours
//   kOverlay  between the nodes' own addresses (prefix::1), over however many links
enum class Way : std::uint8_t { kOuter, kLink, kOverlay };

struct Path {
  Way way = Way::kOuter;
  Endpoint endpoint;                      // kOuter: the other's; kOverlay: its node address, port 3653
  Transport transport = Transport::kUdp;  // kOuter
  LinkId link = 0;                        // kLink

  friend bool operator==(const Path&, const Path&) = default;
};

// ---- What the node is to do ----

struct SendDatagram {
  Path path;
  std::vector<std::uint8_t> bytes;  // 1,232 at most
};

// Make the link: an interface of its own, WireGuard with this peer. What happens to it is told with
// on_handshake() and on_link_failed().
struct OpenLink {
  LinkId link = 0;
  net::Prefix peer;
  pki::WireguardKey key;
  Endpoint endpoint;
  Transport transport = Transport::kUdp;
  bool is_initiator = false;  // begins the handshake
  int mtu = 1280;
  // This end's port, that no other link has, so that it can be a WireGuard interface of the kernel's. 0: the
  // node's port, which all share.
  std::uint16_t own_port = 0;
};
// The link carries traffic: tell the router. Comes once for each link, after its first handshake.
struct UseLink {
  LinkId link = 0;
};
// Its traffic is to go elsewhere: the link will be closed.
struct RaiseCost {
  LinkId link = 0;
};
// Withdraw it from the router, then take it away. Nothing of it may be told afterwards.
struct CloseLink {
  LinkId link = 0;
};

// The registry, by whatever the edge has for that; answers come with on_contact() or not at all.
struct AskContacts {
  unsigned count = 0;  // random ones that live
};
struct AskContact {
  net::Prefix node;
};
// This node's own, newly signed: to the registry, and the cache.
struct PublishContact {};
// Newer network parameters were taken: parameters(); the edge stores them, and configures the router.
struct UseParameters {};

// What an operator may want to know; the edge words it, and bounds how often.
enum class NodeEvent : std::uint8_t {
  kLinkUp,
  kLinkLost,     // no answers any more
  kLinkClosed,   // by one of the two, as meant
  kLinkRefused,  // by the other: `detail` says why
  kLinkFailed,   // no answer, or no handshake
  kServedFull,   // somebody was refused, because enough are served
  kRevoked,      // a neighbour's certificate was
  kBadContact,   // `detail`: what is wrong with what somebody sent
  kBadMessage,
  kBadParameters,
};
struct Report {
  NodeEvent event;
  std::optional<net::Prefix> peer;
  std::string detail;
};

using Action = std::variant<SendDatagram, OpenLink, UseLink, RaiseCost, CloseLink, AskContacts, AskContact,
                            PublishContact, UseParameters, Report>;

// ---- What it is told ----

struct Traffic {
  LinkId link = 0;
  std::uint64_t received = 0;  // datagrams of the other's, authenticated; ever growing
  // Inner packets of the interface: not what SendDatagram put into the link, nor WireGuard's own messages.
  // These would make two nodes ask each other for ever.
  std::uint64_t sent = 0;
  std::uint64_t bytes = 0;  // both ways
  // Where WireGuard has the peer of a link over UDP now, as it authenticated from there. Port 0: not known.
  Endpoint endpoint{};
};
struct Reached {
  net::Prefix node;
  LinkId through = 0;  // 0: not by a link of ours
};

// ---- What it tells of itself ----

enum class LinkState : std::uint8_t { kNegotiating, kHandshake, kUp, kSuspect, kRetiring };
const char* to_string(LinkState state);

struct LinkStatus {
  LinkId link = 0;  // 0: it is being negotiated
  net::Prefix peer;
  Endpoint endpoint;
  Transport transport = Transport::kUdp;
  LinkState state = LinkState::kNegotiating;
  bool is_ours = false;   // we began it: of the client_count; else one that we serve
  bool is_fixed = false;  // a configured neighbour's: never replaced
  TimePoint since{};
  std::optional<std::chrono::microseconds> rtt;  // the last probe's
  double loss = 0;                               // of the last 100 probes
  std::size_t routes = 0;                        // nodes that are reached through it
  std::uint64_t bytes = 0;
};

struct NodeCounters {
  std::uint64_t datagrams_received = 0;
  std::uint64_t datagrams_sent = 0;
  std::uint64_t bytes_sent = 0;  // of control
  std::uint64_t malformed = 0;
  std::uint64_t bad_contacts = 0;
  std::uint64_t old_contacts = 0;
  std::uint64_t bad_parameters = 0;
  std::uint64_t refused = 0;
  std::uint64_t rate_limited = 0;
};

// Which links over UDP may have a port of their own at this end. Where one does not come through the next is
// made over the ports that are shared.
enum class OwnPorts : std::uint8_t {
  kNever,
  kInTheOpen,  // those that were negotiated directly, unless this node is behind a NAT
  kDirectly,   // those that were negotiated directly
};

struct NodeSettings {
  net::Prefix prefix;
  // Always linked, besides the random ones.
  std::vector<net::Prefix> neighbours;
  // Instead of everything else: one link, to whoever answers first at one of these. No links for others.
  // Empty: a node like others.
  std::vector<Endpoint> client_only;
  // In order of preference.
  std::vector<Transport> transports{Transport::kUdp, Transport::kTcp};
  // Overrides of the network's parameters.
  std::optional<int> client_count;
  std::optional<std::chrono::seconds> tunnel_refresh;
  std::size_t most_served = 0;    // 0: twice client_count
  std::size_t most_known = 1024;  // contacts kept; of destinations only the prefix is kept
  int mtu = 1420;                 // of links
  std::string software;
  OwnPorts own_ports = OwnPorts::kNever;
};

// Signs this node's contacts. Called once in 10 s at most, but for the first few.
class ContactSigner {
 public:
  virtual ~ContactSigner() = default;
  virtual SignedContact sign(const Contact& contact) const = 0;
};
// Checks the network's parameters (open_parameters()).
class ParametersVerifier {
 public:
  virtual ~ParametersVerifier() = default;
  virtual ParsedParameters open(std::span<const std::uint8_t> der, WallTime now) const = 0;
};

// The control thread's. `now` and all later ones are of one steady clock and do not go back; `wall` is the
// calendar's, which may.
class MeshNode {
 public:
  struct Times {
    TimePoint now;
    WallTime wall;
  };
  // All that is given outlives the node. `seed` makes it repeatable.
  MeshNode(NodeSettings settings, pki::WireguardKey key, const ContactSigner& signer,
           const ContactVerifier& contacts, const ParametersVerifier& verifier, std::uint64_t seed,
           Times start);
  ~MeshNode();
  MeshNode(const MeshNode&) = delete;
  MeshNode& operator=(const MeshNode&) = delete;

  // ---- inputs ----
  // Hostile bytes.
  void input(std::span<const std::uint8_t> datagram, const Path& from, Times at);
  void tick(Times at);
  // When tick() has something to do.
  TimePoint deadline() const;

  void on_handshake(LinkId link, Times at);  // the first, and every later one
  // It cannot be made (no interface, no way there), or WireGuard has given up. The edge has not taken it
  // away: CloseLink comes.
  void on_link_failed(LinkId link, const std::string& why, Times at);
  // Of all links that are open, every 250 ms while one of them has traffic, else every second.
  void on_traffic(std::span<const Traffic> traffic, Times at);
  // The nodes that the routing table knows now, each by its prefix.
  void on_routes(std::span<const Reached> reached, Times at);
  // Whoever they come from, each as signed: registry, cache, beacons of the local network (`is_local`).
  // `from`: where such a beacon came from, with its zone where that is a link-local address; the first place
  // to look for its node.
  void on_contact(std::span<const std::uint8_t> der, bool is_local, Times at,
                  const std::optional<Endpoint>& from = std::nullopt);
  // Where this node can be reached, as the edge found out (interfaces, mappings, configuration). Endpoints
  // that peers see are the node's own business.
  void on_endpoints(std::vector<ContactEndpoint> endpoints, Times at);
  // The name that client_only stands for has these addresses now. Nothing to a node that has none; a link
  // that is there stays.
  void on_servers(std::vector<Endpoint> servers, Times at);
  // Somebody outside of the mesh (the registry) sees this node's UDP port there.
  void on_observed(const boost::asio::ip::address& observer, const Endpoint& seen, Times at);
  // From the file, or the registry. False: not taken, as it is no newer or not good.
  bool on_parameters(std::span<const std::uint8_t> der, Times at);
  // The network under us has changed (another address, a cable, wake-up): links are probed at once.
  void on_network_change(Times at);
  // The certificate was renewed: the contact is signed anew.
  void on_identity(Times at);
  // Tells neighbours and registry that this node goes; its links are closed.
  void leave(Times at);

  // In order. Empties it.
  std::vector<Action> take_actions();

  // ---- for status, cache and registry ----
  const SignedContact& own_contact() const;
  const NetworkParameters& parameters() const;
  const std::vector<std::uint8_t>& parameters_document() const;  // as signed; empty: defaults
  std::vector<LinkStatus> links() const;
  const NodeCounters& counters() const;
  std::size_t known_destinations() const;
  std::size_t known_contacts() const;
  // Those worth remembering, the best first, each as signed.
  std::vector<std::vector<std::uint8_t>> contacts_to_cache() const;
  NatKind nat() const;

 private:
  class Machine;
  std::unique_ptr<Machine> machine_;
};

}  // namespace sixlink::mesh
