// SPDX-License-Identifier: BSD-3-Clause
// Inner packets: headers, ICMP, filter, segment sizes.
#include <algorithm>
#include <vector>

#include "src/datapath/inner_filter.h"
#include "src/datapath/mss.h"
#include "src/net/icmp.h"
#include "src/net/internet_checksum.h"
#include "src/net/ip_header.h"
#include "src/net/ipv4.h"
#include "tests/fuzz/entry_points.h"

namespace sixlink::fuzz {
namespace {

// As words: pseudo-header and segment. A right checksum stays right, and a wrong one stays as wrong as it is.
std::uint16_t tcp_sum(Input bytes, std::size_t at) {
  const auto addresses = bytes[0] >> 4 == 4 ? bytes.subspan(12, 8) : bytes.subspan(8, 32);
  return net::finish_checksum(net::add_words(bytes.subspan(at), net::add_words(addresses)));
}

void clamp(Input input) {
  std::vector<std::uint8_t> changed(input.begin(), input.end());
  constexpr std::size_t kMtu = 300;
  const bool is_changed = datapath::clamp_mss(changed, kMtu);
  expect(is_changed == !std::equal(input.begin(), input.end(), changed.begin()), "a change is reported");
  if (!is_changed) return;
  const auto upper = net::find_upper_layer(input);
  expect(upper && upper->protocol == 6, "only TCP is changed");
  expect(std::equal(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(upper->offset + 16),
                    changed.begin()),
         "nothing before the checksum is changed");
  const auto before = tcp_sum(input, upper->offset);
  const auto after = tcp_sum(changed, upper->offset);
  expect(before == after || before % 0xffff == after % 0xffff, "the checksum is as right as it was");
  expect(!datapath::clamp_mss(changed, kMtu), "once is enough");
}

void icmp_errors(Input input) {
  static const net::ErrorSource kSource{*net::parse_v6("2001:db8:f:f::1"), *net::parse_v4("203.0.113.1")};
  for (const auto reason :
       {net::Undeliverable::kUnrouted, net::Undeliverable::kUnreachable, net::Undeliverable::kForeignSource,
        net::Undeliverable::kTooBig, net::Undeliverable::kExpired}) {
    const auto made = net::make_error(reason, 1280, kSource, input);
    if (!made) continue;
    const auto cause = net::IpHeader::parse(input);
    const auto error = net::IpHeader::parse(made->bytes());
    expect(cause && error && error->destination == cause->source && error->is_v6() == cause->is_v6(),
           "an error goes to the sender");
    expect(made->bytes().size() <= (error->is_v6() ? 1280U : 576U), "an error is short");
    expect(!net::make_error(reason, 1280, kSource, made->bytes()), "no error about an error");
  }
}

}  // namespace

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
  const auto either = net::IpHeader::parse(input);
  expect(!header || (either && either->is_v6() && either->source == header->source),
         "both readers agree on a header");
  expect(!either || either->payload_offset <= input.size(), "a payload is within the packet");
  if (const auto upper = net::find_upper_layer(input))
    expect(either && upper->offset <= input.size(), "an upper layer is within the packet");
  if (const auto echo = net::parse_echo_reply(input))
    expect(either && echo->payload.size() + 8 + either->payload_offset == input.size(),
           "an echo's payload is the rest");
  static const datapath::InnerFilter kFilterV4(*net::parse_v4("203.0.113.2"),
                                               net::PrefixV4::parse("203.0.113.8/29"));
  if (!kFilterV4.check_outgoing(input)) expect(either && !either->is_v6(), "only IPv4 leaves an IPv4 end");
  icmp_errors(input);
  clamp(input);
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
