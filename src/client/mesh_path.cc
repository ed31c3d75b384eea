// SPDX-License-Identifier: BSD-3-Clause
// The way through the mesh to a node, hop by hop.
#include "src/client/mesh_path.h"

#include <algorithm>
#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstring>

#include "platform/overlay.h"
#include "platform/platform.h"
#include "src/net/big_endian.h"
#include "src/net/icmpv6.h"

namespace sixlink::client {
namespace {

using Clock = std::chrono::steady_clock;

// RFC 4443.
constexpr std::uint8_t kUnreachable = 1;
constexpr std::uint8_t kTimeExceeded = 3;
constexpr std::uint8_t kEchoRequest = 128;
constexpr std::uint8_t kEchoReply = 129;
constexpr std::size_t kIcmpHeader = 8;

std::array<std::uint8_t, kIcmpHeader + 8> make_probe(std::uint16_t identifier, int number) {
  std::array<std::uint8_t, kIcmpHeader + 8> message{};
  message[0] = kEchoRequest;
  net::put16(message, 4, identifier);
  net::put16(message, 6, static_cast<std::size_t>(number));
  return message;
}

std::optional<int> number_of(std::span<const std::uint8_t> echo, std::uint16_t identifier) {
  if (echo.size() < kIcmpHeader || net::get16(echo, 4) != identifier) return std::nullopt;
  const int number = net::get16(echo, 6);
  return number >= 1 && number <= MeshPaths::kMostHops ? std::optional(number) : std::nullopt;
}

}  // namespace

std::optional<HopReport> parse_hop_answer(std::span<const std::uint8_t> message, const net::AddressV6& from,
                                          const net::AddressV6& target, std::uint16_t identifier) {
  if (message.size() < kIcmpHeader) return std::nullopt;
  if (message[0] == kEchoReply) {
    const auto number = from == target ? number_of(message, identifier) : std::nullopt;
    return number ? std::optional(HopReport{*number, HopReport::Kind::kReached}) : std::nullopt;
  }
  if (message[0] != kTimeExceeded && message[0] != kUnreachable) return std::nullopt;
  // The packet that it is about, which may be cut off behind its ICMPv6 header.
  const auto packet = message.subspan(kIcmpHeader);
  if (packet.size() < net::kIpv6HeaderSize + kIcmpHeader || packet[0] >> 4 != 6 ||
      packet[6] != net::kNextHeaderIcmpv6) {
    return std::nullopt;
  }
  const auto destination = target.to_bytes();
  if (!std::equal(destination.begin(), destination.end(), packet.begin() + 24)) return std::nullopt;
  const auto echo = packet.subspan(net::kIpv6HeaderSize);
  const auto number = echo[0] == kEchoRequest ? number_of(echo, identifier) : std::nullopt;
  if (!number) return std::nullopt;
  return HopReport{*number,
                   message[0] == kTimeExceeded ? HopReport::Kind::kExceeded : HopReport::Kind::kUnreachable};
}

struct MeshPaths::Search {
  Search(boost::asio::io_context& io, const net::AddressV6& to, Done when_done)
      : target(to), done(std::move(when_done)), socket(io), timer(io) {
    identifier = platform::random_number<std::uint16_t>();
  }

  struct Probe {
    Clock::time_point sent{};
    Hop hop;
  };

  // All that can be known is known: the node and all before it have answered.
  bool is_complete() const {
    return end <= kMostHops && std::all_of(probes.begin(), probes.begin() + end,
                                           [](const Probe& probe) { return probe.hop.address.has_value(); });
  }

  net::AddressV6 target;
  Done done;
  boost::asio::posix::stream_descriptor socket;
  boost::asio::steady_timer timer;
  std::uint16_t identifier = 0;
  std::array<Probe, kMostHops> probes;  // of hop i + 1
  int end = kMostHops + 1;              // the first hop that was the last
  bool is_reached = false;
  Clock::time_point started = Clock::now();
  bool was_repeated = false;
  bool is_over = false;
};

MeshPaths::MeshPaths(boost::asio::io_context& io, const net::AddressV6& source) : io_(io), source_(source) {}

MeshPaths::~MeshPaths() {
  for (const auto& search : searches_) search->is_over = true;
}

void MeshPaths::find(const net::AddressV6& target, Done done) {
  auto search = std::make_shared<Search>(io_, target, std::move(done));
  const auto fail = [&](const std::string& problem) {
    boost::asio::post(io_, [search, problem] { search->done({{}, false, problem}); });
  };
  if (searches_.size() >= kMostAtOnce) return fail("too many paths are being looked for; ask again");
  const auto socket = platform::open_hop_probe(source_);
  if (!socket) return fail("cannot send echo requests: " + socket.error().message());
  search->socket.assign(*socket);
  searches_.push_back(search);
  for (int i = 0; i < kMostHops; ++i) search->probes[static_cast<std::size_t>(i)].hop.number = i + 1;
  send(*search);
  wait(search);
  wait_for_time(search);
}

// Of those that nobody has answered.
void MeshPaths::send(Search& search) {
  for (auto& probe : search.probes) {
    if (probe.hop.address || probe.hop.number > search.end) continue;
    probe.sent = Clock::now();
    // What cannot be sent is not answered.
    (void)platform::send_hop_probe(search.socket.native_handle(), search.target, probe.hop.number,
                                   make_probe(search.identifier, probe.hop.number));
  }
}

void MeshPaths::wait(const std::shared_ptr<Search>& search) {
  search->socket.async_wait(
      boost::asio::posix::stream_descriptor::wait_read,
      [this, search](const boost::system::error_code& error) {
        if (error || search->is_over) return;
        const auto now = Clock::now();
        while (auto answer = platform::receive_hop_answer(search->socket.native_handle())) {
          const auto report =
              parse_hop_answer(answer->message, answer->from, search->target, search->identifier);
          if (!report) continue;
          auto& probe = search->probes[static_cast<std::size_t>(report->number - 1)];
          if (probe.hop.address) continue;
          probe.hop.address = answer->from;
          probe.hop.rtt = std::chrono::duration_cast<std::chrono::microseconds>(now - probe.sent);
          probe.hop.is_unreachable = report->kind == HopReport::Kind::kUnreachable;
          if (report->kind == HopReport::Kind::kExceeded || report->number > search->end) continue;
          search->end = report->number;
          search->is_reached = report->kind == HopReport::Kind::kReached;
        }
        if (search->is_complete()) {
          finish(search);
        } else {
          wait(search);
        }
      });
}

void MeshPaths::wait_for_time(const std::shared_ptr<Search>& search) {
  search->timer.expires_at(search->started + (search->was_repeated ? kLimit : kRepeatAfter));
  search->timer.async_wait([this, search](const boost::system::error_code& error) {
    if (error || search->is_over) return;
    if (search->was_repeated) {
      finish(search);
      return;
    }
    search->was_repeated = true;
    send(*search);
    wait_for_time(search);
  });
}

void MeshPaths::finish(const std::shared_ptr<Search>& search, std::string problem) {
  search->is_over = true;
  search->timer.cancel();
  boost::system::error_code ignored;
  search->socket.close(ignored);
  std::erase(searches_, search);
  MeshPathResult result;
  result.problem = std::move(problem);
  result.is_reached = search->is_reached;
  int last = std::min(search->end, kMostHops);
  // Without an end: up to the last that answered.
  if (search->end > kMostHops) {
    while (last > 0 && !search->probes[static_cast<std::size_t>(last - 1)].hop.address) --last;
  }
  for (int i = 0; i < last; ++i) result.hops.push_back(search->probes[static_cast<std::size_t>(i)].hop);
  search->done(std::move(result));
}

}  // namespace sixlink::client
