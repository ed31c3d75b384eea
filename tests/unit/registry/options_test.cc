// SPDX-License-Identifier: BSD-3-Clause
#include "registry/options.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "src/config/key_value.h"

using namespace sixlink::registry;

namespace {

constexpr std::string_view kDefault = "/etc/sixlink/sixlink-registry.conf";

Options parse(std::vector<std::string> arguments) {
  const auto parsed = parse_options(arguments, kDefault);
  REQUIRE_MESSAGE(parsed.options.has_value(), parsed.error);
  return *parsed.options;
}

std::string error(std::vector<std::string> arguments) {
  const auto parsed = parse_options(arguments, kDefault);
  CHECK_FALSE(parsed.options.has_value());
  CHECK(parsed.error.find('\n') == std::string::npos);
  return parsed.error;
}

bool starts_with(const std::string& text, const char* start) {
  return text.rfind(start, 0) == 0;
}

}  // namespace

TEST_CASE("registry options: nothing runs the server with the default configuration") {
  const Options options = parse({});
  CHECK(options.command == Command::kRun);
  CHECK(options.config_file == kDefault);
  CHECK(options.is_default_config);
  CHECK_FALSE(options.foreground);
}

TEST_CASE("registry options: short and long forms, joined and apart") {
  for (const auto& arguments : std::vector<std::vector<std::string>>{{"-f", "x.conf", "-n"},
                                                                     {"-nf", "x.conf"},
                                                                     {"-nfx.conf"},
                                                                     {"--config", "x.conf", "--foreground"},
                                                                     {"--config=x.conf", "-n"}}) {
    const Options options = parse(arguments);
    CHECK(options.command == Command::kRun);
    CHECK(options.config_file == "x.conf");
    CHECK_FALSE(options.is_default_config);
    CHECK(options.foreground);
  }
}

TEST_CASE("registry options: init") {
  const Options options =
      parse({"init", "--prefix", "2001:db8:42::/48", "--config", "a.conf", "--state-dir=/s", "--run-dir",
             "/r", "--listen", "192.0.2.1", "--listen=[::]:99", "--force"});
  CHECK(options.command == Command::kInit);
  CHECK(options.prefix == "2001:db8:42::/48");
  CHECK(options.config_file == "a.conf");
  CHECK(options.state_dir == "/s");
  CHECK(options.run_dir == "/r");
  CHECK(options.listen == std::vector<std::string>{"192.0.2.1", "[::]:99"});
  CHECK(options.force);
  CHECK(parse({"--prefix=2001:db8::/32", "init"}).command == Command::kInit);
  CHECK(starts_with(error({"init"}), "init needs the IPv6 prefix"));
}

TEST_CASE("registry options: user commands") {
  CHECK(parse({"user", "add", "alice"}).command == Command::kUserAdd);
  CHECK(parse({"user", "add", "alice"}).user_name == "alice");
  CHECK(parse({"user", "-f", "x", "passwd", "bob", "--password-file", "p"}).command == Command::kUserPasswd);
  CHECK(parse({"user", "passwd", "bob", "--password-file", "p"}).password_file == "p");
  CHECK(parse({"user", "del", "--", "-bob"}).user_name == "-bob");
  CHECK(parse({"user", "list"}).command == Command::kUserList);
  CHECK(starts_with(error({"user"}), "user needs a command: user add, user passwd, user del, user list"));
  CHECK(starts_with(error({"user", "add"}), "user add needs an argument: NAME"));
  CHECK(starts_with(error({"user", "add", "alice", "s3cret"}), "unexpected argument \"s3cret\""));
  CHECK(starts_with(error({"user", "list", "alice"}), "unexpected argument \"alice\""));
  CHECK(
      starts_with(error({"user", "rename", "alice"}), "unknown command \"user rename\"; there are user add"));
}

TEST_CASE("registry options: mistakes are named") {
  CHECK(starts_with(error({"serve"}), "unknown command \"serve\"; there are init, user add"));
  CHECK(starts_with(error({"-x"}), "unknown option -x"));
  CHECK(starts_with(error({"--prefixx=1"}), "unknown option --prefixx"));
  CHECK(starts_with(error({"-f"}), "option -f needs an argument: FILE"));
  CHECK(starts_with(error({"--config="}), "option --config needs an argument that is not empty"));
  CHECK(starts_with(error({"-n=1"}), "unknown option -="));
  CHECK(starts_with(error({"--foreground=yes"}), "option --foreground takes no argument"));
  CHECK(starts_with(error({"--force"}), "option --force does not go with running the server"));
  CHECK(starts_with(error({"user", "list", "-n"}), "option -n does not go with user list"));
  CHECK(starts_with(error({"init", "--prefix", "p", "--password-file", "f"}),
                    "option --password-file does not go with init"));
  CHECK(starts_with(error({"user", "add", "x", "--force"}), "option --force does not go with user add"));
}

TEST_CASE("registry options: drain and status") {
  CHECK(parse({"drain"}).command == Command::kDrain);
  CHECK(parse({"drain"}).drain.begins);
  CHECK_FALSE(parse({"drain"}).drain.stops);
  CHECK_FALSE(parse({"drain", "--undo"}).drain.begins);
  const Options stop = parse({"drain", "--stop", "--deadline", "15m", "-f", "x"});
  CHECK(stop.drain.stops);
  CHECK(stop.drain.deadline == std::chrono::minutes(15));
  CHECK(parse({"status"}).command == Command::kStatus);
  CHECK(parse({"status", "--json"}).json);
  CHECK(starts_with(error({"drain", "--undo", "--stop"}), "--undo ends a drain"));
  CHECK(starts_with(error({"drain", "--deadline", "60"}), "--deadline needs --stop"));
  CHECK(starts_with(error({"drain", "--stop", "--deadline", "soon"}), "option --deadline takes seconds"));
  CHECK(starts_with(error({"status", "--stop"}), "option --stop does not go with status"));
  CHECK(starts_with(error({"--undo"}), "option --undo does not go with running the server"));
}

TEST_CASE("registry options: help wins over mistakes") {
  CHECK(parse({"-h"}).command == Command::kHelp);
  CHECK(parse({"--"}).command == Command::kRun);
  CHECK(parse({"user", "frob", "--help"}).command == Command::kHelp);
  CHECK(parse({"-x", "-h"}).command == Command::kHelp);
  CHECK(parse({"--version"}).command == Command::kVersion);
  CHECK(starts_with(error({"--version", "-x"}), "unknown option -x"));
}

TEST_CASE("registry options: help and man page have every option and command") {
  const std::string usage = usage_text(kDefault);
  const auto page = sixlink::config::read_file("man/sixlink-registry.8");
  REQUIRE_MESSAGE(page.has_value(), "run the tests from the top of the source tree");
  for (const auto& spec : option_specs()) {
    const std::string name(spec.long_name);
    CHECK_MESSAGE(usage.find("--" + name) != std::string::npos, name);
    std::string item = ".It ";
    if (spec.short_name != 0) item += std::string("Fl ") + spec.short_name + " , ";
    item += "Fl Fl " + name;
    if (!spec.argument.empty()) item += " Ar " + std::string(spec.argument);
    CHECK_MESSAGE(page->find("\n" + item + "\n") != std::string::npos, item);
  }
  for (const auto& spec : command_specs()) {
    if (spec.words.empty()) continue;
    std::string words(spec.words);
    CHECK_MESSAGE(usage.find("  " + words) != std::string::npos, words);
    if (const auto space = words.find(' '); space != std::string::npos) words.replace(space, 1, " Cm ");
    CHECK_MESSAGE(page->find("Cm " + words) != std::string::npos, words);
  }
  CHECK(usage.find(kDefault) != std::string::npos);
}

TEST_CASE("registry options: the mesh's commands") {
  const auto init =
      parse({"init", "--mesh", "--network", "2001:db8:43::/48", "--ipv4", "203.0.113.0/24", "28"});
  CHECK(init.command == Command::kInit);
  CHECK(init.mesh);
  CHECK(init.network_v4 == "203.0.113.0/24 28");
  CHECK(parse({"peer", "export", "alice", "--ipv4"}).all_v4);
  const auto token =
      parse({"token", "new", "--prefix-length", "60", "--expires", "30d", "--email", "a@example.net"});
  CHECK(token.command == Command::kTokenNew);
  CHECK(token.prefix_length == 60);
  CHECK(token.lifetime == std::chrono::hours(24 * 30));
  CHECK(parse({"revoke", "2001:db8:43:1::/64"}).user_name == "2001:db8:43:1::/64");
  CHECK(parse({"ca", "roll", "--after", "2h"}).after == std::chrono::hours(2));
  CHECK(parse({"topology", "--dot"}).dot);
  CHECK(starts_with(error({"token"}), "token needs a command: token new, token list, token delete"));
  CHECK(starts_with(error({"revoke"}), "revoke needs an argument"));
  CHECK(starts_with(error({"init", "--mesh"}), "a mesh needs its IPv6 prefix"));
  CHECK(starts_with(error({"init", "--url", "https://x/", "--prefix", "2001:db8::/48"}),
                    "--url, --name and --ipv4"));
  CHECK(starts_with(error({"nodes", "--dot"}), "option --dot does not go with nodes"));
  CHECK(starts_with(error({"token", "new", "--expires", "soon"}), "option --expires takes a time"));
  CHECK(parse_lifetime("1d") == std::chrono::hours(24));
  CHECK_FALSE(parse_lifetime("0d"));
  CHECK_FALSE(parse_lifetime("4000d"));
}
