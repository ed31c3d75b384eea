// SPDX-License-Identifier: BSD-3-Clause
// Datagrams of several clients against the registry's RUDP sessions: a record is a byte (client, and whether
// time passes before it or a waiting grant is answered) and a datagram.
#include <boost/asio/ip/udp.hpp>
#include <deque>

#include "registry/broker/rudp_sessions.h"
#include "tests/fuzz/entry_points.h"
#include "tests/fuzz/fixture.h"

namespace sixlink::fuzz {

void rudp_sessions(Input input) {
  using boost::asio::ip::make_address;
  using registry::Granter;
  using registry::RudpSessions;
  OneUser users;
  std::size_t sent = 0;
  std::deque<Granter::Done> waiting;
  RudpSessions::Hooks hooks;
  hooks.send = [&](std::size_t, const boost::asio::ip::udp::endpoint&, const boost::asio::ip::address&,
                   std::vector<std::uint8_t> datagram) {
    ++sent;
    expect(tsp::is_rudp(datagram), "an answer has a RUDP header");
    expect(datagram.size() < 4096, "a reply is smaller than deployed clients' buffer");
  };
  hooks.grant = [&](const tsp::CreateRequest&, const registry::Requester& requester, Granter::Done done) {
    expect(requester.user.empty() || requester.user == "alice", "only users log in");
    waiting.push_back(std::move(done));
  };
  hooks.rejected = [](const boost::asio::ip::address&, std::string_view why) {
    expect(!why.empty(), "a rejection has a reason");
  };
  hooks.make_nonce = [] { return std::string(kRudpNonce); };
  RudpSessions sessions({.most_sessions = 4, .most_per_address = 3}, rudp_policy(), users, std::move(hooks));

  auto now = RudpSessions::TimePoint(std::chrono::hours(1));
  const auto local = make_address("192.0.2.1");
  Records records(input);
  std::size_t received = 0;
  while (!records.is_empty()) {
    const auto control = records.byte();
    if ((control & 0x10) != 0) now += std::chrono::seconds(control >> 5);
    if ((control & 0x08) != 0) {
      sessions.expire(now);
      now += std::chrono::seconds(20);
    }
    const bool is_answered = (control & 0x04) != 0;
    const auto before = sent;
    const boost::asio::ip::udp::endpoint peer(make_address((control & 2) != 0 ? "192.0.2.2" : "2001:db8::2"),
                                              static_cast<std::uint16_t>(1000 + (control >> 5)));
    sessions.input(0, peer, local, records.next(), now);
    ++received;
    expect(sent <= before + 1, "a datagram has one answer at most");
    while (is_answered && !waiting.empty()) {
      auto done = std::move(waiting.front());
      waiting.pop_front();
      if ((control & 0x20) != 0) {
        done(static_cast<int>(tsp::kNoTunnelsLeft));
      } else {
        done(granted_tunnel(tsp::Mode::kV6UdpV4));
      }
    }
    expect(sessions.size() <= 4, "sessions are bounded");
  }
  expect(sent <= received, "answers are never more than questions");
  sessions.expire(now + std::chrono::hours(1));
  expect(sessions.size() == 0, "abandoned sessions are forgotten");
  // What the granter says after that finds nobody.
  const auto before = sent;
  for (auto& done : waiting) done(granted_tunnel(tsp::Mode::kV6UdpV4));
  expect(sent == before, "a forgotten client gets nothing");
}

}  // namespace sixlink::fuzz

SIXLINK_FUZZ(rudp_sessions)
