// SPDX-License-Identifier: BSD-3-Clause
// Creating and destroying cloned interfaces (ifconfig(8)'s create and destroy).
#pragma once

#include <boost/system/result.hpp>
#include <string>

namespace sixlink::platform::bsd {

// EEXIST: there is one already. On FreeBSD a driver's name alone ("tun") takes its first free unit. The name
// that the interface got.
boost::system::result<std::string> create_interface(const std::string& name);

// Nothing happens when it is gone already.
void destroy_interface(const std::string& name);

}  // namespace sixlink::platform::bsd
