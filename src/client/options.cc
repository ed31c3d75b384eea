// SPDX-License-Identifier: BSD-3-Clause
// Parsing sixlink's command line. One table drives it, --help, and the test that the man page has every
// option.
#include "src/client/options.h"

#include <algorithm>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/address_v6.hpp>

#include "src/config/build_info.h"
#include "src/client/config.h"
#include "src/config/key_value.h"

namespace sixlink::client {
namespace {

constexpr long kLongestRetryDelay = 3600;  // as retry_delay in sixlink.conf

using Error = std::string;  // empty: none

Error set_interface(std::optional<std::string>& out, const std::string& value) {
  if (!is_interface_name(value)) {
    return "\"" + value +
           "\" is no interface name: 1 to 15 letters, digits or \"_.:-\", not beginning with \"-\"";
  }
  out = value;
  return {};
}

Error set_source(std::optional<std::string>& out, const std::string& value) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address_v4(value, error);
  if (!error) {
    if (address.is_unspecified() || address.is_multicast()) {
      return "\"" + value + "\" is no address that this machine can have";
    }
    out = address.to_string();
    return {};
  }
  boost::asio::ip::make_address_v6(value, error);
  if (!error) return "an IPv6 source address is not yet supported: give an interface or an IPv4 address";
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
  if (name == "if-prefix") return set_interface(options.if_prefix, value);
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
  explicit Parser(const std::vector<std::string>& arguments) : arguments_(arguments) {}

  ParsedOptions run() {
    bool only_words = false;
    while (error_.empty() && !is_final() && next_ < arguments_.size()) {
      const std::string& argument = arguments_[next_++];
      if (!only_words && argument == "--") {
        only_words = true;
      } else if (!only_words && argument.starts_with("--")) {
        take_long(argument);
      } else if (!only_words && argument.size() > 1 && argument.front() == '-') {
        take_short(argument);
      } else {
        take_word(argument);
      }
    }
    if (error_.empty() && !is_final()) check_combination();
    ParsedOptions result;
    if (error_.empty()) {
      result.options = std::move(options_);
    } else {
      result.error = error_ + "; see \"sixlink --help\"";
    }
    return result;
  }

 private:
  // --help and --version win over what follows, as everywhere.
  bool is_final() const {
    return options_.command == Command::kHelp || options_.command == Command::kVersion;
  }

  void take_long(const std::string& argument) {
    const auto equals = argument.find('=');
    const auto name = std::string_view(argument).substr(2, equals == std::string::npos ? equals : equals - 2);
    for (const OptionSpec& spec : option_specs()) {
      if (spec.long_name != name) continue;
      if (equals != std::string::npos && spec.argument.empty()) {
        error_ = "option --" + std::string(name) + " takes no argument";
      } else if (equals != std::string::npos) {
        apply_named("--" + std::string(name), spec, argument.substr(equals + 1));
      } else {
        take_value("--" + std::string(name), spec);
      }
      return;
    }
    error_ = "unknown option --" + std::string(name);
  }

  void take_short(const std::string& argument) {
    for (std::size_t at = 1; at < argument.size() && error_.empty() && !is_final(); ++at) {
      const OptionSpec* found = nullptr;
      for (const OptionSpec& spec : option_specs()) {
        if (spec.short_name == argument[at]) found = &spec;
        if (argument[at] == '?' && spec.long_name == "help") found = &spec;
      }
      const std::string name = std::string("-") + argument[at];
      if (found == nullptr) {
        error_ = "unknown option " + name;
        return;
      }
      if (!found->argument.empty() && at + 1 < argument.size()) {
        apply_named(name, *found, argument.substr(at + 1));
        return;
      }
      take_value(name, *found);
    }
  }

  void take_value(const std::string& name, const OptionSpec& spec) {
    if (spec.argument.empty()) {
      apply_named(name, spec, {});
    } else if (next_ == arguments_.size()) {
      error_ = "option " + name + " needs an argument: " + std::string(spec.argument);
    } else {
      apply_named(name, spec, arguments_[next_++]);
    }
  }

  void apply_named(const std::string& name, const OptionSpec& spec, const std::string& value) {
    const auto problem = apply(options_, spec, value);
    if (!problem.empty()) error_ = "option " + name + ": " + problem;
    const bool for_all = spec.long_name == "config" || spec.long_name == "json";
    if (!for_all) run_option_ = name;
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
    } else if (options_.command != Command::kRun && !run_option_.empty()) {
      error_ = "option " + run_option_ + " does not go with a command; of those, " +
               (options_.command == Command::kStatus ? "status takes -f and --json" : "stop takes -f");
    }
  }

  const std::vector<std::string>& arguments_;
  std::size_t next_ = 0;
  Options options_;
  std::string run_option_;  // the last option given that a command does not take
  Error error_;
};

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size() + 2, width), ' ');
  return text;
}

}  // namespace

const std::vector<OptionSpec>& option_specs() {
  static const std::vector<OptionSpec> specs = {
      {'f', "config", "FILE", "read FILE instead of the default configuration"},
      {'n', "foreground", "", "stay in the foreground"},
      {'b', "boot", "", "give up after the first failure"},
      {'i', "if-prefix", "IF", "the interface of the network behind this machine (if_prefix)"},
      {'u', "if-udp", "IF", "the tunnel's interface for v6udpv4 (if_tunnel_v6udpv4)"},
      {'s', "source", "IF|ADDR",
       "the tunnel's interface for v6v4 (if_tunnel_v6v4), or the IPv4 address to use (client_v4)"},
      {'r', "retry-delay", "SECONDS", "wait so long after a first failure (retry_delay)"},
      {'y', "yes", "", "accept the key of a server that is not known yet"},
      {0, "json", "", "status: print JSON"},
      {'h', "help", "", "print this text (also -?)"},
      {0, "version", "", "print the version"},
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
  return Parser(arguments).run();
}

std::string usage_text() {
  constexpr std::size_t kColumn = 30;
  std::string text =
      "Usage: sixlink [OPTION]...                 get a tunnel and keep it\n"
      "       sixlink status [-f FILE] [--json]\n"
      "       sixlink stop [-f FILE]\n\nOptions:\n";
  for (const OptionSpec& spec : option_specs()) {
    std::string names =
        spec.short_name != 0 ? std::string("  -") + spec.short_name + ", --" : std::string("      --");
    names += spec.long_name;
    if (!spec.argument.empty()) names += " " + std::string(spec.argument);
    text += padded(names, kColumn) + std::string(spec.help) + "\n";
  }
  text += "\nCommands:\n";
  for (const CommandSpec& spec : command_specs()) {
    text += padded("  " + std::string(spec.name), kColumn) + std::string(spec.help) + "\n";
  }
  text += "\nThe default configuration is " + std::string(config::config_dir()) +
          "/sixlink.conf. See sixlink(8) and sixlink.conf(5).\n";
  return text;
}

}  // namespace sixlink::client
