// SPDX-License-Identifier: BSD-3-Clause
// The command line of sixlink: gogoc's flags with gogoc's meaning, long forms, subcommands.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/config/option_parser.h"

namespace sixlink::client {

enum class Command { kRun, kStatus, kStop, kHelp, kVersion };

struct Options {
  Command command = Command::kRun;
  bool assume_yes = false;                // -y, --yes: accept an unknown server key
  bool foreground = false;                // -n, --foreground: do not fork
  bool boot = false;                      // -b, --boot: give up after the first failure
  std::string config_file;                // -f FILE, --config FILE; empty: the default path
  std::optional<std::string> if_prefix;   // -i IF, --if-prefix IF: overrides if_prefix
  std::optional<std::string> if_v6udpv4;  // -u IF, --if-udp IF: overrides if_tunnel_v6udpv4
  // -s IF|ADDR, --source IF|ADDR: if_tunnel_v6v4, or client_v4 or client_v6 when an address
  std::optional<std::string> if_or_source;
  std::optional<int> retry_delay;  // -r SECONDS, --retry-delay SECONDS
  bool json = false;               // status --json
  bool release = false;            // stop --release
};

using config::OptionSpec;
struct CommandSpec {
  std::string_view name;
  std::string_view help;
};
const std::vector<OptionSpec>& option_specs();
const std::vector<CommandSpec>& command_specs();

struct ParsedOptions {
  std::optional<Options> options;
  std::string error;  // when options is empty: what is wrong and what to do, one line
};

// `arguments` without the program's name. "-h", "-?" and "--help" are kHelp. Options may stand before or
// after a subcommand.
ParsedOptions parse_options(const std::vector<std::string>& arguments);

std::string usage_text();

}  // namespace sixlink::client
