// SPDX-License-Identifier: BSD-3-Clause
// The <tunnel> element of TSP (RFC 5572 section 5): what a client asks for and what a broker grants. Parsing
// accepts any well-formed XML within bounds and validates every value; printing writes exactly what deployed
// peers can read.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <boost/system/result.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/net/prefix.h"
#include "src/net/server_address.h"
#include "src/pki/wireguard_key.h"

namespace sixlink::tsp {

enum class Mode { kV6V4, kV6UdpV4, kV6AnyV4, kV4V6, kWireguard };
std::string_view to_string(Mode mode);                  // "v6udpv4"
std::optional<Mode> parse_mode(std::string_view text);  // any case
std::string_view capability_name(Mode mode);            // "V6UDPV4"

// What a client asks for: action="create".
struct CreateRequest {
  Mode mode = Mode::kV6AnyV4;
  bool is_proxy = false;
  boost::asio::ip::address client_address;                 // before NAT: the socket's own
  std::optional<std::chrono::seconds> keepalive_interval;  // absent: no keepalive
  bool is_router = false;
  std::optional<int> prefix_length;
  std::vector<std::string> dns_servers;
  std::string routing_protocol;
  std::optional<pki::WireguardKey> wireguard_key;  // the client's; kWireguard

  std::string to_xml() const;  // with CRLF line ends, as deployed clients write it
};

// A client leaves for good: action="delete" (RFC 5572 names it and leaves its content open).
struct DeleteRequest {
  // The tunnel's, as it was granted: who has not logged in shows by it that the tunnel is his. Unspecified:
  // not told.
  Mode mode = Mode::kV6UdpV4;
  boost::asio::ip::address client_inner;

  std::string to_xml() const;
};

// The broker's end of a WireGuard tunnel.
struct WireguardServer {
  pki::WireguardKey key;
  boost::asio::ip::address endpoint_address;  // unspecified: where the broker was reached
  std::uint16_t endpoint_port = 0;            // 0: the port where the broker was reached
  // What may come from there and is to be sent there; IPv4 is v4-mapped. Empty: everything.
  std::vector<net::Prefix> allowed;

  friend bool operator==(const WireguardServer&, const WireguardServer&) = default;
};
inline constexpr std::size_t kMostAllowed = 32;

// What a broker grants: action="info". The IPv6 addresses are the tunnel's inner ends and the IPv4 ones its
// outer ends; in mode v4v6 it is the other way round. In mode wireguard all are inner ends, and the IPv4 ones
// may be missing (0.0.0.0).
struct TunnelInfo {
  Mode mode = Mode::kV6UdpV4;  // never kV6AnyV4
  std::chrono::seconds lifetime{0};
  std::optional<int> mtu;  // absent: the client's choice
  boost::asio::ip::address_v4 server_v4;
  net::AddressV6 server_v6;
  boost::asio::ip::address_v4 client_v4;
  net::AddressV6 client_v6;
  std::string client_name;  // <address type="dn">; may be empty
  std::vector<net::AddressV6> dns_servers;
  std::optional<net::Prefix> prefix;       // delegated
  std::optional<net::PrefixV4> prefix_v4;  // delegated, v4v6
  std::optional<std::chrono::seconds> keepalive_interval;
  boost::asio::ip::address keepalive_address;  // of the inner family
  std::optional<WireguardServer> wireguard;    // if and only if the mode is

  friend bool operator==(const TunnelInfo&, const TunnelInfo&) = default;
  std::string to_xml() const;
};

// Where a redirection sends the client.
using BrokerList = std::vector<net::ServerAddress>;

enum class Action { kCreate, kInfo, kAccept, kDelete };

// Why a text was refused, in words that name the element.
struct XmlProblem {
  int status = 500;  // what a broker answers: 500, 501, 502, 518, 520
  std::string message;
};
template <typename T>
using XmlResult = boost::system::result<T, XmlProblem>;

// The action of a client's message; XmlProblem for anything else.
XmlResult<Action> parse_action(std::string_view xml);
XmlResult<CreateRequest> parse_create(std::string_view xml);
XmlResult<DeleteRequest> parse_delete(std::string_view xml);
XmlResult<TunnelInfo> parse_info(std::string_view xml);
// At most 50 brokers.
XmlResult<BrokerList> parse_redirect(std::string_view xml);
std::string redirect_xml(const BrokerList& brokers);

inline constexpr std::string_view kAcceptXml = "<tunnel action=\"accept\"></tunnel>\r\n";
inline constexpr std::size_t kMostBrokers = 50;

}  // namespace sixlink::tsp

namespace boost::system {
// result<T, XmlProblem>::value() without a check is our bug.
[[noreturn]] inline void throw_exception_from_error(const sixlink::tsp::XmlProblem& problem,
                                                    const boost::source_location&) {
  throw std::runtime_error("unchecked XML result: " + problem.message);
}
}  // namespace boost::system
