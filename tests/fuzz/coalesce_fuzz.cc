// SPDX-License-Identifier: BSD-3-Clause
// Batches of packets of any kind: what is joined, cut again, is the same packets, and flows keep their order.
#include "src/datapath/coalesce.h"

#include <algorithm>
#include <vector>

#include "src/datapath/segment.h"
#include "src/net/big_endian.h"
#include "src/net/internet_checksum.h"
#include "src/net/ip_header.h"
#include "tests/fuzz/entry_points.h"

namespace sixlink::fuzz {
namespace {

using Bytes = std::vector<std::uint8_t>;

// Makes lengths and checksums right: a fuzzer would not find them.
void seal(Bytes& packet) {
  if (packet.size() < 40) return;
  const bool is_v4 = packet[0] >> 4 == 4;
  if (is_v4) {
    packet[0] = 0x45;
    net::put16(packet, 2, packet.size());
    net::put16(packet, 10, 0);
    net::put16(packet, 10, net::finish_checksum(net::add_words(Input(packet).first(20))));
  } else {
    net::put16(packet, 4, packet.size() - 40);
  }
  const auto upper = net::find_upper_layer(packet);
  if (!upper || (upper->protocol != 6 && upper->protocol != 17)) return;
  const std::size_t at = upper->offset + (upper->protocol == 6 ? 16U : 6U);
  if (at + 2 > packet.size()) return;
  const auto length = packet.size() - upper->offset;
  if (upper->protocol == 17) net::put16(packet, upper->offset + 4, length);
  net::put16(packet, at, 0);
  const auto addresses = is_v4 ? Input(packet).subspan(12, 8) : Input(packet).subspan(8, 32);
  const auto sum =
      net::add_words(Input(packet).subspan(upper->offset),
                     net::add_words(addresses, static_cast<std::uint32_t>(length) + upper->protocol));
  const auto checksum = net::finish_checksum(sum);
  net::put16(packet, at, checksum == 0 && upper->protocol == 17 ? 0xffff : checksum);
}

// Of TCP and UDP without options in front: addresses, protocol, ports. Empty: no such flow.
Bytes flow_of(const Bytes& packet) {
  const bool is_v4 = !packet.empty() && packet[0] == 0x45;
  const std::size_t at = is_v4 ? 20 : 40;
  if (packet.size() < at + 4 || (!is_v4 && packet[0] >> 4 != 6)) return {};
  const std::uint8_t protocol = packet[is_v4 ? 9 : 6];
  if (protocol != 6 && protocol != 17) return {};
  Bytes flow{protocol};
  flow.insert(flow.end(), packet.begin() + (is_v4 ? 12 : 8),
              packet.begin() + static_cast<std::ptrdiff_t>(at + 4));
  return flow;
}

using Flows = std::vector<std::pair<Bytes, Bytes>>;

// Sorted by flow; within each, in order.
Flows by_flow(const std::vector<Bytes>& packets) {
  Flows flows;
  for (const auto& packet : packets) flows.emplace_back(flow_of(packet), packet);
  std::stable_sort(flows.begin(), flows.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  return flows;
}

}  // namespace

void coalesce(Input input) {
  static datapath::Coalescer coalescer;
  static datapath::Segmenter segmenter;
  coalescer.clear();
  Records records(input);
  const bool is_sealed = records.byte() % 2 != 0;
  std::vector<Bytes> packets;
  while (!records.is_empty() && packets.size() < datapath::Coalescer::kPackets) {
    const auto packet = records.next();
    packets.emplace_back(packet.begin(), packet.end());
    if (is_sealed) seal(packets.back());
  }
  for (const auto& packet : packets) expect(coalescer.add(packet), "there is room");
  std::vector<Bytes> found;
  for (std::size_t i = 0; i < coalescer.frames(); ++i) {
    const auto frame = coalescer.frame(i);
    Bytes bytes;
    for (const auto& piece : frame.pieces) {
      const auto* from = static_cast<const std::uint8_t*>(piece.iov_base);
      bytes.insert(bytes.end(), from, from + piece.iov_len);
    }
    expect(bytes.size() == frame.size && frame.pieces.size() < 1024, "a frame is what it says");
    if (frame.packets == 1) {
      expect(frame.header.is_plain(), "one packet is left as it is");
      found.push_back(std::move(bytes));
      continue;
    }
    expect(segmenter.start(frame.header, bytes) && segmenter.count() == frame.packets, "a frame can be cut");
    Bytes buffer(segmenter.largest());
    while (const std::size_t size = segmenter.next_into(buffer))
      found.emplace_back(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size));
  }
  expect(by_flow(found) == by_flow(packets), "the same packets, each flow's in order");
}

}  // namespace sixlink::fuzz

SIXLINK_FUZZ(coalesce)
