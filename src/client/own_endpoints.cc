// SPDX-License-Identifier: BSD-3-Clause
// Which endpoints a node tells.
#include "src/client/own_endpoints.h"

#include <algorithm>
#include <string_view>

namespace sixlink::client {
namespace {

using boost::asio::ip::address;
using mesh::ContactEndpoint;
using mesh::EndpointKind;
using mesh::Transport;

// Of a kind and family. More addresses than these are rarely other ways.
constexpr std::size_t kMostOfAKind = 2;

bool is_in(const address& value, std::initializer_list<const char*> prefixes) {
  return std::ranges::any_of(prefixes, [&](const char* text) {
    if (value.is_v4()) {
      const auto prefix = net::PrefixV4::parse(text);
      return prefix && prefix->contains(value.to_v4());
    }
    const auto prefix = net::Prefix::parse(text);
    return prefix && prefix->contains(value.to_v6());
  });
}

bool is_candidate(const OwnEndpointSettings& settings, const platform::InterfaceAddress& one) {
  if (!one.is_up || one.is_loopback || one.address.is_loopback() || one.address.is_unspecified())
    return false;
  if (!settings.ignored_interfaces.empty() && one.interface.starts_with(settings.ignored_interfaces))
    return false;
  if (one.address.is_v4())
    return net::is_unicast(one.address.to_v4()) && !is_in(one.address, {"169.254.0.0/16"});
  const auto v6 = one.address.to_v6();
  return !v6.is_link_local() && !v6.is_multicast() && !v6.is_v4_mapped() &&
         std::ranges::none_of(settings.ignored,
                              [&](const net::Prefix& prefix) { return prefix.contains(v6); });
}

// The list, without doubles and no longer than it may be.
class Chosen {
 public:
  explicit Chosen(const OwnEndpointSettings& settings) : settings_(settings) {}

  void add(const ContactEndpoint& endpoint) {
    const bool is_double = std::ranges::any_of(list_, [&](const ContactEndpoint& one) {
      return one.address == endpoint.address && one.port == endpoint.port &&
             one.transport == endpoint.transport;
    });
    if (list_.size() < mesh::Contact::kMostEndpoints && !is_double &&
        settings_.protocols.has(endpoint.transport, endpoint.address.is_v4())) {
      list_.push_back(endpoint);
    }
  }
  void add(const std::vector<address>& addresses, Transport transport, EndpointKind kind) {
    if (transport == Transport::kTcp && settings_.tcp_ports.empty()) return;
    const auto port = transport == Transport::kUdp ? settings_.link_port : tcp_port();
    for (const auto& one : addresses) add({one, port, transport, kind});
  }
  std::vector<ContactEndpoint> take() { return std::move(list_); }

 private:
  // Firewalls let that of the Web pass rather than any other.
  std::uint16_t tcp_port() const {
    constexpr std::uint16_t kHttps = 443;
    const auto& ports = settings_.tcp_ports;
    return std::ranges::find(ports, kHttps) == ports.end() ? ports.front() : kHttps;
  }

  const OwnEndpointSettings& settings_;
  std::vector<ContactEndpoint> list_;
};

bool is_mapped(const OwnAddresses& found, const address& value) {
  return std::ranges::any_of(found.mapped,
                             [&](const mesh::PortMapped& one) { return one.external == value; });
}

// A firewall that is open translates nothing: what is reached is this machine's own address.
EndpointKind kind_of(const OwnAddresses& found, const mesh::PortMapped& mapped) {
  const bool is_own = mapped.external.is_v6() &&
                      std::ranges::any_of(found.interfaces, [&](const platform::InterfaceAddress& one) {
                        return one.address == mapped.external;
                      });
  return is_own ? EndpointKind::kPublic : EndpointKind::kMapped;
}

struct Sorted {
  std::vector<address> outside;
  std::vector<address> inside;
};

Sorted sort(const OwnEndpointSettings& settings, const OwnAddresses& found) {
  auto interfaces = found.interfaces;
  const bool is_mapped_v4 =
      std::ranges::any_of(found.mapped, [](const mesh::PortMapped& one) { return one.external.is_v4(); });
  // That which a firewall is open for before other IPv6 ones. std::ranges' is more than clang 14 takes of
  // this library.
  std::stable_partition(interfaces.begin(), interfaces.end(), [&](const auto& one) {
    return one.address == found.preferred || (one.address.is_v6() && is_mapped(found, one.address));
  });
  Sorted sorted;
  for (const auto& one : interfaces) {
    if (!is_candidate(settings, one)) continue;
    // Where a router maps ports, it stands between this address and the Internet, whatever that looks like.
    const bool is_behind = is_mapped_v4 && one.address.is_v4() && one.address == found.preferred;
    auto& list = is_behind || is_private(one.address) ? sorted.inside : sorted.outside;
    const auto same = std::ranges::count_if(
        list, [&](const address& other) { return other.is_v4() == one.address.is_v4(); });
    if (static_cast<std::size_t>(same) < kMostOfAKind) list.push_back(one.address);
  }
  return sorted;
}

}  // namespace

bool is_public(const OwnEndpointSettings& settings, const platform::InterfaceAddress& one) {
  return is_candidate(settings, one) && !is_private(one.address);
}

bool is_private(const address& value) {
  return is_in(value, {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"}) ||
         is_in(value, {"fc00::/7", "fe80::/10"});
}

bool may_be_translated(const boost::asio::ip::address_v4& value) {
  return is_private(value) || is_in(value, {"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"});
}

std::vector<ContactEndpoint> own_endpoints(const OwnEndpointSettings& settings, const OwnAddresses& found) {
  const auto sorted = sort(settings, found);
  Chosen chosen(settings);
  for (const auto& one : settings.configured) chosen.add(one);
  const auto add_mapped = [&](Transport transport) {
    for (const auto& one : found.mapped) {
      // A router behind a second one maps what nobody outside can use.
      if (one.transport == transport && !is_private(one.external))
        chosen.add({one.external, one.external_port, transport, kind_of(found, one)});
    }
  };
  for (const auto transport : {Transport::kUdp, Transport::kTcp}) {
    if (!settings.configured.empty()) break;
    chosen.add(sorted.outside, transport, EndpointKind::kPublic);
    add_mapped(transport);
  }
  chosen.add(sorted.inside, Transport::kUdp, EndpointKind::kLocal);
  return chosen.take();
}

}  // namespace sixlink::client
