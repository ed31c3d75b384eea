// SPDX-License-Identifier: BSD-3-Clause
// Parsing sixlink-registry's command line. One table drives it, --help, and the test that the man page has
// every option.
#include "registry/options.h"

#include <algorithm>

namespace sixlink::registry {
namespace {

template <typename... Commands>
constexpr std::uint32_t on(Commands... commands) {
  return ((1u << static_cast<unsigned>(commands)) | ...);
}

constexpr std::uint32_t kEverywhere = ~0u;
constexpr std::uint32_t kSetsPassword = on(Command::kUserAdd, Command::kUserPasswd);

class Parser {
 public:
  Parser(const std::vector<std::string>& arguments, std::string_view default_config) : arguments_(arguments) {
    options_.config_file = default_config;
  }

  ParsedOptions run() {
    bool only_words = false;
    while (next_ < arguments_.size() && !is_help_) {
      const std::string& argument = arguments_[next_++];
      if (!only_words && argument == "--") {
        only_words = true;
      } else if (!only_words && argument.starts_with("--")) {
        take_long(argument);
      } else if (!only_words && argument.size() > 1 && argument.front() == '-') {
        take_short(argument);
      } else {
        words_.push_back(argument);
      }
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

  void take_long(const std::string& argument) {
    const auto equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    for (const OptionSpec& spec : option_specs()) {
      if (name.substr(2) != spec.long_name) continue;
      if (equals == std::string::npos) return take_value(name, spec);
      if (spec.argument.empty()) return fail("option " + name + " takes no argument");
      return apply(name, spec, argument.substr(equals + 1));
    }
    fail("unknown option " + name);
  }

  void take_short(const std::string& argument) {
    for (std::size_t at = 1; at < argument.size(); ++at) {
      const auto spec = std::find_if(option_specs().begin(), option_specs().end(),
                                     [&](const OptionSpec& one) { return one.short_name == argument[at]; });
      const std::string name = std::string("-") + argument[at];
      if (spec == option_specs().end()) return fail("unknown option " + name);
      if (!spec->argument.empty() && at + 1 < argument.size())
        return apply(name, *spec, argument.substr(at + 1));
      take_value(name, *spec);
    }
  }

  void take_value(const std::string& name, const OptionSpec& spec) {
    if (spec.argument.empty()) return apply(name, spec, {});
    if (next_ == arguments_.size())
      return fail("option " + name + " needs an argument: " + std::string(spec.argument));
    apply(name, spec, arguments_[next_++]);
  }

  void apply(const std::string& name, const OptionSpec& spec, const std::string& value) {
    given_.emplace_back(name, &spec);
    const auto option = spec.long_name;
    if (!spec.argument.empty() && value.empty())
      return fail("option " + name + " needs an argument that is not empty");
    if (option == "help") is_help_ = true;
    if (option == "version") is_version_ = true;
    if (option == "foreground") options_.foreground = true;
    if (option == "force") options_.force = true;
    if (option == "prefix") options_.prefix = value;
    if (option == "state-dir") options_.state_dir = value;
    if (option == "run-dir") options_.run_dir = value;
    if (option == "listen") options_.listen.push_back(value);
    if (option == "password-file") options_.password_file = value;
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
    const bool is_user = words_[0] == "user";
    for (const CommandSpec& spec : command_specs()) {
      if (spec.words.empty() || (is_user && !spec.words.starts_with("user "))) continue;
      known += (known.empty() ? "" : ", ") + std::string(spec.words);
    }
    if (is_user && words_.size() == 1) return "user needs a command: " + known;
    return "unknown command \"" + words_[0] + (is_user ? " " + words_[1] : "") + "\"; there are " + known;
  }

  void check_combination() {
    for (const auto& [name, spec] : given_) {
      if ((spec->commands & on(options_.command)) != 0) continue;
      const std::string words(chosen_->words);
      return fail("option " + name + " does not go with " + (words.empty() ? "running the server" : words));
    }
    if (options_.command == Command::kInit && options_.prefix.empty()) {
      fail("init needs the IPv6 prefix that is routed to this machine, such as --prefix 2001:db8:42::/48");
    }
  }

  const std::vector<std::string>& arguments_;
  std::size_t next_ = 0;
  Options options_;
  bool is_help_ = false;
  bool is_version_ = false;
  std::vector<std::string> words_;
  std::vector<std::pair<std::string, const OptionSpec*>> given_;
  const CommandSpec* chosen_ = nullptr;
  std::string error_;
};

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size() + 2, width), ' ');
  return text;
}

}  // namespace

const std::vector<OptionSpec>& option_specs() {
  static const std::vector<OptionSpec> specs = {
      {'f', "config", "FILE", "the configuration, instead of the default", kEverywhere},
      {'n', "foreground", "", "stay in the foreground", on(Command::kRun)},
      {0, "prefix", "PREFIX", "the IPv6 prefix routed to this machine, /32 to /64", on(Command::kInit)},
      {0, "state-dir", "DIR", "where the database goes (/var/lib/sixlink)", on(Command::kInit)},
      {0, "run-dir", "DIR", "where the PID file and records go (/run/sixlink)", on(Command::kInit)},
      {0, "listen", "ADDRESS", "an address to serve on, with an optional :port; may be repeated (all)",
       on(Command::kInit)},
      {0, "force", "", "replace an existing configuration", on(Command::kInit)},
      {0, "password-file", "FILE", "read the password from FILE's first line", kSetsPassword},
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
  };
  return specs;
}

ParsedOptions parse_options(const std::vector<std::string>& arguments, std::string_view default_config) {
  return Parser(arguments, default_config).run();
}

std::string usage_text(std::string_view default_config) {
  constexpr std::size_t kColumn = 30;
  std::string text = "Usage: sixlink-registry [COMMAND] [OPTION]...\n\nCommands:\n";
  for (const CommandSpec& spec : command_specs()) {
    std::string words = spec.words.empty() ? "(none)" : std::string(spec.words);
    if (!spec.argument.empty()) words += " " + std::string(spec.argument);
    text += padded("  " + words, kColumn) + std::string(spec.help) + "\n";
  }
  const auto section = [&](const char* title, std::uint32_t commands) {
    text += title;
    for (const OptionSpec& spec : option_specs()) {
      if (spec.commands != commands) continue;
      std::string names = spec.short_name != 0 ? std::string("  -") + spec.short_name + ", --" : "      --";
      names += spec.long_name;
      if (!spec.argument.empty()) names += " " + std::string(spec.argument);
      text += padded(names, kColumn) + std::string(spec.help) + "\n";
    }
  };
  section("\nOptions:\n", kEverywhere);
  section("\nOptions for running the server:\n", on(Command::kRun));
  section("\nOptions of init:\n", on(Command::kInit));
  section("\nOptions of user add and user passwd:\n", kSetsPassword);
  text += "\nThe default configuration is " + std::string(default_config) +
          ". See sixlink-registry(8) and sixlink-registry.conf(5).\n";
  return text;
}

}  // namespace sixlink::registry
