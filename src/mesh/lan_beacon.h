// SPDX-License-Identifier: BSD-3-Clause
// Nodes of one segment find each other: each sends its signed contact to a multicast group now and then. A
// machine: what to send when, and which of what was heard is worth a look. man/sixlink-tsp.7, "Beacons".
#pragma once

#include <boost/asio/ip/udp.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace sixlink::mesh {

// "SLNK", the version, a byte of zero, the port of the sender's links (16 bits), the contact as signed.
inline constexpr const char* kBeaconGroup = "ff12::6c69:6e6b";  // of a link, transient (RFC 4291)
inline constexpr std::uint16_t kBeaconPort = 3653;
inline constexpr std::uint8_t kBeaconVersion = 1;
inline constexpr std::size_t kBeaconHeader = 8;
inline constexpr std::size_t kLargestBeacon =
    8192;  // several fragments, as a contact has a certificate in it
// Routers do not pass on what has it, so that what arrives with it was sent on this segment (RFC 5082).
inline constexpr int kBeaconHopLimit = 255;

struct Beacon {
  std::uint16_t port = 0;
  std::span<const std::uint8_t> contact;  // signed, not yet verified
};
std::vector<std::uint8_t> to_bytes(const Beacon& beacon);
// Hostile bytes. nullopt: no beacon of this version.
std::optional<Beacon> parse_beacon(std::span<const std::uint8_t> datagram);

class LanBeacon {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Endpoint = boost::asio::ip::udp::endpoint;  // link-local, with its scope
  using Scope = boost::asio::ip::scope_id_type;

  static constexpr std::chrono::milliseconds kInterval{10000};
  static constexpr std::chrono::milliseconds kJitter{1000};  // either way
  // At the start, and when a node is heard for the first time.
  static constexpr std::chrono::milliseconds kSoon{500};
  static constexpr int kEarlyBeacons = 3;
  // Signatures take time: of all senders together, of one, and of what was heard before.
  static constexpr double kMostASecond = 20;
  static constexpr double kMostAtOnce = 40;
  static constexpr double kMostOfOneASecond = 1;
  static constexpr double kMostOfOneAtOnce = 4;
  static constexpr std::size_t kMostSenders = 256;
  static constexpr std::chrono::seconds kRepetition{30};

  explicit LanBeacon(std::uint64_t seed) : random_(seed) {}

  // The segments are known by the scopes of their interfaces. Those that are new get their beacons soon.
  void set_scopes(const std::vector<Scope>& scopes, TimePoint now);
  // What of it is a beacon that is to be verified; `own`: this node's contact as signed.
  struct Heard {
    Endpoint endpoint;  // of the sender's links
    std::span<const std::uint8_t> contact;
  };
  std::optional<Heard> hear(std::span<const std::uint8_t> datagram, const Endpoint& from,
                            std::span<const std::uint8_t> own, TimePoint now);
  // Where a beacon is due now.
  std::vector<Scope> due(TimePoint now);
  TimePoint deadline() const;

  std::uint64_t heard() const { return heard_; }
  std::uint64_t malformed() const { return malformed_; }
  std::uint64_t rate_limited() const { return rate_limited_; }

 private:
  struct Budget {
    double tokens = 0;
    TimePoint since{};
    bool take(double at_once, double a_second, TimePoint now);
  };
  struct Sender {
    Budget budget;
    std::size_t digest = 0;  // of its last contact that was handed on,
    TimePoint handed_on{};   // and when
  };
  struct Segment {
    TimePoint next{};
    int early = 0;  // beacons that are sent soon
  };
  using SenderKey = std::pair<Scope, boost::asio::ip::address_v6>;

  void hurry(Segment& segment, TimePoint now);
  std::chrono::milliseconds random_time(std::chrono::milliseconds most);

  std::mt19937_64 random_;
  std::map<Scope, Segment> segments_;
  std::map<SenderKey, Sender> senders_;
  Budget all_{kMostAtOnce, {}};
  std::uint64_t heard_ = 0;
  std::uint64_t malformed_ = 0;
  std::uint64_t rate_limited_ = 0;
};

}  // namespace sixlink::mesh
