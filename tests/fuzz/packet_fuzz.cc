// SPDX-License-Identifier: BSD-3-Clause
// Inner packets: header, ICMPv6, filter.
#include "src/datapath/inner_filter.h"
#include "src/net/icmpv6.h"
#include "tests/fuzz/entry_points.h"

namespace sixlink::fuzz {

void packet(Input input) {
  static const auto kOwn = *net::parse_v6("2001:db8:f:f::2");
  static const auto kBroker = *net::parse_v6("2001:db8:f:f::1");
  static const datapath::InnerFilter kFilter(kOwn, net::Prefix::parse("2001:db8:aa:bb00::/56"));

  const auto header = net::Ipv6Header::parse(input);
  expect(!header || header->payload_length + net::kIpv6HeaderSize == input.size(),
         "a header's length is the packet's");
  if (!kFilter.check_outgoing(input))
    expect(header && (header->source == kOwn ||
                      net::Prefix::parse("2001:db8:aa:bb00::/56")->contains(header->source)),
           "only our sources go out");
  std::optional<net::Ipv6Header> seen;
  if (!kFilter.check_incoming(input, seen))
    expect(seen && seen->source != kOwn && !seen->destination.is_multicast(),
           "only others' packets to us come in");
  expect(seen.has_value() == header.has_value(), "the filter reads the same header");
  if (header) {
    if (const auto echo = net::parse_echo_reply(*header, input))
      expect(echo->payload.size() + 48 == input.size(), "an echo's payload is the rest");
  }
  for (const auto error : {net::kNoRoute, net::kSourcePolicy, net::kPacketTooBig, net::kTimeExceeded}) {
    const auto made = net::make_error(error, 1280, kBroker, input);
    if (!made) continue;
    const auto bytes = made->bytes();
    expect(bytes.size() <= 1280 && bytes.size() >= 48 + net::kIpv6HeaderSize,
           "an error fits the least MTU and quotes a header");
    const auto outer = net::Ipv6Header::parse(bytes);
    expect(outer && outer->source == kBroker && outer->destination == header->source,
           "an error goes to the sender");
    expect(net::icmpv6_checksum(outer->source, outer->destination, bytes.subspan(net::kIpv6HeaderSize)) == 0,
           "an error's checksum is right");
    expect(!net::make_error(error, 1280, kOwn, bytes), "no error about an error");
  }
}

}  // namespace sixlink::fuzz

SIXLINK_FUZZ(packet)
