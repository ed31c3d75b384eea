// SPDX-License-Identifier: BSD-3-Clause
// `sixlink-registry init`: a working configuration, the state directory and the database.
#pragma once

#include <iosfwd>
#include <string>

#include "platform/system_defaults.h"
#include "registry/options.h"

namespace sixlink::registry {

// What conf/sixlink-registry.conf and the file that init writes differ in.
struct ConfigValues {
  std::string prefix = "2001:db8:42::/48";  // empty: no tunnels, a mesh alone
  std::string listen = "0.0.0.0 [::]";
  std::string run_dir = platform::kRunDirectory;
  std::string state_dir = "/var/lib/sixlink";
  std::string network{};  // empty: no mesh
  std::string network_v4{};
  std::string registry_url{};
  std::string https_listen{};  // empty: the default
};

// The complete, commented configuration. conf/sixlink-registry.conf is this text with the defaults.
std::string config_text(const ConfigValues& values);

// Writes the files and says on `out` what to do next; mistakes and failures go to `err`. The configuration is
// written last, so that an init that failed can be repeated. An existing configuration is replaced only with
// --force; an existing database is kept always. Returns the exit code.
int run_init(const Options& options, std::ostream& out, std::ostream& err);

}  // namespace sixlink::registry
