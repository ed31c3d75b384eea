// SPDX-License-Identifier: BSD-3-Clause
// Systems where no program says whether an interface has a carrier.
#include "platform/interface_state.h"

namespace sixlink::platform {

boost::system::error_code set_carrier(const std::string& /*name*/, bool /*has_carrier*/) {
  return make_error_code(boost::system::errc::operation_not_supported);
}

}  // namespace sixlink::platform
