// SPDX-License-Identifier: BSD-3-Clause
// NAME.tunnel: what a running daemon needs to have undone should it die without a goodbye (kill -9, power).
// Written before the template creates anything, removed after its teardown; found at start, it says what to
// tear down first.
#pragma once

#include <boost/system/result.hpp>
#include <optional>
#include <string>

#include "src/tunnel/parameters.h"

namespace sixlink::tunnel {

struct Leftover {
  std::string template_path;
  Environment environment;  // of the teardown
};

[[nodiscard]] boost::system::error_code save_leftover(const std::string& path, const Leftover& leftover);
// nullopt: no file, so nothing is left. A file that is damaged is an error (bad_message), and so is one that
// others could have written (operation_not_permitted): its record may still be there.
boost::system::result<std::optional<Leftover>> load_leftover(const std::string& path);

}  // namespace sixlink::tunnel
