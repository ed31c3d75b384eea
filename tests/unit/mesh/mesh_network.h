// SPDX-License-Identifier: BSD-3-Clause
// Nodes under a virtual clock, for tests: an underlay with NATs, links in WireGuard's place, routes by
// breadth-first search, documents that a checksum stands for the signature of. tests/sim has the large one.
#pragma once

#include <doctest/doctest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "src/mesh/node.h"

namespace sixlink::test {

using mesh::Endpoint;
using mesh::LinkId;
using mesh::MeshNode;
using mesh::TimePoint;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline const mesh::WallTime kWall = mesh::WallTime(std::chrono::seconds(1772366400));
inline const net::Prefix kMesh = *net::Prefix::parse("2001:db8:42::/48");

inline net::Prefix prefix_of(unsigned number) {
  auto bytes = kMesh.address.to_bytes();
  bytes[6] = static_cast<unsigned char>(number >> 8);
  bytes[7] = static_cast<unsigned char>(number);
  return {net::AddressV6(bytes), 64};
}
inline net::AddressV6 address_of(unsigned number) {
  auto bytes = prefix_of(number).address.to_bytes();
  bytes[15] = 1;
  return net::AddressV6(bytes);
}
inline pki::WireguardKey key_of(unsigned number) {
  pki::WireguardKey key;
  key.bytes.fill(1);
  key.bytes[0] = static_cast<std::uint8_t>(number);
  key.bytes[1] = static_cast<std::uint8_t>(number >> 8);
  return key;
}
inline std::string serial_of(unsigned number) {
  constexpr char kDigits[] = "0123456789abcdef";
  return {kDigits[number >> 12 & 15], kDigits[number >> 8 & 15], kDigits[number >> 4 & 15],
          kDigits[number & 15]};
}
inline Endpoint endpoint(const char* address, std::uint16_t port = 3653) {
  return {boost::asio::ip::make_address(address), port};
}
inline mesh::ContactEndpoint contact_endpoint(const Endpoint& at,
                                              mesh::EndpointKind kind = mesh::EndpointKind::kPublic,
                                              mesh::Transport transport = mesh::Transport::kUdp) {
  return {at.address(), at.port(), transport, kind};
}

// "serial prefix checksum\n" and the text.
std::vector<std::uint8_t> seal(const std::string& serial, const net::Prefix& certified,
                               const std::string& text);

class TestSigner final : public mesh::ContactSigner {
 public:
  TestSigner(net::Prefix prefix, std::string serial) : prefix_(prefix), serial_(std::move(serial)) {}
  mesh::SignedContact sign(const mesh::Contact& contact) const override {
    ++signatures;
    return {seal(serial_, prefix_, to_xml(contact)), contact, serial_};
  }
  mutable unsigned signatures = 0;

 private:
  net::Prefix prefix_;
  std::string serial_;
};

class TestContacts final : public mesh::ContactVerifier {
 public:
  mesh::OpenedContact open(std::span<const std::uint8_t> der, mesh::WallTime now) const override;
  mutable unsigned verified = 0;
  std::set<std::string> expired;  // serials
  // By serial: certificates that are good between these.
  std::map<std::string, std::pair<mesh::WallTime, mesh::WallTime>> valid;
};

class TestParameters final : public mesh::ParametersVerifier {
 public:
  mesh::ParsedParameters open(std::span<const std::uint8_t> der, mesh::WallTime now) const override;
};
std::vector<std::uint8_t> seal_parameters(const mesh::NetworkParameters& parameters);
mesh::NetworkParameters parameters_with(std::uint64_t version, std::set<unsigned> revoked = {});

enum class Nat {
  kNone,
  kFullCone,
  kPortRestricted,
  kSymmetric,
  kUdpBlocked,
};

struct TestNode;

class TestNetwork {
 public:
  TestNetwork();
  ~TestNetwork();

  // Not started yet. Numbers below 250: their public address is 198.51.100.<number>.
  TestNode& add(unsigned number, Nat nat = Nat::kNone);
  TestNode& node(unsigned number) { return *nodes_.at(number); }
  bool has(unsigned number) const { return nodes_.contains(number); }
  void start(unsigned number);
  // As kill -9 does: nobody is told.
  void kill(unsigned number);
  void run(std::chrono::nanoseconds duration);
  // Until it holds; false: it did not within that time.
  bool run_until(const std::function<bool()>& condition, std::chrono::nanoseconds most);
  // Everybody knows everybody's contact, as from a cache.
  void introduce_all();
  void introduce(unsigned whom, unsigned to);
  bool is_connected() const;
  // Starts nodes 1 and 2, which have one contact, or all of them, which have everybody's; false: not
  // connected within that time.
  [[nodiscard]] bool start_pair(std::chrono::nanoseconds most);
  [[nodiscard]] bool start_all(std::chrono::nanoseconds most);
  mesh::MeshNode::Times now() const { return {now_, kWall + clock_set_ + (now_ - TimePoint())}; }
  void set_clock(std::chrono::seconds by) { clock_set_ += by; }
  // Datagrams that someone else sends.
  void inject(const Endpoint& from, unsigned to, std::vector<std::uint8_t> bytes);

  std::chrono::nanoseconds delay{milliseconds(10)};
  // Says which outer datagrams arrive.
  std::function<bool(unsigned from, unsigned to)> passes = [](unsigned, unsigned) { return true; };
  std::function<void(TestNode& node, const mesh::Action& action)> on_action = [](auto&, const auto&) {};
  // Negotiation comes through in UDP, WireGuard does not.
  bool is_wireguard_blocked = false;
  // So does what comes to the nodes' shared ports, and nothing to others.
  bool are_own_ports_blocked = false;
  std::size_t outer_datagrams = 0;

 private:
  friend struct TestNode;
  void after(std::chrono::nanoseconds wait, std::function<void()> what);
  void act(TestNode& node);
  void perform(TestNode& node, const mesh::Action& action);
  void send_outer(TestNode& node, const mesh::Path& to, std::vector<std::uint8_t> bytes);
  void send_in_link(TestNode& node, LinkId link, std::vector<std::uint8_t> bytes);
  void send_over(TestNode& node, const Endpoint& to, std::vector<std::uint8_t> bytes);
  void handshake(unsigned number, unsigned life, LinkId link);
  void routes_changed();
  void tell_routes();
  TestNode* at(const Endpoint& endpoint, mesh::Transport transport, const Endpoint& from);
  TestNode* near(const TestNode& node, const Endpoint& endpoint);

  TimePoint now_{seconds(1000)};
  std::chrono::seconds clock_set_{0};
  std::multimap<TimePoint, std::function<void()>> events_;
  std::map<unsigned, std::unique_ptr<TestNode>> nodes_;
  TestContacts contacts_;
  TestParameters parameters_;
  std::map<Endpoint, Endpoint> streams_;  // TCP: by who made it, where it went to
  bool are_routes_due_ = false;
};

struct TestNode {
  unsigned number = 0;
  Nat nat = Nat::kNone;
  unsigned segment = 0;  // of those on one local network: the same number, not 0
  Endpoint inside;       // of the interface
  Endpoint outside;      // as others see it
  mesh::NodeSettings settings;
  std::vector<mesh::ContactEndpoint> endpoints;
  std::unique_ptr<TestSigner> signer;
  std::unique_ptr<TestContacts> contacts;
  std::unique_ptr<MeshNode> mesh;
  unsigned life = 0;  // counts starts
  struct Side {
    unsigned peer = 0;
    Endpoint endpoint;
    mesh::Transport transport = mesh::Transport::kUdp;
    bool is_initiator = false;
    LinkId other = 0;  // of the peer's, once there was a handshake
    unsigned other_life = 0;
    bool is_used = false;
    bool is_raised = false;
    std::uint16_t own_port = 0;
  };
  std::map<LinkId, Side> links;
  std::map<Endpoint, std::uint16_t> mappings;  // symmetric
  std::set<Endpoint> sent_to;                  // what the NAT lets in
  std::vector<mesh::Report> reports;
  std::size_t asked_contacts = 0;
  std::set<net::Prefix, bool (*)(const net::Prefix&, const net::Prefix&)> asked_for{
      [](const net::Prefix& a, const net::Prefix& b) { return a.address < b.address; }};
  std::size_t published = 0;
  std::size_t most_served = 0;

  bool is_running() const { return mesh != nullptr; }
  std::size_t links_up() const;
  bool is_linked(unsigned peer) const;
  std::size_t count(mesh::NodeEvent event) const;
};

}  // namespace sixlink::test
