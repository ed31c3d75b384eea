// SPDX-License-Identifier: BSD-3-Clause
// IPv4 inside of the mesh, as one node has it: the network's range, which the parameters name, and the node's
// prefix in it, which the registry gives. Either may come first, and the operator may change the range.
#pragma once

#include <boost/asio/ip/address_v4.hpp>
#include <chrono>
#include <optional>

#include "src/net/prefix.h"

namespace sixlink::client {

struct InnerV4 {
  net::PrefixV4 network;
  net::PrefixV4 prefix;  // of the node, in the network

  // The node's: the first one in its prefix; of a /31 or /32 the only one that can be.
  boost::asio::ip::address_v4 address() const;
  friend bool operator==(const InnerV4&, const InnerV4&) = default;
};

// When the range is another one, all nodes hear of it at nearly the same moment. They ask the registry one
// after another, and not before everybody has heard: who has not takes what is announced of it for a lie. But
// they begin to use it together: a babeld that is started again upsets those that are not, for 20 ms each
// time and at times for 2 s (measured), while of all at once nobody loses anything, as the kernel keeps its
// routes for longer than they need to find each other.
inline constexpr std::chrono::milliseconds kFirstV4Request{1000};
inline constexpr std::chrono::milliseconds kLastV4Request{6000};
inline constexpr std::chrono::milliseconds kV4Change{7000};

// The network has IPv4, and the node has none of it: it is to ask the registry.
bool lacks_inner_v4(const std::optional<net::PrefixV4>& network, const std::optional<net::PrefixV4>& prefix);

// What the node is to use from now on, after `now`. As long as it lacks a prefix of another range it keeps
// what it has: what else has moved there already, it loses anyway.
std::optional<InnerV4> next_inner_v4(const std::optional<InnerV4>& now,
                                     const std::optional<net::PrefixV4>& network,
                                     const std::optional<net::PrefixV4>& prefix);

}  // namespace sixlink::client
