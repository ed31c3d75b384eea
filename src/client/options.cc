// SPDX-License-Identifier: BSD-3-Clause
// Parsing sixlink's command line. One table drives it, --help, and the test that the man page has every
// option.
#include "src/client/options.h"

#include <boost/asio/ip/address.hpp>
#include <utility>

#include "src/client/config.h"
#include "src/config/build_info.h"
#include "src/config/key_value.h"

namespace sixlink::client {
namespace {

constexpr long kLongestRetryDelay = 3600;  // as retry_delay in sixlink.conf

constexpr std::uint32_t kRunning = config::command_bits(Command::kRun);
constexpr std::uint32_t kWithCommand = config::command_bits(Command::kStatus, Command::kStop);

using Error = std::string;  // empty: none

Error set_interface(std::optional<std::string>& out, const std::string& value) {
  if (!is_interface_name(value)) {
    return "\"" + value +
           "\" is no interface name: 1 to 15 letters, digits or \"_.:-\", not beginning with \"-\"";
  }
  out = value;
  return {};
}

// With proxy_client=yes it is another machine's: what it may be then is seen when the file is known.
Error set_home_interface(std::optional<std::string>& out, const std::string& value) {
  if (!is_router_interface_name(value)) return set_interface(out, value);
  out = value;
  return {};
}

Error set_source(std::optional<std::string>& out, const std::string& value) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(value, error);
  if (!error) {
    if (address.is_unspecified() || address.is_multicast()) {
      return "\"" + value + "\" is no address that this machine can have";
    }
    out = address.to_string();
    return {};
  }
  return set_interface(out, value);
}

Error set_retry_delay(std::optional<int>& out, const std::string& value) {
  long number = 0;
  if (!config::parse_number(value, 0, kLongestRetryDelay, number)) {
    return "\"" + value + "\" is not allowed: give 0 to 3600 seconds";
  }
  out = static_cast<int>(number);
  return {};
}

// `spec` is a row of option_specs(); its long name is the option's identity.
Error apply(Options& options, const OptionSpec& spec, const std::string& value) {
  const auto name = spec.long_name;
  if (name == "help") options.command = Command::kHelp;
  if (name == "version") options.command = Command::kVersion;
  if (name == "yes") options.assume_yes = true;
  if (name == "foreground") options.foreground = true;
  if (name == "boot") options.boot = true;
  if (name == "json") options.json = true;
  if (name == "release") options.release = true;
  if (name == "if-prefix") return set_home_interface(options.if_prefix, value);
  if (name == "if-udp") return set_interface(options.if_v6udpv4, value);
  if (name == "source") return set_source(options.if_or_source, value);
  if (name == "retry-delay") return set_retry_delay(options.retry_delay, value);
  if (name == "config") {
    if (value.empty()) return "needs the name of a file";
    options.config_file = value;
  }
  return {};
}

class Parser {
 public:
  ParsedOptions run(const std::vector<std::string>& arguments) {
    config::OptionParser parser(option_specs(), arguments, '?');
    while (error_.empty() && !is_final()) {
      const auto event = parser.next();
      if (!event) {
        check_combination();
        break;
      }
      take(*event);
    }
    if (!error_.empty()) return {std::nullopt, error_ + "; see \"sixlink --help\""};
    return {std::move(options_), {}};
  }

 private:
  using Kind = config::OptionParser::Kind;

  // --help and --version win over what follows, as everywhere.
  bool is_final() const {
    return options_.command == Command::kHelp || options_.command == Command::kVersion;
  }

  void take(const config::OptionParser::Event& event) {
    if (event.kind == Kind::kError) {
      error_ = event.text;
    } else if (event.kind == Kind::kWord) {
      take_word(event.text);
    } else {
      const auto problem = apply(options_, *event.spec, event.text);
      if (!problem.empty()) error_ = "option " + event.name + ": " + problem;
      if ((event.spec->commands & kWithCommand) == 0) run_option_ = event.name;
    }
  }

  void take_word(const std::string& word) {
    if (options_.command != Command::kRun) {
      error_ = "unexpected argument \"" + word + "\" after the command";
    } else if (word == "status") {
      options_.command = Command::kStatus;
    } else if (word == "stop") {
      options_.command = Command::kStop;
    } else {
      error_ = "unknown command \"" + word + "\"";
    }
  }

  void check_combination() {
    if (options_.json && options_.command != Command::kStatus) {
      error_ = "option --json goes with the command status only";
    } else if (options_.release && options_.command != Command::kStop) {
      error_ = "option --release goes with the command stop only";
    } else if (options_.command != Command::kRun && !run_option_.empty()) {
      error_ = "option " + run_option_ + " does not go with a command; of those, " +
               (options_.command == Command::kStatus ? "status takes -f and --json"
                                                     : "stop takes -f and --release");
    }
  }

  Options options_;
  std::string run_option_;  // the last option given that a command does not take
  Error error_;
};

}  // namespace

const std::vector<OptionSpec>& option_specs() {
  using config::kEveryCommand;
  static const std::vector<OptionSpec> specs = {
      {'f', "config", "FILE", "read FILE instead of the default configuration", kEveryCommand},
      {'n', "foreground", "", "stay in the foreground", kRunning},
      {'b', "boot", "", "give up after the first failure", kRunning},
      {'i', "if-prefix", "IF", "the interface of the network behind this machine (if_prefix)", kRunning},
      {'u', "if-udp", "IF", "the tunnel's interface for v6udpv4 (if_tunnel_v6udpv4)", kRunning},
      {'s', "source", "IF|ADDR",
       "the tunnel's interface for v6v4 (if_tunnel_v6v4), or the address to use (client_v4, client_v6)",
       kRunning},
      {'r', "retry-delay", "SECONDS", "wait so long after a first failure (retry_delay)", kRunning},
      {'y', "yes", "", "accept and keep the host key of a broker that is not known yet", kRunning},
      {0, "json", "", "status: print JSON", config::command_bits(Command::kStatus)},
      {0, "release", "", "stop: give the lease back to the broker", config::command_bits(Command::kStop)},
      {'h', "help", "", "print this text (also -?)", kEveryCommand},
      {0, "version", "", "print the version", kEveryCommand},
  };
  return specs;
}

const std::vector<CommandSpec>& command_specs() {
  static const std::vector<CommandSpec> specs = {
      {"status", "tell what the running client does; exit status 0 up, 1 not up, 2 not running"},
      {"stop", "take the tunnel down and end the running client"},
  };
  return specs;
}

ParsedOptions parse_options(const std::vector<std::string>& arguments) {
  return Parser().run(arguments);
}

std::string usage_text() {
  std::string text =
      "Usage: sixlink [OPTION]...                 get a tunnel and keep it\n"
      "       sixlink status [-f FILE] [--json]\n"
      "       sixlink stop [-f FILE] [--release]\n\nOptions:\n";
  for (const OptionSpec& spec : option_specs()) text += config::help_line(spec);
  text += "\nCommands:\n";
  for (const CommandSpec& spec : command_specs()) {
    text += config::help_line("  " + std::string(spec.name), spec.help);
  }
  text += "\nThe default configuration is " + std::string(config::config_dir()) +
          "/sixlink.conf. See sixlink(8) and sixlink.conf(5).\n";
  return text;
}

}  // namespace sixlink::client
