// SPDX-License-Identifier: BSD-3-Clause
// Parsing sixlink's command line. One table drives it, --help, and the test that the man page has every
// option.
#include "src/client/options.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <utility>

#include "src/client/config.h"
#include "src/client/node_request.h"
#include "src/config/build_info.h"
#include "src/config/key_value.h"
#include "src/tsp/status.h"

namespace sixlink::client {
namespace {

constexpr long kLongestRetryDelay = 3600;  // as retry_delay in sixlink.conf

constexpr std::uint32_t kRunning = config::command_bits(Command::kRun);
constexpr std::uint32_t kJoining = config::command_bits(Command::kJoin);
constexpr std::uint32_t kTelling = config::command_bits(Command::kStatus, Command::kPeers, Command::kRoutes,
                                                        Command::kPath, Command::kTopology, Command::kDoctor);
constexpr std::size_t kMostLanInterfaces = 16;  // as lan_interface in sixlink.conf
constexpr std::size_t kLongestToken = 256;
constexpr std::size_t kLongestEmail = 254;  // RFC 5321 section 4.5.3.1.3, less the brackets

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

Error add_lan_interface(std::vector<std::string>& out, const std::string& value) {
  std::optional<std::string> name;
  if (auto error = set_interface(name, value); !error.empty()) return error;
  if (out.size() == kMostLanInterfaces) return "is given more than 16 times";
  if (std::find(out.begin(), out.end(), value) == out.end()) out.push_back(value);
  return {};
}

bool is_printable_word(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

Error set_token(std::string& out, const std::string& value) {
  if (value.empty() || value.size() > kLongestToken || !is_printable_word(value))
    return "needs the token as the registry's administrator gave it, or - to be asked for it";
  out = value;
  return {};
}

Error set_email(std::string& out, const std::string& value) {
  const auto at = value.find('@');
  const bool is_good = value.size() <= kLongestEmail && is_printable_word(value) && at != std::string::npos &&
                       at > 0 && at + 1 < value.size() && value.find('@', at + 1) == std::string::npos;
  if (!is_good) return "\"" + value + "\" is no e-mail address";
  out = value;
  return {};
}

Error set_fingerprint(std::string& out, const std::string& value) {
  constexpr std::string_view kKind = "sha256:";
  auto text = config::lower_case(value);
  // As `openssl x509 -fingerprint` writes it, too.
  if (text.starts_with(kKind)) text.erase(0, kKind.size());
  std::erase(text, ':');
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (text.size() != 64 || !std::all_of(text.begin(), text.end(), is_digit))
    return "\"" + value + "\" is no fingerprint: sha256: and 64 hexadecimal digits";
  out = std::string(kKind) + text;
  return {};
}

Error add_subject_field(JoinOptions& join, const std::string& value) {
  auto field = parse_subject_field(value);
  if (!field) return "\"" + value + "\" is not allowed: give KEY=VALUE, as CN=router7 or O=Example";
  join.subject.push_back(*std::move(field));
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
  if (name == "dot") options.dot = true;
  if (name == "anonymous") options.join.anonymous = true;
  if (name == "ca-only") options.join.ca_only = true;
  if (name == "is-needed") options.join.is_needed = true;
  if (name == "token") return set_token(options.join.token, value);
  if (name == "email") return set_email(options.join.email, value);
  if (name == "fingerprint") return set_fingerprint(options.join.fingerprint, value);
  if (name == "req") return add_subject_field(options.join, value);
  if (name == "lan-interface") return add_lan_interface(options.lan_interfaces, value);
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
      given_.emplace_back(event.spec, event.name);
    }
  }

  void take_word(const std::string& word) {
    if (command_ == nullptr) {
      const auto found = std::ranges::find(command_specs(), word, &CommandSpec::name);
      if (found == command_specs().end()) {
        error_ = "unknown command \"" + word + "\"";
        return;
      }
      command_ = &*found;
      options_.command = found->command;
    } else if (command_->argument.empty() || has_argument_) {
      error_ = "unexpected argument \"" + word + "\" after the command";
    } else {
      has_argument_ = true;
      take_argument(word);
    }
  }

  void take_argument(const std::string& word) {
    if (options_.command == Command::kJoin) {
      const auto url = parse_registry_url(word);
      if (url) options_.join.url = *url;
      if (!url)
        error_ =
            "\"" + tsp::printable(word) + "\" is no registry's URL: give https://HOST or https://HOST:PORT";
    } else {
      const auto prefix = net::Prefix::parse(word);
      const auto address = net::parse_v6(word);
      if (prefix) options_.node = prefix->to_string();
      if (address) options_.node = address->to_string();
      if (!prefix && !address)
        error_ = "\"" + tsp::printable(word) + "\" is no node: give its IPv6 address or its prefix";
    }
  }

  void check_combination() {
    for (const auto& [spec, name] : given_) {
      if ((spec->commands & config::command_bits(options_.command)) != 0) continue;
      if ((spec->commands & ~kRunning) == 0) {
        error_ = "option " + name + " does not go with a command";
      } else {
        error_ = "option " + name + " goes with " + commands_of(*spec) + " only";
      }
      return;
    }
    if (command_ != nullptr && command_->needs_argument && !has_argument_) {
      error_ = "the command " + std::string(command_->name) +
               " needs an argument: " + std::string(command_->argument);
    } else if (options_.json && options_.dot) {
      error_ = "--json and --dot are two formats: give one of them";
    } else if (options_.command == Command::kJoin) {
      const auto& join = options_.join;
      const int ways = (join.token.empty() ? 0 : 1) + (join.anonymous ? 1 : 0) + (join.email.empty() ? 0 : 1);
      if (ways > 1) error_ = "--token, --anonymous and --email are three ways in: give one of them";
      if (join.ca_only && join.is_needed) error_ = "--ca-only and --is-needed do not go together";
    }
  }

  // "the command stop", "the commands status and peers".
  static std::string commands_of(const OptionSpec& spec) {
    std::vector<std::string_view> names;
    for (const auto& command : command_specs()) {
      if ((spec.commands & config::command_bits(command.command)) != 0) names.push_back(command.name);
    }
    std::string text = names.size() == 1 ? "the command " : "the commands ";
    for (std::size_t at = 0; at < names.size(); ++at) {
      text += std::string(at == 0 ? "" : at + 1 == names.size() ? " and " : ", ") + std::string(names[at]);
    }
    return text + ((spec.commands & kRunning) != 0 ? " or with none" : "");
  }

  Options options_;
  const CommandSpec* command_ = nullptr;
  bool has_argument_ = false;
  std::vector<std::pair<const OptionSpec*, std::string>> given_;  // and the name that was used
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
      {'y', "yes", "", "accept and keep the key of a broker, or of a registry, that is not known yet",
       kRunning | kJoining},
      {0, "lan-interface", "IF", "look for nodes of the mesh on IF, too (lan_interface); may be repeated",
       kRunning | kJoining},
      {0, "token", "TOKEN", "join: with a token of the registry's; -: ask for it", kJoining},
      {0, "anonymous", "", "join: without a token, where the registry allows it", kJoining},
      {0, "email", "ADDRESS", "join: have a token sent there, and ask for it", kJoining},
      {0, "fingerprint", "SHA256", "join: of the registry's authority, checked before anything is sent",
       kJoining},
      {0, "req", "KEY=VALUE", "join: a field of the certificate's subject (CN=router7); may be repeated",
       kJoining},
      {0, "ca-only", "", "join: fetch the authority's certificate, and no more", kJoining},
      {0, "is-needed", "", "join: only tell by the exit status: 0 yes, 1 in that network already", kJoining},
      {0, "json", "", "print JSON", kTelling},
      {0, "dot", "", "topology: print a graph for Graphviz", config::command_bits(Command::kTopology)},
      {0, "release", "", "stop: give the lease back to the broker", config::command_bits(Command::kStop)},
      {'h', "help", "", "print this text (also -?)", kEveryCommand},
      {0, "version", "", "print the version", kEveryCommand},
  };
  return specs;
}

const std::vector<CommandSpec>& command_specs() {
  static const std::vector<CommandSpec> specs = {
      {Command::kStatus, "status", "", false,
       "tell what the running program does; exit status 0 up, 1 not up, 2 not running"},
      {Command::kStop, "stop", "", false, "take the tunnel or the node down and end the running program"},
      {Command::kJoin, "join", "URL", false, "become a node of the mesh of the registry at URL"},
      {Command::kPeers, "peers", "", false, "mesh: list the links"},
      {Command::kRoutes, "routes", "", false,
       "mesh: list the nodes that can be reached, and through which link"},
      {Command::kPath, "path", "NODE", true, "mesh: show the way to a node, hop by hop"},
      {Command::kTopology, "topology", "", false, "mesh: show what is known of the nodes and links"},
      {Command::kDoctor, "doctor", "", false, "look for what keeps this machine from working as a node"},
  };
  return specs;
}

ParsedOptions parse_options(const std::vector<std::string>& arguments) {
  return Parser().run(arguments);
}

std::string usage_text() {
  std::string text =
      "Usage: sixlink [OPTION]...                 get a tunnel, or be a node of a mesh, and stay\n"
      "       sixlink status [-f FILE] [--json]\n"
      "       sixlink stop [-f FILE] [--release]\n"
      "       sixlink join [URL] [-f FILE] [--token T | --anonymous | --email A] [OPTION]...\n"
      "       sixlink {peers | routes | path NODE | topology | doctor} [-f FILE] [--json]\n\nOptions:\n";
  for (const OptionSpec& spec : option_specs()) text += config::help_line(spec);
  text += "\nCommands:\n";
  for (const CommandSpec& spec : command_specs()) {
    const auto argument = spec.argument.empty() ? "" : " " + std::string(spec.argument);
    text += config::help_line("  " + std::string(spec.name) + argument, spec.help);
  }
  text += "\nThe default configuration is " + std::string(config::config_dir()) +
          "/sixlink.conf. See sixlink(8) and sixlink.conf(5).\n";
  return text;
}

}  // namespace sixlink::client
