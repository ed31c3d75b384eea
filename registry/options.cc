// SPDX-License-Identifier: BSD-3-Clause
// Parsing sixlink-registry's command line. One table drives it, --help, and the test that the man page has
// every option.
#include "registry/options.h"

#include <utility>

namespace sixlink::registry {
namespace {

using config::command_bits;

constexpr std::uint32_t kEverywhere = config::kEveryCommand;
constexpr std::uint32_t kPrintsJson = command_bits(Command::kStatus, Command::kPeerList);
constexpr std::uint32_t kSetsPassword = command_bits(Command::kUserAdd, Command::kUserPasswd);

class Parser {
 public:
  explicit Parser(std::string_view default_config) { options_.config_file = default_config; }

  ParsedOptions run(const std::vector<std::string>& arguments) {
    config::OptionParser parser(option_specs(), arguments);
    while (!is_help_) {
      const auto event = parser.next();
      if (!event) break;
      take(*event);
    }
    if (is_help_ || is_version_) {
      options_.command = is_help_ ? Command::kHelp : Command::kVersion;
      if (is_help_ || error_.empty()) return {options_, {}};
    }
    if (error_.empty()) choose_command();
    if (error_.empty()) check_combination();
    if (!error_.empty()) return {std::nullopt, error_ + "; see \"sixlink-registry --help\""};
    return {options_, {}};
  }

 private:
  void fail(const std::string& text) {
    if (error_.empty()) error_ = text;
  }

  void take(const config::OptionParser::Event& event) {
    using Kind = config::OptionParser::Kind;
    if (event.kind == Kind::kError) return fail(event.text);
    if (event.kind == Kind::kWord) {
      words_.push_back(event.text);
      return;
    }
    given_.emplace_back(event.name, event.spec);
    if (!event.spec->argument.empty() && event.text.empty())
      return fail("option " + event.name + " needs an argument that is not empty");
    apply(event.spec->long_name, event.text);
  }

  void apply(std::string_view option, const std::string& value) {
    if (option == "help") is_help_ = true;
    if (option == "version") is_version_ = true;
    if (option == "foreground") options_.foreground = true;
    if (option == "force") options_.force = true;
    if (option == "prefix") options_.prefix = value;
    if (option == "state-dir") options_.state_dir = value;
    if (option == "run-dir") options_.run_dir = value;
    if (option == "listen") options_.listen.push_back(value);
    if (option == "password-file") options_.password_file = value;
    if (option == "undo") options_.drain.begins = false;
    if (option == "stop") options_.drain.stops = true;
    if (option == "json") options_.json = true;
    if (option == "qr") options_.qr = true;
    if (option == "ipv4") options_.all_v4 = true;
    if (option == "deadline") {
      options_.drain.deadline = parse_duration(value);
      if (!options_.drain.deadline)
        fail(
            "option --deadline takes seconds, or minutes with \"m\" or hours with \"h\" after the number, "
            "up to 168h");
    }
    if (option == "config") {
      options_.config_file = value;
      options_.is_default_config = false;
    }
  }

  void choose_command() {
    std::size_t used = 0;
    for (const CommandSpec& spec : command_specs()) {
      const auto space = spec.words.find(' ');
      const bool is_two = space != std::string_view::npos;
      if (words_.empty() != spec.words.empty()) continue;
      if (!words_.empty() && words_[0] != spec.words.substr(0, space)) continue;
      if (is_two && (words_.size() < 2 || words_[1] != spec.words.substr(space + 1))) continue;
      chosen_ = &spec;
      used = spec.words.empty() ? 0 : is_two ? 2 : 1;
    }
    if (chosen_ == nullptr) return fail(unknown_command());
    options_.command = chosen_->command;
    if (!chosen_->argument.empty()) {
      if (used == words_.size()) {
        return fail(std::string(chosen_->words) + " needs an argument: " + std::string(chosen_->argument));
      }
      options_.user_name = words_[used++];
    }
    if (used < words_.size()) fail("unexpected argument \"" + words_[used] + "\"");
  }

  std::string unknown_command() const {
    std::string known;
    const bool is_user = words_[0] == "user" || words_[0] == "peer";
    for (const CommandSpec& spec : command_specs()) {
      if (spec.words.empty() || (is_user && !spec.words.starts_with(words_[0] + " "))) continue;
      known += (known.empty() ? "" : ", ") + std::string(spec.words);
    }
    if (is_user && words_.size() == 1) return words_[0] + " needs a command: " + known;
    return "unknown command \"" + words_[0] + (is_user ? " " + words_[1] : "") + "\"; there are " + known;
  }

  void check_combination() {
    for (const auto& [name, spec] : given_) {
      if ((spec->commands & command_bits(options_.command)) != 0) continue;
      const std::string words(chosen_->words);
      return fail("option " + name + " does not go with " + (words.empty() ? "running the server" : words));
    }
    if (!options_.drain.begins && options_.drain.stops)
      return fail("--undo ends a drain, and --stop begins one");
    if (options_.drain.deadline && !options_.drain.stops)
      return fail("--deadline needs --stop: it is when the registry stops at the latest");
    if (options_.command == Command::kInit && options_.prefix.empty()) {
      fail("init needs the IPv6 prefix that is routed to this machine, such as --prefix 2001:db8:42::/48");
    }
  }

  Options options_;
  bool is_help_ = false;
  bool is_version_ = false;
  std::vector<std::string> words_;
  std::vector<std::pair<std::string, const OptionSpec*>> given_;
  const CommandSpec* chosen_ = nullptr;
  std::string error_;
};

}  // namespace

const std::vector<OptionSpec>& option_specs() {
  static const std::vector<OptionSpec> specs = {
      {'f', "config", "FILE", "the configuration, instead of the default", kEverywhere},
      {'n', "foreground", "", "stay in the foreground", command_bits(Command::kRun)},
      {0, "prefix", "PREFIX", "the IPv6 prefix routed to this machine, /32 to /64",
       command_bits(Command::kInit)},
      {0, "state-dir", "DIR", "where the database goes (/var/lib/sixlink)", command_bits(Command::kInit)},
      {0, "run-dir", "DIR", "where the PID file and records go (/run/sixlink)", command_bits(Command::kInit)},
      {0, "listen", "ADDRESS", "an address to serve on, with an optional :port; may be repeated (all)",
       command_bits(Command::kInit)},
      {0, "force", "", "replace an existing configuration", command_bits(Command::kInit)},
      {0, "password-file", "FILE", "read the password from FILE's first line", kSetsPassword},
      {0, "stop", "", "end the server when no tunnel is in use any more", command_bits(Command::kDrain)},
      {0, "deadline", "TIME", "with --stop: after TIME (90, 15m, 2h) at the latest",
       command_bits(Command::kDrain)},
      {0, "undo", "", "serve newcomers again", command_bits(Command::kDrain)},
      {0, "json", "", "print JSON", kPrintsJson},
      {0, "qr", "", "draw a QR code on the terminal", command_bits(Command::kPeerExport)},
      {0, "ipv4", "", "send all IPv4 through the tunnel too, where it has any",
       command_bits(Command::kPeerExport)},
      {'h', "help", "", "print this text", kEverywhere},
      {0, "version", "", "print the version", kEverywhere},
  };
  return specs;
}

const std::vector<CommandSpec>& command_specs() {
  static const std::vector<CommandSpec> specs = {
      {Command::kRun, "", "", "run the server"},
      {Command::kInit, "init", "", "write a working configuration and say what to do next"},
      {Command::kUserAdd, "user add", "NAME", "add a user; asks for the password"},
      {Command::kUserPasswd, "user passwd", "NAME", "change a user's password"},
      {Command::kUserDel, "user del", "NAME", "delete a user and the user's lease"},
      {Command::kUserList, "user list", "", "list the users and what they hold"},
      {Command::kPeerExport, "peer export", "NAME",
       "print a user's tunnel as a file for wg-quick, with a new key"},
      {Command::kPeerList, "peer list", "", "list the WireGuard tunnels and how they fare"},
      {Command::kPeerDelete, "peer delete", "NAME", "end a user's WireGuard tunnel"},
      {Command::kDrain, "drain", "",
       "give the running server's tunnels to no newcomer any more, for maintenance"},
      {Command::kStatus, "status", "", "tell how many tunnels the running server has, and its load"},
      {Command::kDnsStatus, "dns status", "", "tell which names in DNS are published and which wait"},
      {Command::kDnsResync, "dns resync", "", "send everything that should be in DNS again"},
  };
  return specs;
}

ParsedOptions parse_options(const std::vector<std::string>& arguments, std::string_view default_config) {
  return Parser(default_config).run(arguments);
}

std::string usage_text(std::string_view default_config) {
  std::string text = "Usage: sixlink-registry [COMMAND] [OPTION]...\n\nCommands:\n";
  for (const CommandSpec& spec : command_specs()) {
    std::string words = spec.words.empty() ? "(none)" : std::string(spec.words);
    if (!spec.argument.empty()) words += " " + std::string(spec.argument);
    text += config::help_line("  " + words, spec.help);
  }
  const auto section = [&](const char* title, std::uint32_t commands) {
    text += title;
    for (const OptionSpec& spec : option_specs()) {
      if (spec.commands == commands) text += config::help_line(spec);
    }
  };
  section("\nOptions:\n", kEverywhere);
  section("\nOptions for running the server:\n", command_bits(Command::kRun));
  section("\nOptions of init:\n", command_bits(Command::kInit));
  section("\nOptions of user add and user passwd:\n", kSetsPassword);
  section("\nOptions of drain:\n", command_bits(Command::kDrain));
  section("\nOptions of peer export:\n", command_bits(Command::kPeerExport));
  section("\nOptions of status and peer list:\n", kPrintsJson);
  text += "\nThe default configuration is " + std::string(default_config) +
          ". See sixlink-registry(8) and sixlink-registry.conf(5).\n";
  return text;
}

}  // namespace sixlink::registry
