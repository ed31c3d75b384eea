// SPDX-License-Identifier: BSD-3-Clause
// Many nodes, each a real mesh::MeshNode, on one simulated Internet under one virtual clock. It does for each
// what the daemon does: sockets, tunnels (as WireGuard would have them), registry, files.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "src/mesh/node.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/graph.h"
#include "tests/sim/registry.h"
#include "tests/sim/router.h"
#include "tests/sim/stand_ins.h"
#include "tests/sim/underlay.h"

namespace sixlink::sim {

struct WorldSettings {
  std::size_t nodes = 100;
  std::uint64_t seed = 1;
  AccessMix mix{};
  double loss = 0.005;
  double damage = 0;                                // of datagrams outside of links: a byte is changed
  std::chrono::milliseconds traffic_interval{250};  // of on_traffic()
  std::size_t most_known = 1024;
  RouterSettings router;
  int client_count = 10;
  std::chrono::seconds tunnel_refresh{300};
};

// One end of a session: it ends with its node's life.
struct End {
  mesh::LinkId link = 0;
  std::uint32_t life = 0;

  friend bool operator==(const End&, const End&) = default;
};

// What a tunnel is to the simulation.
struct Tunnel {
  mesh::LinkId link = 0;
  std::uint32_t peer = 0;
  Address remote;
  Protocol protocol = Protocol::kUdp;
  bool is_initiator = false;
  bool is_open = false;  // has had a handshake
  bool is_used = false;  // the router has it
  End other;             // with whom the session is
  End offered;           // the responder's: a session that the other has yet to use
  TimePoint session_at{};
  TimePoint give_up_at = TimePoint::max();
  std::uint64_t received = 0;
  std::uint64_t sent = 0;
  std::uint64_t bytes = 0;
};

// Of everything since the beginning.
struct Totals {
  std::uint64_t events = 0;
  std::uint64_t datagrams = 0;   // of control, all ways
  std::uint64_t wire_bytes = 0;  // with every header down to IP
  std::uint64_t handshakes = 0;
  std::uint64_t handshake_bytes = 0;
  std::uint64_t links_opened = 0;
  std::uint64_t links_lost = 0;
  std::uint64_t overlay_sent = 0;
  std::uint64_t overlay_lost = 0;
};

class World {
 public:
  explicit World(const WorldSettings& settings);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // ---- time ----
  TimePoint now() const { return now_; }
  void run_for(std::chrono::nanoseconds time);
  // Until `done` holds, looked at every `step`. How long that took; nullopt: it did not within `limit`.
  std::optional<std::chrono::nanoseconds> run_until(const std::function<bool()>& done,
                                                    std::chrono::nanoseconds step,
                                                    std::chrono::nanoseconds limit);

  // ---- what happens ----
  // With the contacts that it knew when it was last there, if any.
  void start(std::uint32_t number);
  // Each at a moment of its own within `spread`.
  void start_all(std::chrono::nanoseconds spread);
  void kill(std::uint32_t number);   // without a word
  void leave(std::uint32_t number);  // as meant
  void forget(std::uint32_t number) { hosts_[number].cache.clear(); }
  // One side for each node; the registry is on side 0. An empty list heals it.
  void cut(std::vector<std::uint8_t> sides);
  Registry& registry() { return registry_; }
  // The registry has new parameters; `told`: nodes that it tells at once.
  void revoke(std::uint32_t number, const std::vector<std::uint32_t>& told);

  // ---- what there is ----
  std::size_t size() const { return hosts_.size(); }
  bool is_alive(std::uint32_t number) const { return alive_[number]; }
  std::size_t count_alive() const;
  const mesh::MeshNode& node(std::uint32_t number) const { return *hosts_[number].node; }
  const std::vector<Tunnel>& tunnels(std::uint32_t number) const { return hosts_[number].tunnels; }
  TimePoint started(std::uint32_t number) const { return hosts_[number].started; }
  // Links that carry packets between living nodes now.
  Graph graph() const;
  // For a node's own, both ways: who is at the other end of each.
  template <typename Each>
  void each_peer(std::uint32_t number, Each each) const {
    if (!alive_[number]) return;
    for (const auto& tunnel : hosts_[number].tunnels) {
      if (tunnel.is_used && is_used_by_both(number, tunnel)) each(tunnel);
    }
  }
  const Underlay& underlay() const { return underlay_; }
  const Totals& totals() const { return totals_; }
  std::size_t peak_rate() const { return peak_rate_; }  // datagrams of one node in one second
  std::uint64_t parameters_version() const { return parameters_.version; }
  const WorldSettings& settings() const { return settings_; }
  // How often nodes reported each event.
  const std::vector<std::uint64_t>& reports() const { return reports_; }

  // Rules that a node has broken, each said once: the simulation's reason to be.
  const std::vector<std::string>& broken_rules() const { return broken_; }
  void break_rule(std::uint32_t number, const std::string& what);

 private:
  struct Host {
    std::unique_ptr<Signer> signer;
    std::unique_ptr<Contacts> contacts;
    std::unique_ptr<mesh::MeshNode> node;
    std::uint32_t life = 0;  // how often it was started
    TimePoint started{};
    TimePoint tick_at = TimePoint::max();
    std::vector<Tunnel> tunnels;
    std::vector<std::vector<std::uint8_t>> cache;
    std::vector<std::uint8_t> parameters;
    TimePoint counted_from{};  // babeld's hellos up to here are in the tunnels' counters
    std::uint32_t second = 0;
    std::uint32_t sent_in_second = 0;
    std::uint32_t idle_ticks = 0;
    bool is_to_publish = false;
  };
  struct Packet {
    enum class Kind : std::uint8_t { kControl, kInside, kOverlay, kInitiation, kResponse, kConfirmation };
    Kind kind = Kind::kControl;
    Protocol protocol = Protocol::kUdp;
    Address at;      // where it was sent to
    Address source;  // as the receiver sees it
    std::uint32_t from = 0;
    End from_end;
    mesh::LinkId to_link = 0;
    std::vector<std::uint8_t> bytes;
  };
  struct Event {
    enum class Kind : std::uint8_t {
      kStart,
      kTick,
      kTraffic,
      kRoutes,
      kConverge,
      kPacket,
      kRetryHandshake,
      kRegistryAnswer
    };
    TimePoint at;
    std::uint64_t order;
    std::uint32_t host;
    std::uint32_t life;
    Kind kind;
    std::uint64_t what;  // a packet, a link

    bool operator>(const Event& other) const { return at != other.at ? at > other.at : order > other.order; }
  };

  void schedule(TimePoint at, Event::Kind kind, std::uint32_t host, std::uint64_t what = 0);
  void handle(const Event& event);
  mesh::MeshNode::Times times() const { return {now_, wall_start_ + (now_ - TimePoint{})}; }

  // After each call of a node: does what it wants, and notes its deadline.
  void settle(std::uint32_t number);
  void act(std::uint32_t number, mesh::Action& action);
  void do_send(std::uint32_t number, mesh::SendDatagram& send);
  void do_open(std::uint32_t number, const mesh::OpenLink& open);
  void do_use(std::uint32_t number, mesh::LinkId link);
  void do_close(std::uint32_t number, mesh::LinkId link);
  void take_parameters(std::uint32_t number);

  std::uint64_t store(Packet packet);
  Packet take(std::uint64_t index);
  void post(std::uint32_t from, const Address& to, Packet packet);
  void post_overlay(std::uint32_t from, std::uint32_t to, Packet packet);
  void count_sent(std::uint32_t number, std::size_t bytes, std::size_t headers);

  void on_packet(std::uint32_t number, Packet packet);
  void on_handshake_packet(std::uint32_t number, const Packet& packet);
  void on_inside(std::uint32_t number, const Packet& packet);
  void on_tick(std::uint32_t number);
  void on_traffic(std::uint32_t number);
  void on_routes(std::uint32_t number);
  void on_registry_answer(std::uint32_t number, std::uint64_t what);
  void on_retry(std::uint32_t number, mesh::LinkId link);
  void on_started(std::uint32_t number);
  void count_hellos(std::uint32_t number, Tunnel& tunnel, TimePoint from) const;
  Tunnel* find_tunnel(std::uint32_t number, mesh::LinkId link);
  const Tunnel* find_tunnel(std::uint32_t number, mesh::LinkId link) const;
  const Tunnel* other_end(std::uint32_t number, const Tunnel& tunnel) const;
  bool carries(std::uint32_t number, const Tunnel& tunnel) const {
    return other_end(number, tunnel) != nullptr;
  }
  bool is_used_by_both(std::uint32_t number, const Tunnel& tunnel) const {
    const auto* other = other_end(number, tunnel);
    return other && other->is_used;
  }
  bool has_way(std::uint32_t from, std::uint32_t to) const;
  std::vector<mesh::ContactEndpoint> own_endpoints(std::uint32_t number) const;

  WorldSettings settings_;
  Authority authority_;
  Parameters verifier_;
  Underlay underlay_;
  Router router_;
  Registry registry_;
  mesh::NetworkParameters parameters_;
  std::vector<std::uint8_t> parameters_document_;
  std::mt19937_64 random_;
  TimePoint now_{};
  mesh::WallTime wall_start_;
  std::uint64_t order_ = 0;
  EventQueue<Event> events_;
  std::vector<Packet> packets_;
  std::vector<std::uint64_t> free_packets_;
  std::vector<Host> hosts_;
  std::vector<mesh::Traffic> traffic_;  // of on_traffic(), used again
  std::vector<mesh::Reached> reached_;  // of on_routes()
  std::vector<bool> alive_;
  Totals totals_;
  std::size_t peak_rate_ = 0;
  std::vector<std::uint64_t> reports_;
  std::vector<std::string> broken_;
  std::set<std::string> broken_kinds_;
};

}  // namespace sixlink::sim
