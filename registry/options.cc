// SPDX-License-Identifier: BSD-3-Clause
// Parsing sixlink-registry's command line. One table drives it, --help, and the test that the man page has
// every option.
#include "registry/options.h"

#include <algorithm>
#include <utility>

#include "src/config/key_value.h"

namespace sixlink::registry {
namespace {

using config::command_bits;

constexpr std::uint32_t kEverywhere = config::kEveryCommand;
constexpr std::uint32_t kPrintsJson =
    command_bits(Command::kStatus, Command::kPeerList, Command::kTokenNew, Command::kTokenList,
                 Command::kNodes, Command::kRevoke, Command::kVersions, Command::kAddresses,
                 Command::kTopology, Command::kCaList, Command::kAdminList);
constexpr std::uint32_t kNames = command_bits(Command::kInit, Command::kCaRoll);
constexpr std::uint32_t kExpires = command_bits(Command::kTokenNew, Command::kAdminNew);
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
    if (option == "mesh") options_.mesh = true;
    if (option == "network") options_.network = value;
    if (option == "network-v4") options_.network_v4 = value;
    if (option == "url") options_.url = value;
    if (option == "name") options_.name = value;
    if (option == "email") options_.email = value;
    if (option == "out") options_.out = value;
    if (option == "dot") options_.dot = true;
    if (option == "prefix-length") {
      long length = 0;
      if (!config::parse_number(value, 9, 64, length)) fail("option --prefix-length takes 9 to 64");
      options_.prefix_length = static_cast<int>(length);
    }
    if (option == "expires" || option == "after") {
      const auto time = parse_lifetime(value);
      if (!time) fail("option --" + std::string(option) + " takes a time such as 90, 15m, 2h or 30d");
      (option == "after" ? options_.after : options_.lifetime) = time;
    }
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
    const auto begins = [&](const CommandSpec& spec) { return spec.words.starts_with(words_[0] + " "); };
    const bool is_user = std::ranges::any_of(command_specs(), begins);
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
    if (options_.command != Command::kInit) return;
    const bool is_mesh = options_.mesh || !options_.network.empty();
    if (options_.mesh && options_.network.empty())
      fail("a mesh needs its IPv6 prefix, such as --network 2001:db8:42::/48");
    if (!is_mesh && (!options_.network_v4.empty() || !options_.url.empty() || !options_.name.empty()))
      fail("--url, --name and --ipv4 are for a mesh, which needs --network");
    if (!is_mesh && options_.prefix.empty()) {
      fail(
          "init needs the IPv6 prefix that is routed to this machine, such as --prefix 2001:db8:42::/48 (or "
          "--mesh --network PREFIX, for a mesh)");
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
      {0, "mesh", "", "make a mesh's registry; --prefix, for tunnels, may be left out",
       command_bits(Command::kInit)},
      {0, "network", "PREFIX", "the mesh's IPv6 prefix", command_bits(Command::kInit)},
      {0, "network-v4", "NET/N,PLEN",
       "IPv4 inside the mesh: each node has a prefix of PLEN bits; also --ipv4 NET/N PLEN",
       command_bits(Command::kInit)},
      {0, "url", "URL", "where nodes find this registry (https://HOSTNAME/)", command_bits(Command::kInit)},
      {0, "name", "NAME", "the name of the mesh's authority (sixlink mesh)", kNames},
      {0, "prefix-length", "N", "the length of the node's prefix", command_bits(Command::kTokenNew)},
      {0, "email", "ADDRESS", "whose node it will be", command_bits(Command::kTokenNew)},
      {0, "expires", "TIME", "how long it is good (2h, 30d)", kExpires},
      {0, "after", "TIME", "when the new authority begins to issue certificates (24h)",
       command_bits(Command::kCaRoll)},
      {0, "out", "DIR", "where the certificate and its key are written (.)",
       command_bits(Command::kAdminNew)},
      {0, "dot", "", "print the graph for Graphviz", command_bits(Command::kTopology)},
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
      {Command::kTokenNew, "token new", "",
       "make a token for one node to join the mesh, and print the line to paste"},
      {Command::kTokenList, "token list", "", "list the tokens that were not used yet"},
      {Command::kTokenDelete, "token delete", "ID", "take a token back"},
      {Command::kNodes, "nodes", "", "list the mesh's nodes"},
      {Command::kRevoke, "revoke", "NODE|SERIAL",
       "revoke a node's certificates, or one: the mesh cuts it off"},
      {Command::kVersions, "versions", "", "tell which software and parameters the nodes have"},
      {Command::kAddresses, "addresses", "WHO",
       "list the addresses of the nodes of an e-mail address or name"},
      {Command::kTopology, "topology", "", "print the mesh's nodes and links"},
      {Command::kCaList, "ca list", "", "list the mesh's authorities"},
      {Command::kCaRoll, "ca roll", "", "make the mesh's next authority"},
      {Command::kCaRetire, "ca retire", "FINGERPRINT", "let nobody believe an authority any more"},
      {Command::kAdminNew, "admin new", "NAME", "make a certificate for the API's administrators"},
      {Command::kAdminList, "admin list", "", "list the API's administrators"},
      {Command::kAdminRevoke, "admin revoke", "NAME", "refuse an administrator's certificates"},
  };
  return specs;
}

std::optional<std::chrono::seconds> parse_lifetime(std::string_view text) {
  constexpr long kMostDays = 3650;
  long days = 0;
  if (text.ends_with('d') && config::parse_number(text.substr(0, text.size() - 1), 1, kMostDays, days))
    return std::chrono::hours(24 * days);
  return parse_duration(text);
}

ParsedOptions parse_options(const std::vector<std::string>& arguments, std::string_view default_config) {
  // "init --ipv4 NET/N PLEN" has two arguments; "peer export --ipv4" has none.
  auto words = arguments;
  const auto at = std::ranges::find(words, "--ipv4");
  if (words.end() - at > 2 && std::ranges::find(words, "init") != words.end() &&
      (at + 1)->find('/') != std::string::npos) {
    const auto value = *(at + 1) + " " + *(at + 2);
    *at = "--network-v4";
    *(at + 1) = value;
    words.erase(at + 2);
  }
  return Parser(default_config).run(words);
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
  section("\nOptions of init and ca roll:\n", kNames);
  section("\nOptions of ca roll:\n", command_bits(Command::kCaRoll));
  section("\nOptions of token new:\n", command_bits(Command::kTokenNew));
  section("\nOptions of token new and admin new:\n", kExpires);
  section("\nOptions of admin new:\n", command_bits(Command::kAdminNew));
  section("\nOptions of topology:\n", command_bits(Command::kTopology));
  section("\nOptions of user add and user passwd:\n", kSetsPassword);
  section("\nOptions of drain:\n", command_bits(Command::kDrain));
  section("\nOptions of peer export:\n", command_bits(Command::kPeerExport));
  section("\nOptions of commands that print lists, of status, token new and revoke:\n", kPrintsJson);
  text += "\nThe default configuration is " + std::string(default_config) +
          ". See sixlink-registry(8) and sixlink-registry.conf(5).\n";
  return text;
}

}  // namespace sixlink::registry
