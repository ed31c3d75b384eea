// SPDX-License-Identifier: BSD-3-Clause
// A TUN whose packets carry their address family before them: four bytes in network order, as tun(4) of the
// BSDs has it (TUNSIFHEAD on FreeBSD and NetBSD, always on OpenBSD) and utun of Darwin.
#pragma once

#include <array>
#include <functional>
#include <string>

#include "platform/platform.h"

namespace sixlink::platform::posix {

using FamilyHeader = std::array<std::uint8_t, 4>;

// The header for `packet`, by its version; false: it is neither IPv4 nor IPv6.
bool make_family_header(std::span<const std::uint8_t> packet, FamilyHeader& header);
// Whether what follows is IPv4 or IPv6.
bool is_inner_family(const FamilyHeader& header);

class FamilyTun final : public TunDevice {
 public:
  // Owns `fd`, which does not block. `remove` is called after it was closed, for systems where the interface
  // outlives its descriptor.
  FamilyTun(std::string name, int fd, std::function<void(const std::string& name)> remove = {});
  FamilyTun(const FamilyTun&) = delete;
  FamilyTun& operator=(const FamilyTun&) = delete;
  ~FamilyTun() override;

  const std::string& name() const override { return name_; }
  int fd() const override { return fd_; }
  std::ptrdiff_t read(std::span<std::uint8_t> buffer) override;
  int write(std::span<const std::uint8_t> packet) override;

 private:
  std::string name_;
  int fd_;
  std::function<void(const std::string&)> remove_;
};

}  // namespace sixlink::platform::posix
