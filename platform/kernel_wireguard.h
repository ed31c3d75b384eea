// SPDX-License-Identifier: BSD-3-Clause
// WireGuard interfaces of the kernel's for links of the mesh: each has one peer and a UDP port of its own.
// Each call is a few requests to the kernel, no program is run and no key is written to a file. Where a
// system has no such thing here, the answer is operation_not_supported.
#pragma once

#include <boost/asio/ip/udp.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "src/net/prefix.h"

namespace sixlink::platform {

// This kernel has it, loading its module where that has to be. A few milliseconds the first time.
bool has_kernel_wireguard();

struct KernelWireguard {
  std::string interface;
  std::span<const std::uint8_t, 32> private_key;
  std::span<const std::uint8_t, 32> peer;  // its public key; everything is allowed from and to it
  boost::asio::ip::udp::endpoint endpoint;
  std::uint16_t port = 0;
  std::uint32_t group = 0;  // of interfaces, by which packet filters know it
  int mtu = 1280;
  bool begins_handshake = false;  // at once; else it waits for the peer's
  net::AddressV6 address;         // link-local, /64
};
// Up, with multicast and the mark of outer sockets (mark_outer()). file_exists: there is one of that name;
// address_in_use: something has the port. After an error there is nothing left.
[[nodiscard]] boost::system::error_code make_kernel_wireguard(const KernelWireguard& wanted);
// no_such_device: it is gone. invalid_argument: that is no WireGuard interface, and stays.
[[nodiscard]] boost::system::error_code remove_kernel_wireguard(const std::string& interface);
[[nodiscard]] boost::system::error_code set_interface_group(const std::string& interface,
                                                            std::uint32_t group);

struct KernelWireguardState {
  std::uint64_t bytes_in = 0;  // of whole messages that were authentic, handshakes included
  std::uint64_t bytes_out = 0;
  std::uint64_t handshake = 0;  // when the last one was, as nanoseconds of the system's clock; 0: none yet
  boost::asio::ip::udp::endpoint endpoint;  // where the peer is now
};
// Asks the kernel about many interfaces, many times.
class KernelWireguardReader {
 public:
  KernelWireguardReader() = default;
  ~KernelWireguardReader();
  KernelWireguardReader(const KernelWireguardReader&) = delete;
  KernelWireguardReader& operator=(const KernelWireguardReader&) = delete;

  // no_such_device: it is gone.
  boost::system::result<KernelWireguardState> read(const std::string& interface);

 private:
  int socket_ = -1;
  std::uint16_t family_ = 0;
};

// A socket for datagrams to and from ff02::1 with that port at both ends on the interface, as neighbours'
// control messages are sent in links. Not blocking.
boost::system::result<int> open_link_socket(const std::string& interface, std::uint16_t port);
// A whole IPv6 packet that is this machine's, out of the interface.
[[nodiscard]] boost::system::error_code send_out_of(const std::string& interface,
                                                    std::span<const std::uint8_t> packet);

}  // namespace sixlink::platform
