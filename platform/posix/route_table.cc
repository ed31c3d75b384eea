// SPDX-License-Identifier: BSD-3-Clause
// Systems with one routing table.
#include "platform/route_table.h"

namespace sixlink::platform {
namespace {

boost::system::error_code unsupported() {
  return make_error_code(boost::system::errc::operation_not_supported);
}

}  // namespace

boost::system::error_code add_unreachable_route(unsigned /*table*/, const boost::asio::ip::address&,
                                                int /*prefix_length*/) {
  return unsupported();
}

boost::system::error_code remove_unreachable_route(unsigned /*table*/, const boost::asio::ip::address&,
                                                   int /*prefix_length*/) {
  return unsupported();
}

boost::system::result<std::size_t> remove_routes(const RouteSelector& /*selector*/) {
  return unsupported();
}

boost::system::result<std::vector<boost::asio::ip::address_v6>> keep_routes(const std::string& /*interface*/,
                                                                            int /*protocol*/) {
  return unsupported();
}

std::optional<DefaultGateway> gateway_towards(const boost::asio::ip::address_v6& /*destination*/) {
  return std::nullopt;
}

}  // namespace sixlink::platform
