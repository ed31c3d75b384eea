// SPDX-License-Identifier: BSD-3-Clause
// The command line of sixlink-registry: the server, init and the user commands.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/status.h"
#include "src/config/option_parser.h"

namespace sixlink::registry {

enum class Command {
  kRun,
  kInit,
  kDrain,
  kStatus,
  kUserAdd,
  kUserPasswd,
  kUserDel,
  kUserList,
  kPeerExport,
  kPeerList,
  kPeerDelete,
  kDnsStatus,
  kDnsResync,
  kTokenNew,
  kTokenList,
  kTokenDelete,
  kNodes,
  kRevoke,
  kVersions,
  kAddresses,
  kTopology,
  kCaList,
  kCaRoll,
  kCaRetire,
  kAdminNew,
  kAdminList,
  kAdminRevoke,
  kHelp,
  kVersion
};

// Exit codes of every command; sixlink has the same meaning for these.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitBadConfiguration = 3;  // also a bad command line

struct Options {
  Command command = Command::kRun;
  std::string config_file;                       // never empty: the default path unless given
  bool is_default_config = true;                 // config_file was not given
  bool foreground = false;                       // -n
  std::string prefix;                            // init
  std::optional<std::string> state_dir;          // init
  std::optional<std::string> run_dir;            // init
  std::vector<std::string> listen;               // init; empty: the default
  bool force = false;                            // init
  bool mesh = false;                             // init
  std::string network;                           // init
  std::string network_v4;                        // init: "NET/N PLEN"
  std::string url;                               // init
  std::string name;                              // init, ca roll
  int prefix_length = 0;                         // token new; 0: as configured
  std::optional<std::chrono::seconds> lifetime;  // token new, admin new
  std::string email;                             // token new
  std::optional<std::chrono::seconds> after;     // ca roll
  std::string out = ".";                         // admin new
  bool dot = false;                              // topology
  std::string user_name;                         // the argument: user add, passwd, del; revoke; ...
  std::optional<std::string> password_file;      // user add, passwd
  DrainRequest drain;                            // drain
  bool json = false;                             // status, peer list
  bool qr = false;                               // peer export
  bool all_v4 = false;                           // peer export
};

using config::OptionSpec;
struct CommandSpec {
  Command command;
  std::string_view words;     // "user add"; empty: running the server
  std::string_view argument;  // "NAME"; empty: none
  std::string_view help;
};
const std::vector<OptionSpec>& option_specs();
const std::vector<CommandSpec>& command_specs();

struct ParsedOptions {
  std::optional<Options> options;
  std::string error;  // when options is empty: what is wrong and what to do, one line without a newline
};

// As parse_duration(), and days: "30d"; ten years at most.
std::optional<std::chrono::seconds> parse_lifetime(std::string_view text);

// `arguments` without the program's name; `default_config` is the path that stands for a missing -f. Options
// may stand before or after the command. "-h" and "--help" win over every mistake.
ParsedOptions parse_options(const std::vector<std::string>& arguments, std::string_view default_config);

std::string usage_text(std::string_view default_config);

}  // namespace sixlink::registry
