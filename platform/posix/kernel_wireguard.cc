// SPDX-License-Identifier: BSD-3-Clause
// Where links of the mesh have no WireGuard interfaces of the kernel's: our datapath carries them.
#include "platform/kernel_wireguard.h"

namespace sixlink::platform {
namespace {

boost::system::error_code unsupported() {
  return boost::system::errc::make_error_code(boost::system::errc::operation_not_supported);
}

}  // namespace

bool has_kernel_wireguard() {
  return false;
}
boost::system::error_code make_kernel_wireguard(const KernelWireguard& /*wanted*/) {
  return unsupported();
}
boost::system::error_code remove_kernel_wireguard(const std::string& /*interface*/) {
  return unsupported();
}
boost::system::error_code set_interface_group(const std::string& /*interface*/, std::uint32_t /*group*/) {
  return unsupported();
}
KernelWireguardReader::~KernelWireguardReader() {}  // Linux has something to close
boost::system::result<KernelWireguardState> KernelWireguardReader::read(const std::string& /*interface*/) {
  return unsupported();
}
boost::system::result<int> open_link_socket(const std::string& /*interface*/, std::uint16_t /*port*/) {
  return unsupported();
}
boost::system::error_code send_out_of(const std::string& /*interface*/,
                                      std::span<const std::uint8_t> /*packet*/) {
  return unsupported();
}

}  // namespace sixlink::platform
