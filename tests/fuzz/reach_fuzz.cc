// SPDX-License-Identifier: BSD-3-Clause
// What routers and neighbours on the segment say of how a node is reached: steps of a byte and a record.
#include <algorithm>

#include "src/client/igd_helper.h"
#include "src/mesh/lan_beacon.h"
#include "src/mesh/port_mapping.h"
#include "src/net/datagram_stream.h"
#include "tests/fuzz/entry_points.h"
#include "tests/fuzz/reach_seeds.h"

namespace sixlink::fuzz {
namespace {

using mesh::PortMapping;

class Steps {
 public:
  Steps() { mapping_.set_network(reach_network(), now_); }

  void take(unsigned kind, Input record) {
    now_ += std::chrono::milliseconds(kind * 50);
    switch (kind % 8) {
      case 0:
      case 1:
        mapping_.input(record, kind % 8 == 1, now_);
        break;
      case 2:
        if (mapping_.deadline() != PortMapping::TimePoint::max()) now_ = std::max(now_, mapping_.deadline());
        mapping_.tick(now_);
        break;
      case 3:
        igd(record);
        break;
      case 4:
        beacon(record);
        break;
      case 5:
        stream(record);
        break;
      case 6:
        mapping_.on_unreachable(now_);
        break;
      default:
        record.empty() ? mapping_.leave(now_) : mapping_.set_network(reach_network(), now_);
    }
    check();
  }

 private:
  void check() {
    const auto actions = mapping_.take_actions();
    // The two mappings, an epoch or an address: twice, where one protocol ended and the next began.
    expect(actions.datagrams.size() <= 6, "no flood comes of an answer");
    if (actions.igd) job_ = actions.igd->id;
    for (const auto& one : mapping_.mapped()) {
      expect(one.external.is_v4() && !one.external.is_unspecified() && one.external_port != 0,
             "what is told as mapped can be used");
      expect(one.internal_port == 3653 || one.internal_port == 443, "what is mapped was wanted");
    }
    expect(!mapping_.has_left() || mapping_.mapped().empty(), "nothing is mapped after the end");
    expect(mapping_.deadline() > now_ - std::chrono::hours(25), "a deadline makes sense");
  }

  void igd(Input record) {
    const auto result = client::parse_igd_output(text_of(record), job_);
    expect(!result.mapped.empty() || !result.problem.empty(), "a mapping or a problem");
    expect(result.problem.size() <= 200, "a problem is short");
    expect(std::ranges::all_of(result.problem, [](char c) { return c >= ' ' && c <= '~'; }),
           "a problem can be printed");
    mapping_.on_igd(result, now_);
  }

  void beacon(Input record) {
    const mesh::LanBeacon::Scope scope = 1;
    beacons_.set_scopes({scope}, now_);
    auto address = boost::asio::ip::make_address_v6("fe80::1");
    address.scope_id(scope);
    const auto heard = beacons_.hear(record, {address, 1}, {}, now_);
    if (!heard) return;
    const auto again = mesh::to_bytes({heard->endpoint.port(), heard->contact});
    expect(again.size() == record.size() && mesh::parse_beacon(again), "a beacon survives its bytes");
    expect(heard->endpoint.port() != 0, "a beacon's port can be used");
  }

  void stream(Input record) {
    const auto room = stream_.room();
    expect(room.size() >= 16384 || stream_.is_broken(), "a stream has room");
    const auto size = std::min(room.size(), record.size());
    std::copy_n(record.begin(), size, room.begin());
    stream_.written(size);
    std::size_t sum = 0;
    while (const auto datagram = stream_.next()) {
      expect(!datagram->empty() && datagram->size() <= net::kLargestStreamDatagram, "datagrams are bounded");
      sum += datagram->size();
    }
    expect(sum <= net::DatagramStream::kRoom, "no more comes out than went in");
  }

  PortMapping::TimePoint now_{std::chrono::hours(100)};
  PortMapping mapping_{reach_wanted(), kReachSeed};
  mesh::LanBeacon beacons_{1};
  net::DatagramStream stream_;
  std::uint64_t job_ = 0;
};

}  // namespace

void reach(Input input) {
  Steps steps;
  Records records(input);
  while (!records.is_empty()) {
    const auto kind = records.byte();
    steps.take(kind, records.next());
  }
}

}  // namespace sixlink::fuzz

SIXLINK_FUZZ(reach)
