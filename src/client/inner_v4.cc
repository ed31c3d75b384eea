// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/inner_v4.h"

namespace sixlink::client {

boost::asio::ip::address_v4 InnerV4::address() const {
  return prefix.length >= 31 ? prefix.address : boost::asio::ip::address_v4(prefix.address.to_uint() + 1);
}

bool lacks_inner_v4(const std::optional<net::PrefixV4>& network, const std::optional<net::PrefixV4>& prefix) {
  if (!network) return false;
  return !prefix || prefix->length <= network->length || !network->contains(prefix->address);
}

std::optional<InnerV4> next_inner_v4(const std::optional<InnerV4>& now,
                                     const std::optional<net::PrefixV4>& network,
                                     const std::optional<net::PrefixV4>& prefix) {
  if (!network) return std::nullopt;
  if (lacks_inner_v4(network, prefix)) return now;
  return InnerV4{*network, *prefix};
}

}  // namespace sixlink::client
