// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/options.h"

#include <doctest/doctest.h>

#include "src/client/config.h"
#include "src/config/build_info.h"

using namespace sixlink::client;

namespace {

Options parsed(const std::vector<std::string>& arguments) {
  auto result = parse_options(arguments);
  CAPTURE(result.error);
  REQUIRE(result.options);
  CHECK(result.error.empty());
  return *result.options;
}

std::string refused(const std::vector<std::string>& arguments) {
  const auto result = parse_options(arguments);
  CHECK_FALSE(result.options);
  CHECK(result.error.ends_with("see \"sixlink --help\""));
  CHECK(result.error.find('\n') == std::string::npos);
  return result.error;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("options: without any, run with the default configuration") {
  const auto options = parsed({});
  CHECK(options.command == Command::kRun);
  CHECK(options.config_file.empty());
  CHECK_FALSE(options.foreground);
  CHECK_FALSE(options.boot);
  CHECK_FALSE(options.assume_yes);
  CHECK_FALSE(options.retry_delay);
}

TEST_CASE("options: gogoc's command lines mean what they did") {
  const auto options = parsed(
      {"-y", "-n", "-b", "-f", "/etc/gogoc/gogoc.conf", "-i", "eth1", "-u", "tun7", "-s", "sit7", "-r", "5"});
  CHECK(options.assume_yes);
  CHECK(options.foreground);
  CHECK(options.boot);
  CHECK(options.config_file == "/etc/gogoc/gogoc.conf");
  CHECK(options.if_prefix == "eth1");
  CHECK(options.if_v6udpv4 == "tun7");
  CHECK(options.if_or_source == "sit7");
  CHECK(options.retry_delay == 5);
  for (const auto help : {"-h", "-?", "--help"}) CHECK(parsed({help}).command == Command::kHelp);
}

TEST_CASE("options: long forms, joined flags and joined arguments") {
  const auto options = parsed({"--yes", "--foreground", "--boot", "--config=a.conf", "--if-prefix", "eth1",
                               "--if-udp=tun7", "--source", "192.0.2.7", "--retry-delay=0"});
  CHECK(options.assume_yes);
  CHECK(options.foreground);
  CHECK(options.boot);
  CHECK(options.config_file == "a.conf");
  CHECK(options.if_prefix == "eth1");
  CHECK(options.if_v6udpv4 == "tun7");
  CHECK(options.if_or_source == "192.0.2.7");
  CHECK(options.retry_delay == 0);
  const auto joined = parsed({"-nbfa.conf", "-r3600"});
  CHECK(joined.foreground);
  CHECK(joined.boot);
  CHECK(joined.config_file == "a.conf");
  CHECK(joined.retry_delay == 3600);
}

TEST_CASE("options: commands, with their options before or after") {
  for (const auto& arguments : {std::vector<std::string>{"status", "--json", "-f", "x"},
                                {"-f", "x", "--json", "status"},
                                {"--json", "status", "-fx"}}) {
    const auto options = parsed(arguments);
    CHECK(options.command == Command::kStatus);
    CHECK(options.json);
    CHECK(options.config_file == "x");
  }
  CHECK(parsed({"stop"}).command == Command::kStop);
  CHECK(parsed({"--", "stop"}).command == Command::kStop);
  CHECK(parsed({"--version"}).command == Command::kVersion);
}

TEST_CASE("options: --help and --version win over what follows, not over what was wrong before") {
  CHECK(parsed({"-h", "--nonsense"}).command == Command::kHelp);
  CHECK(parsed({"-nh", "nonsense"}).command == Command::kHelp);
  CHECK(parsed({"--version", "-q"}).command == Command::kVersion);
  CHECK(contains(refused({"-q", "-h"}), "unknown option -q"));
}

TEST_CASE("options: a mistake is named") {
  CHECK(contains(refused({"-q"}), "unknown option -q"));
  CHECK(contains(refused({"-nq"}), "unknown option -q"));
  CHECK(contains(refused({"--colour"}), "unknown option --colour"));
  CHECK(contains(refused({"--foregroun"}), "unknown option --foregroun"));
  CHECK(contains(refused({"--yes=1"}), "--yes takes no argument"));
  CHECK(contains(refused({"-f"}), "-f needs an argument: FILE"));
  CHECK(contains(refused({"--config"}), "--config needs an argument: FILE"));
  CHECK(contains(refused({"--config="}), "--config: needs the name"));
  CHECK(contains(refused({"start"}), "unknown command \"start\""));
  CHECK(contains(refused({""}), "unknown command \"\""));
  CHECK(contains(refused({"status", "stop"}), "unexpected argument \"stop\""));
  CHECK(contains(refused({"--json"}), "--json goes with the commands status, peers"));
  CHECK(contains(refused({"stop", "--json"}), "--json goes with the commands status, peers"));
  CHECK(contains(refused({"--release"}), "--release goes with the command stop"));
  CHECK(contains(refused({"status", "--release"}), "--release goes with the command stop"));
  CHECK(parsed({"stop", "--release"}).release);
  CHECK_FALSE(parsed({"stop"}).release);
  CHECK(contains(refused({"status", "-n"}), "-n does not go with a command"));
  CHECK(contains(refused({"-r", "7", "stop"}), "-r does not go with a command"));
  CHECK(contains(refused({"-y", "status"}), "-y goes with the command join or with none only"));
  for (const auto value : {"", "x", "-1", "3601", "5s", "1.5"}) {
    CAPTURE(value);
    CHECK(contains(refused({"-r", value}),
                   "option -r: \"" + std::string(value) + "\" is not allowed: give 0 to 3600 seconds"));
  }
}

TEST_CASE("options: interface names that would hurt a script or a path are refused") {
  for (const auto value :
       {"", "eth0;reboot", "a b", "../x", "-x", "sixteen-letters-", "$(id)", ".", "all", "default"}) {
    CAPTURE(value);
    CHECK(contains(refused({"-i", value}), "no interface name"));
    CHECK(contains(refused({"-u", value}), "no interface name"));
    CHECK(contains(refused({"-s", value}), "no interface name"));
  }
  CHECK(contains(refused({"-s", "::"}), "no address"));
  CHECK(contains(refused({"-s", "0.0.0.0"}), "no address"));
  CHECK(contains(refused({"-s", "224.0.0.1"}), "no address"));
}

TEST_CASE("options: override the configuration") {
  auto load = [] {
    return std::move(*parse_config("x.conf", "server=a.example\nretry_delay_max=60").config);
  };
  auto config = load();
  apply_options(parsed({}), config);
  CHECK(config.interface_v6udpv4 == "tun");
  CHECK(config.retry_delay.count() == 30);
  apply_options(parsed({"-i", "eth1", "-u", "tun7", "-s", "sit7", "-r", "90"}), config);
  CHECK(config.home_interfaces == std::vector<std::string>{"eth1"});
  CHECK(config.interface_v6udpv4 == "tun7");
  CHECK(config.interface_v6v4 == "sit7");
  CHECK(config.client_v4 == "auto");
  CHECK(config.retry_delay.count() == 90);
  CHECK(config.retry_delay_max.count() == 90);
  config = load();
  apply_options(parsed({"-s", "192.0.2.7", "-r", "0"}), config);
  CHECK(config.client_v4 == "192.0.2.7");
  CHECK(config.interface_v6v4 == "sit1");
  CHECK(config.retry_delay.count() == 1);
}

TEST_CASE("options: what they give, the file need not") {
  const std::string router = "server=a.example\nhost_type=router\n";
  CHECK_FALSE(parse_config("x.conf", router).config);
  auto options = parsed({"-i", "eth1"});
  const auto as_router = parse_config("x.conf", router, &options);
  CHECK(as_router.problems.empty());
  REQUIRE(as_router.config);
  CHECK(as_router.config->home_interfaces == std::vector<std::string>{"eth1"});
  // With such a file the running program can be asked and stopped.
  for (const auto command : {"status", "stop"}) {
    options = parsed({command});
    CHECK(parse_config("x.conf", router, &options).config);
    CHECK_FALSE(parse_config("x.conf", router + "prefixlen=65\n", &options).config);
  }

  const std::string proxy = "server=a.example\nproxy_client=yes\nkeepalive=no\ntunnel_mode=v6v4\n";
  CHECK_FALSE(parse_config("x.conf", proxy).config);
  options = parsed({"-s", "203.0.113.9"});
  const auto as_proxy = parse_config("x.conf", proxy, &options);
  CHECK(as_proxy.problems.empty());
  REQUIRE(as_proxy.config);
  CHECK(as_proxy.config->client_v4 == "203.0.113.9");
  options = parsed({"-s", "203.0.113.9", "-i", "GigabitEthernet0/1"});
  CHECK(parse_config("x.conf", proxy, &options).problems.empty());
  CHECK_FALSE(parse_config("x.conf", router, &options).config);
}

TEST_CASE("options: the help has every option and command, each once") {
  const auto text = usage_text();
  for (const auto& spec : option_specs()) {
    CAPTURE(spec.long_name);
    const std::string start =
        spec.short_name != 0 ? std::string("  -") + spec.short_name + ", --" : "      --";
    CHECK(contains(text, start + std::string(spec.long_name)));
    CHECK(contains(text, spec.help));
  }
  for (const auto& spec : command_specs()) CHECK(contains(text, "\n  " + std::string(spec.name) + " "));
  CHECK(contains(text, sixlink::config::config_dir()));
}

TEST_CASE("options: -s takes an interface or an address of either family") {
  for (const auto& [value, member, expected] :
       {std::tuple{"sit7", &Config::interface_v6v4, "sit7"},
        std::tuple{"192.0.2.7", &Config::client_v4, "192.0.2.7"},
        std::tuple{"2001:DB8::7", &Config::client_v6, "2001:db8::7"}}) {
    CAPTURE(value);
    const auto parsed = parse_options({"-s", value});
    REQUIRE(parsed.options);
    Config config;
    apply_options(*parsed.options, config);
    CHECK(config.*member == expected);
  }
}

TEST_CASE("options: join, with all its ways in") {
  const std::string digits(64, 'a');
  const auto options = parsed({"join", "https://registry.example.net:8443/", "--token", "T0-ken",
                               "--fingerprint", "SHA256:" + digits, "--req", "CN=router 7", "--req=O=Example",
                               "--lan-interface", "eth0", "-y", "-f", "mesh.conf"});
  CHECK(options.command == Command::kJoin);
  CHECK(options.join.url == "https://registry.example.net:8443");
  CHECK(options.join.token == "T0-ken");
  CHECK(options.join.fingerprint == "sha256:" + digits);
  CHECK(options.join.subject ==
        std::vector<std::pair<std::string, std::string>>{{"CN", "router 7"}, {"O", "Example"}});
  CHECK(options.lan_interfaces == std::vector<std::string>{"eth0"});
  CHECK(options.assume_yes);
  CHECK(parsed({"join"}).join.url.empty());
  CHECK(parsed({"join", "--anonymous"}).join.anonymous);
  CHECK(parsed({"join", "--email", "a@example.net"}).join.email == "a@example.net");
  CHECK(parsed({"join", "--ca-only"}).join.ca_only);
  CHECK(parsed({"join", "--is-needed"}).join.is_needed);
  // As openssl prints them.
  std::string colons;
  for (int i = 0; i < 32; ++i) colons += i == 0 ? "AA" : ":AA";
  CHECK(parsed({"join", "--fingerprint", colons}).join.fingerprint == "sha256:" + digits);

  CHECK(contains(refused({"join", "http://a"}), "no registry's URL"));
  CHECK(contains(refused({"join", "https://a", "https://b"}), "unexpected argument"));
  CHECK(contains(refused({"join", "--token", "a", "--anonymous"}), "three ways in"));
  CHECK(contains(refused({"join", "--token", ""}), "--token: needs the token"));
  CHECK(contains(refused({"join", "--token", "a b"}), "--token: needs the token"));
  CHECK(contains(refused({"join", "--email", "a"}), "no e-mail address"));
  CHECK(contains(refused({"join", "--email", "a@b@c"}), "no e-mail address"));
  CHECK(contains(refused({"join", "--fingerprint", "sha256:abc"}), "no fingerprint"));
  CHECK(contains(refused({"join", "--req", "CN"}), "give KEY=VALUE"));
  CHECK(contains(refused({"join", "--ca-only", "--is-needed"}), "do not go together"));
  CHECK(contains(refused({"--token", "a"}), "--token goes with the command join only"));
  CHECK(contains(refused({"status", "--anonymous"}), "--anonymous goes with the command join only"));
}

TEST_CASE("options: what a running node is asked") {
  CHECK(parsed({"peers", "--json"}).json);
  CHECK(parsed({"routes"}).command == Command::kRoutes);
  CHECK(parsed({"path", "2001:DB8:42:7::1"}).node == "2001:db8:42:7::1");
  CHECK(parsed({"path", "2001:db8:42:7::/64"}).node == "2001:db8:42:7::/64");
  CHECK(parsed({"topology", "--dot"}).dot);
  CHECK(parsed({"doctor", "--json", "-f", "x"}).command == Command::kDoctor);
  CHECK(contains(refused({"path"}), "needs an argument: NODE"));
  CHECK(contains(refused({"path", "router7"}), "is no node"));
  CHECK(contains(refused({"path", "2001:db8::1\nstop"}), "is no node"));
  CHECK(contains(refused({"peers", "--dot"}), "--dot goes with the command topology only"));
  CHECK(contains(refused({"topology", "--dot", "--json"}), "two formats"));
  CHECK(contains(refused({"peers", "x"}), "unexpected argument"));
}
