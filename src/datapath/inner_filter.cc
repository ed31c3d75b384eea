// SPDX-License-Identifier: BSD-3-Clause
// Which packets may pass a tunnel.
#include "src/datapath/inner_filter.h"

namespace sixlink::datapath {

std::string_view to_string(Drop reason) {
  constexpr std::array<std::string_view, kDropReasons> kNames{
      "malformed", "foreign-source", "foreign-target", "local-scope", "unknown-peer",
      "no-tunnel", "not-connected",  "too-big",        "send-failed", "control",
      "forged",    "replayed",       "congestion"};
  return kNames[static_cast<std::size_t>(reason)];
}

bool is_local_scope(const net::Ipv6Header& header) {
  return header.source.is_link_local() || header.source.is_unspecified() ||
         header.destination.is_link_local() || header.destination.is_multicast();
}

bool InnerFilter::is_ours(const boost::asio::ip::address& address) const {
  if (address == address_) return true;
  if (address.is_v6()) return prefix_ && prefix_->contains(address.to_v6());
  return prefix_v4_ && prefix_v4_->contains(address.to_v4());
}

std::optional<Drop> InnerFilter::check_outgoing(std::span<const std::uint8_t> packet) const {
  const auto header = net::IpHeader::parse(packet);
  if (!header) return Drop::kMalformed;
  if (header->is_local_scope()) return Drop::kLocalScope;
  if (!is_ours(header->source)) return Drop::kForeignSource;
  return std::nullopt;
}

std::optional<Drop> InnerFilter::check_incoming(std::span<const std::uint8_t> packet,
                                                std::optional<net::IpHeader>& header) const {
  header = net::IpHeader::parse(packet);
  if (!header) return Drop::kMalformed;
  if (header->is_local_scope()) return Drop::kLocalScope;
  // What claims to come from us cannot come from the broker.
  if (is_ours(header->source)) return Drop::kForeignSource;
  if (!is_ours(header->destination)) return Drop::kForeignTarget;
  return std::nullopt;
}

std::optional<Drop> InnerFilter::check_incoming(std::span<const std::uint8_t> packet,
                                                std::optional<net::Ipv6Header>& header) const {
  header = net::Ipv6Header::parse(packet);
  std::optional<net::IpHeader> either;
  return check_incoming(packet, either);
}

}  // namespace sixlink::datapath
