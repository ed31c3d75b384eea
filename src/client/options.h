// SPDX-License-Identifier: BSD-3-Clause
// The command line of sixlink: gogoc's flags with gogoc's meaning, long forms, subcommands.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/config/option_parser.h"

namespace sixlink::client {

enum class Command {
  kRun,
  kStatus,
  kStop,
  kJoin,
  kPeers,
  kRoutes,
  kPath,
  kTopology,
  kDoctor,
  kHelp,
  kVersion,
};

// Of `sixlink join URL`. One way in at most: token, anonymous or email.
struct JoinOptions {
  std::string url;          // empty: the configuration's registry
  std::string token;        // --token T; "-": is asked for
  bool anonymous = false;   // --anonymous
  std::string email;        // --email A: a token is sent there, and asked for
  std::string fingerprint;  // --fingerprint sha256:HEX, in lower case
  // --req KEY=VALUE, in order: the subject of the certificate.
  std::vector<std::pair<std::string, std::string>> subject;
  bool ca_only = false;    // --ca-only
  bool is_needed = false;  // --is-needed
};

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
  bool json = false;               // --json of the commands that tell something
  bool dot = false;                // topology --dot
  bool release = false;            // stop --release
  // --lan-interface IF, each: besides those of lan_interface.
  std::vector<std::string> lan_interfaces;
  JoinOptions join;
  std::string node;  // path NODE: an address, or a prefix
};

using config::OptionSpec;
struct CommandSpec {
  Command command;
  std::string_view name;
  std::string_view argument;  // "NODE"; empty: none
  bool needs_argument;
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
