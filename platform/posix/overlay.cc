// SPDX-License-Identifier: BSD-3-Clause
// A node's address, routes and forwarding, where nobody has written it for the system yet.
#include "platform/overlay.h"

namespace sixlink::platform {
namespace {

boost::system::error_code unsupported() {
  return boost::system::errc::make_error_code(boost::system::errc::operation_not_supported);
}

}  // namespace

boost::system::error_code bring_up(const std::string& /*interface*/) {
  return unsupported();
}
boost::system::error_code add_address(const std::string& /*interface*/,
                                      const boost::asio::ip::address& /*address*/) {
  return unsupported();
}
boost::system::error_code remove_address(const std::string& /*interface*/,
                                         const boost::asio::ip::address& /*address*/) {
  return unsupported();
}
boost::system::error_code add_unreachable(const net::Prefix& /*prefix*/) {
  return unsupported();
}
boost::system::error_code remove_unreachable(const net::Prefix& /*prefix*/) {
  return unsupported();
}
boost::system::error_code add_way(const boost::asio::ip::address& /*destination*/,
                                  const boost::asio::ip::address& /*gateway*/) {
  return unsupported();
}
boost::system::error_code remove_way(const boost::asio::ip::address& /*destination*/,
                                     const boost::asio::ip::address& /*gateway*/) {
  return unsupported();
}
boost::system::error_code add_last_table(std::uint32_t /*table*/) {
  return unsupported();
}
boost::system::error_code remove_last_table(std::uint32_t /*table*/) {
  return unsupported();
}
boost::system::error_code mark_outer(int /*socket*/) {
  return unsupported();
}
boost::system::result<int> claim_overlay(pid_t& /*holder*/) {
  return unsupported();
}
std::vector<SystemSetting> settings_for_ipv6(const std::string& /*interface*/) {
  return {};
}
std::vector<SystemSetting> settings_for_forwarding(bool /*has_v4*/) {
  return {};
}
boost::system::error_code change_setting(const SystemSetting& /*setting*/) {
  return unsupported();
}
boost::system::error_code restore_setting(const SystemSetting& /*setting*/) {
  return unsupported();
}

}  // namespace sixlink::platform
