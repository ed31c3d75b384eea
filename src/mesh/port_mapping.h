// SPDX-License-Identifier: BSD-3-Clause
// Has the router in front of this machine map ports to it, and keep them mapped: by PCP (RFC 6887), by
// NAT-PMP (RFC 6886) where it does not know that, by UPnP's Internet Gateway Device where it knows neither.
// Of IPv6, where nothing is translated, it has the router's firewall opened for the node's own address and
// port, by PCP alone. A machine: datagrams, results and times go in; what is to be done comes out.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "src/mesh/contact.h"
#include "src/mesh/port_mapping_message.h"

namespace sixlink::mesh {

enum class MappingProtocol : std::uint8_t { kNone, kPcp, kNatPmp, kIgd };
const char* to_string(MappingProtocol protocol);

struct PortMapped {
  Transport transport = Transport::kUdp;
  std::uint16_t internal_port = 0;
  boost::asio::ip::address external;
  std::uint16_t external_port = 0;

  friend bool operator==(const PortMapped&, const PortMapped&) = default;
};

// For somebody who speaks UPnP. Mappings are wished for, or (removal) those that were made.
struct IgdJob {
  std::uint64_t id = 0;
  bool is_removal = false;
  std::vector<PortMapped> mappings;
  std::chrono::seconds lifetime{};
};
struct IgdResult {
  std::uint64_t id = 0;            // the job's
  std::vector<PortMapped> mapped;  // of the job's mappings those that are made now
  std::string problem;             // why not all: "no UPnP gateway answers"
};

//               +--------------------------- 10 minutes ------------------------------+
//               v                                                                     |
//  idle --> PCP --no answer, other version, refused--> NAT-PMP --the same--> IGD --> resting
//            |                                            |                   |
//            +---- mapped, renewed at half of its life ---+-------------------+
//            +------- not renewed until its end, another network: from the start
//
//  IPv6: PCP --the same--> resting
class PortMapping {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // 250 ms, then twice as long each time; PCP has 3.75 s, NAT-PMP, which the same router has on the same
  // port, 1.75 s.
  static constexpr std::chrono::milliseconds kFirstWait{250};
  static constexpr int kPcpTries = 4;
  static constexpr int kNatPmpTries = 3;
  // How long what we ask for is to live (RFC 6886 recommends it).
  static constexpr std::chrono::seconds kLifetime{7200};
  // What a router says of it is taken within these.
  static constexpr std::chrono::seconds kShortestLife{60};
  static constexpr std::chrono::seconds kLongestLife{86400};
  // A router that restarted has forgotten all: its epoch is asked for this often. UPnP tells none, so there
  // all is asked for again.
  static constexpr std::chrono::seconds kCheck{60};
  static constexpr std::chrono::seconds kIgdRenewal{600};
  static constexpr std::chrono::seconds kRest{600};
  // The problem() where a router of IPv6's answers nothing, or another protocol.
  static constexpr const char* kNoPcp = "the router does not speak PCP";
  // Of a mapping that was refused where another was made.
  static constexpr std::chrono::seconds kRefusedRest{1800};

  struct Wanted {
    Transport transport = Transport::kUdp;
    std::uint16_t port = 0;
  };
  // Both of one family. IPv6: `own` is the address that others are to reach, and requests are sent from.
  struct Network {
    boost::asio::ip::address own;
    boost::asio::ip::address gateway;
    friend bool operator==(const Network&, const Network&) = default;
  };
  struct Actions {
    std::vector<std::vector<std::uint8_t>> datagrams;  // to the gateway's port 5351, from Network::own
    std::optional<IgdJob> igd;                         // one at a time
    bool is_changed = false;                           // mapped() is not what it was
  };

  // `seed`: unpredictable, as the nonces protect the mappings.
  PortMapping(const std::vector<Wanted>& wanted, std::uint64_t seed);

  // The way to the Internet. nullopt: there is none (any more).
  void set_network(const std::optional<Network>& network, TimePoint now);
  // Hostile bytes; they came from the gateway's address and port, or (`is_announcement`) from its address to
  // the group.
  void input(std::span<const std::uint8_t> datagram, bool is_announcement, TimePoint now);
  // The gateway's port is closed (ICMP).
  void on_unreachable(TimePoint now);
  void on_igd(const IgdResult& result, TimePoint now);
  void tick(TimePoint now);
  // When tick() has something to do.
  TimePoint deadline() const;
  // Removes all mappings. Ends within a second, but for UPnP.
  void leave(TimePoint now);
  bool has_left() const { return state_ == State::kLeft; }

  Actions take_actions();

  std::vector<PortMapped> mapped() const;
  // Which one works, or is being tried.
  MappingProtocol protocol() const;
  // Why nothing is mapped: "the router refuses: not authorized (2)". Empty: something is, or nobody has
  // answered yet.
  const std::string& problem() const { return problem_; }

 private:
  enum class State : std::uint8_t { kIdle, kPcp, kNatPmp, kIgd, kResting, kLeaving, kLeft };
  struct Grant {
    boost::asio::ip::address external;  // PCP, IGD; NAT-PMP: outer_
    std::uint16_t port = 0;
    TimePoint expires{};
  };
  struct Slot {
    Wanted wanted;
    PcpNonce nonce{};
    std::optional<Grant> grant;
    bool is_refused = false;
    int tries = 0;     // since the last answer
    TimePoint next{};  // what is asked next
  };
  struct Epoch {
    std::uint32_t theirs = 0;
    TimePoint ours{};
  };

  void begin(State state, TimePoint now);
  void begin_next(TimePoint now);
  void rest(TimePoint now);
  void forget();
  void ask(Slot& slot, TimePoint now);
  void ask_all_again(TimePoint at);
  void serve(Slot& slot, TimePoint now);
  void serve_leaving(TimePoint now);
  void start_igd(bool is_removal);
  void take_igd(const IgdResult& result, TimePoint now);
  void on_epoch(std::uint32_t epoch, TimePoint now);
  void on_announcement(std::uint32_t epoch, TimePoint now);
  void on_mapped(const MapAnswer& answer, const MapAnswer::Mapped& mapped, TimePoint now);
  void on_refused(Slot& slot, const MapAnswer& answer, std::uint32_t lifetime, TimePoint now);
  std::vector<std::uint8_t> map_request(const Slot& slot, std::chrono::seconds lifetime) const;
  Slot* find(const MapAnswer::Mapped& mapped);
  bool has_grants() const;
  bool is_v6() const { return network_ && network_->own.is_v6(); }
  int tries() const { return state_ == State::kPcp ? kPcpTries : kNatPmpTries; }

  std::mt19937_64 random_;
  std::vector<Slot> slots_;
  std::optional<Network> network_;
  State state_ = State::kIdle;
  State leaving_ = State::kIdle;                   // what the mappings were made with
  bool is_confirmed_ = false;                      // the router has answered in this protocol
  std::optional<boost::asio::ip::address> outer_;  // NAT-PMP
  int outer_tries_ = 0;
  std::optional<Epoch> epoch_;
  TimePoint believe_at_{};  // no announcement before
  TimePoint check_at_{};
  TimePoint wake_at_{};  // kIgd: the next job; kResting: its end
  std::uint64_t igd_id_ = 0;
  bool is_igd_busy_ = false;
  bool is_igd_removing_ = false;  // the job that it is busy with
  std::string problem_;
  Actions actions_;
};

}  // namespace sixlink::mesh
