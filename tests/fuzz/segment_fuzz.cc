// SPDX-License-Identifier: BSD-3-Clause
// Frames from a TUN, with whatever header: what is cut loses and repeats no byte, and its checksums are
// right.
#include "src/datapath/segment.h"

#include <algorithm>
#include <vector>

#include "src/net/big_endian.h"
#include "src/net/internet_checksum.h"
#include "src/net/ip_header.h"
#include "tests/fuzz/entry_points.h"

namespace sixlink::fuzz {
namespace {

using datapath::FrameHeader;
using datapath::Segmentation;
using datapath::Segmenter;
using Bytes = std::vector<std::uint8_t>;

// A right checksum, of a packet without a routing header (whose destination is another one).
bool is_right(const Bytes& packet, Segmentation segmentation) {
  const auto upper = net::find_upper_layer(packet);
  if (!upper) return false;
  const bool is_v4 = packet[0] >> 4 == 4;
  if (!is_v4 && upper->offset != 40) return true;
  if (is_v4 && net::finish_checksum(net::add_words(Input(packet).first(upper->offset))) != 0) return false;
  const std::uint32_t protocol = segmentation == Segmentation::kTcp ? 6 : 17;
  const auto length = static_cast<std::uint32_t>(packet.size() - upper->offset);
  const auto addresses = is_v4 ? Input(packet).subspan(12, 8) : Input(packet).subspan(8, 32);
  return upper->protocol == protocol &&
         net::finish_checksum(net::add_words(Input(packet).subspan(upper->offset),
                                             net::add_words(addresses, protocol + length))) == 0;
}

void cut(Segmenter& segmenter, const FrameHeader& header, Input input) {
  Bytes frame(input.begin(), input.end());
  if (!segmenter.start(header, frame)) {
    expect(segmenter.count() == 0 && !segmenter.next({}), "what is refused has no packets");
    return;
  }
  const std::size_t count = segmenter.count();
  const std::size_t headers = segmenter.header_size();
  expect(headers <= Segmenter::kMaximumHeader, "headers have a limit");
  Bytes storage(headers);
  std::vector<Bytes> packets;
  while (const auto segment = segmenter.next(storage)) {
    Bytes packet(segment->header.begin(), segment->header.end());
    packet.insert(packet.end(), segment->data.begin(), segment->data.end());
    packets.push_back(std::move(packet));
  }
  expect(packets.size() == count, "as many packets as were announced");
  if (header.segmentation == Segmentation::kNone) {
    expect(packets.size() == 1 && packets[0] == frame, "without segmentation the frame is the packet");
    return;
  }
  expect(std::equal(input.begin(), input.end(), frame.begin(), frame.end()),
         "a frame that is cut is not changed");
  Bytes data;
  for (const auto& packet : packets) {
    expect(packet.size() <= segmenter.largest(), "no packet is larger than announced");
    expect(is_right(packet, header.segmentation), "checksums are right");
    data.insert(data.end(), packet.begin() + static_cast<std::ptrdiff_t>(headers), packet.end());
  }
  expect(data == Bytes(input.begin() + static_cast<std::ptrdiff_t>(headers), input.end()),
         "all data, once, in order");
  expect(segmenter.start(header, frame), "what was accepted is accepted again");
  Bytes buffer(segmenter.largest());
  for (const auto& packet : packets) {
    expect(segmenter.next_into(buffer) == packet.size() &&
               std::equal(packet.begin(), packet.end(), buffer.begin()),
           "both ways give the same");
  }
  expect(segmenter.next_into(buffer) == 0, "and no more");
}

}  // namespace

void segment(Input input) {
  static Segmenter segmenter;
  if (input.size() < 8) return;
  FrameHeader header;
  header.segmentation = static_cast<Segmentation>(input[0] % 3);
  header.needs_checksum = input[1] % 2 != 0;
  header.has_fixed_id = input[1] / 2 % 2 != 0;
  header.segment_size = net::get16(input, 2);
  header.checksum_start = net::get16(input, 4);
  header.checksum_offset = net::get16(input, 6);
  cut(segmenter, header, input.subspan(8));
}

}  // namespace sixlink::fuzz

SIXLINK_FUZZ(segment)
