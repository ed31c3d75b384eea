// SPDX-License-Identifier: BSD-3-Clause
// Interfaces of the kernel's, switched on and off.
#pragma once

#include <boost/system/error_code.hpp>
#include <string>

namespace sixlink::platform {

// As an administrator does. An interface that is down has no routes and no IPv6 addresses, and writing to it
// fails if it is a TUN. no_such_device: there is none.
[[nodiscard]] boost::system::error_code set_interface_up(const std::string& name, bool is_up);

// As if its cable were pulled out or put back: it keeps addresses, and can be written to.
// operation_not_supported: not this kind of interface (TUN can), or not this system (Linux can). It may take
// the kernel a second to tell others.
[[nodiscard]] boost::system::error_code set_carrier(const std::string& name, bool has_carrier);

}  // namespace sixlink::platform
