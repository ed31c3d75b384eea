// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/config.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

#include "src/client/config_legacy.h"
#include "src/config/build_info.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::client;

namespace {

constexpr const char* kServer = "server=broker.example.net\n";

Config good(const std::string& text) {
  auto result = parse_config("test.conf", text);
  for (const auto& problem : result.problems) FAIL_CHECK(config::to_string("test.conf", problem));
  REQUIRE(result.config);
  return std::move(*result.config);
}

// One line a problem or warning.
std::string lines(const std::vector<config::Problem>& problems) {
  std::string text;
  for (const auto& problem : problems) text += config::to_string("test.conf", problem) + "\n";
  return text;
}

std::string problems_of(const std::string& text) {
  const auto result = parse_config("test.conf", text);
  CHECK(result.config.has_value() == result.problems.empty());
  return lines(result.problems);
}

std::string warnings_of(const std::string& text) {
  const auto result = parse_config("test.conf", text);
  CHECK(result.config.has_value());
  return lines(result.warnings);
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("config: a server is all that an anonymous user must set") {
  const auto config = good(kServer);
  CHECK(warnings_of(kServer).empty());
  CHECK(config.path == "test.conf");
  CHECK(config.auth_method == AuthMethod::kAnonymous);
  CHECK(config.tunnel_mode == TunnelMode::kV6AnyV4);
  CHECK(config.default_route == DefaultRoute::kBackup);
  CHECK(config.home_dir == config::data_dir());
  CHECK(config.run_dir == "/run/sixlink");
  CHECK(config.state_dir == "/var/lib/sixlink");
  CHECK(config.log.filename == "/var/log/sixlink.log");
  REQUIRE(config.servers.size() == 1);
  CHECK(config.servers[0].host == "broker.example.net");
  CHECK(config.servers[0].port == 3653);
}

TEST_CASE("config: the table's defaults are the ones that a file without the keys gets") {
  const auto standard = good(kServer);
  Config config;
  for (const auto& key : config_keys()) {
    CAPTURE(key.name);
    CHECK(key.set(config, std::string(key.default_value)) == true);
    if (key.name == "server") CHECK(key.set(config, "broker.example.net"));
  }
  CHECK(config.auth_method == standard.auth_method);
  CHECK(config.host_type == standard.host_type);
  CHECK(config.prefix_length == standard.prefix_length);
  CHECK(config.auto_retry_connect == standard.auto_retry_connect);
  CHECK(config.retry_delay == standard.retry_delay);
  CHECK(config.retry_delay_max == standard.retry_delay_max);
  CHECK(config.keepalive == standard.keepalive);
  CHECK(config.keepalive_interval == standard.keepalive_interval);
  CHECK(config.tunnel_mode == standard.tunnel_mode);
  CHECK(config.interface_v6v4 == standard.interface_v6v4);
  CHECK(config.interface_v6udpv4 == standard.interface_v6udpv4);
  CHECK(config.interface_v4v6 == standard.interface_v4v6);
  CHECK(config.client_v4 == standard.client_v4);
  CHECK(config.client_v6 == standard.client_v6);
  CHECK(config.template_name == standard.template_name);
  CHECK(config.proxy_client == standard.proxy_client);
  CHECK(config.always_use_same_server == standard.always_use_same_server);
  CHECK(config.default_route == standard.default_route);
  CHECK(config.run_dir == standard.run_dir);
  CHECK(config.state_dir == standard.state_dir);
  CHECK(config.log.filename == standard.log.filename);
  CHECK(config.log.stderr_level == standard.log.stderr_level);
}

TEST_CASE("config: each key takes its values") {
  const auto config = good(
      "userid=alice\npasswd=s3cret\nserver=192.0.2.1:3654, "
      "[2001:db8::1]\tb.example.net\nauth_method=Digest-MD5\n"
      "host_type=router\nprefixlen=56\nif_prefix=eth1\ndns_server=ns1.example.net:192.0.2.53\ngogoc_dir=/opt/"
      "gogoc\n"
      "auto_retry_connect=no\nretry_delay=1\nretry_delay_max=3600\nkeepalive=yes\nkeepalive_interval=5\n"
      "tunnel_mode=v6udpv4\nif_tunnel_v6v4=sit7\nif_tunnel_v6udpv4=tun7\nif_tunnel_v4v6=sit8\nclient_v4=192."
      "0.2.7\n"
      "client_v6=2001:DB8::7\ntemplate=open_WRT-2\nbroker_list=/a/"
      "b\nlast_server=c\nalways_use_same_server=yes\n"
      "log_console=0\nlog_stderr=1\nlog_file=2\nlog_syslog=\nlog_filename=log/x.log\nlog_rotation=no\n"
      "log_rotation_size=128\nlog_rotation_delete=yes\nsyslog_facility=LOCAL3\ndefault_route=yes\nrun_dir=/"
      "r\n"
      "state_dir=/s\n");
  CHECK(config.user_id == "alice");
  CHECK(config.password.reveal() == "s3cret");
  REQUIRE(config.servers.size() == 3);
  CHECK(config.servers[0].port == 3654);
  CHECK(config.servers[1].host == "2001:db8::1");
  CHECK(config.servers[2].text == "b.example.net");
  CHECK(config.auth_method == AuthMethod::kDigestMd5);
  CHECK(config.host_type == HostType::kRouter);
  CHECK(config.prefix_length == 56);
  CHECK(config.home_interfaces == std::vector<std::string>{"eth1"});
  CHECK(config.dns_servers == std::vector<std::string>{"ns1.example.net", "192.0.2.53"});
  CHECK(config.home_dir == "/opt/gogoc");
  CHECK_FALSE(config.auto_retry_connect);
  CHECK(config.retry_delay.count() == 1);
  CHECK(config.retry_delay_max.count() == 3600);
  CHECK(config.keepalive_interval.count() == 5);
  CHECK(config.tunnel_mode == TunnelMode::kV6UdpV4);
  CHECK(config.interface_v6v4 == "sit7");
  CHECK(config.interface_v6udpv4 == "tun7");
  CHECK(config.interface_v4v6 == "sit8");
  CHECK(config.client_v4 == "192.0.2.7");
  CHECK(config.client_v6 == "2001:db8::7");
  CHECK(config.template_name == "open_WRT-2");
  CHECK(config.broker_list == "/a/b");
  CHECK(config.last_server == config.state_dir + "/c");
  CHECK(config.always_use_same_server);
  CHECK(config.log.file == 2);
  CHECK(config.log.syslog == 1);
  CHECK(config.log.filename == "/opt/gogoc/log/x.log");
  CHECK_FALSE(config.log.rotation);
  CHECK(config.log.rotation_kib == 128);
  CHECK(config.log.rotation_delete);
  CHECK(config.log.syslog_facility == "LOCAL3");
  CHECK(config.default_route == DefaultRoute::kYes);
  CHECK(config.run_dir == "/r");
  CHECK(config.state_dir == "/s");
}

TEST_CASE("config: gogoc.conf as it was installed loads unchanged and without a warning") {
  const auto result = load_config("tests/unit/client/conf/gogoc-installed.conf");
  CHECK(lines(result.problems).empty());
  CHECK(lines(result.warnings).empty());
  REQUIRE(result.config);
  CHECK(result.config->auth_method == AuthMethod::kAnonymous);
  CHECK(result.config->broker_list == "/var/lib/gogoc/tsp-broker-list.txt");
}

TEST_CASE("config: a router's gogoc.conf with an account loads") {
  const auto result = load_config("tests/unit/client/conf/gogoc-router.conf");
  CHECK(lines(result.problems).empty());
  REQUIRE(result.config);
  CHECK(result.config->auth_method == AuthMethod::kAny);
  CHECK(result.config->host_type == HostType::kRouter);
}

TEST_CASE("config: gw6c.conf with its own keys loads, and the obsolete ones are told") {
  const auto result = load_config("tests/unit/client/conf/gw6c.conf");
  CHECK(lines(result.problems).empty());
  REQUIRE(result.config);
  CHECK(result.config->home_dir == "/usr/local/gw6c");
  CHECK(result.config->log.filename == "/usr/local/gw6c/gw6c.log");
  // That client had no retry_delay_max.
  CHECK(result.config->retry_delay.count() == 600);
  CHECK(result.config->retry_delay_max.count() == 600);
  CHECK(result.config->interface_v6udpv4 == "tun0");
  const auto warnings = lines(result.warnings);
  for (const auto key : {"hap6_web_enabled", "hap6_proxy_enabled", "hap6_document_root"}) {
    CHECK(contains(warnings, std::string(key) + ": obsolete, ignored"));
  }
}

TEST_CASE("config: keys of older clients are accepted") {
  for (const auto& key : legacy_keys()) {
    CAPTURE(key.name);
    const auto warnings = warnings_of(kServer + std::string(key.name) + "=/x\n");
    CHECK(warnings.empty() == key.notice.empty());
    CHECK(contains(warnings, key.notice));
    if (!key.silent_value.empty()) {
      CHECK(warnings_of(kServer + std::string(key.name) + "=" + std::string(key.silent_value)).empty());
    }
  }
  CHECK(good("server=a.example\ngw6_dir=/x").home_dir == "/x");
  CHECK(good("server=a.example\ngogoc_dir=/new\ngw6_dir=/old\n").home_dir == "/new");
  CHECK(good("server=a.example\ngw6_dir=/old\ngogoc_dir=/new\n").home_dir == "/new");
}

TEST_CASE("config: a password is the rest of the line, whatever it holds") {
  const std::string user = std::string(kServer) + "userid=u\npasswd=";
  for (const std::string password : {"#", "a#b", "=", "a=b=", "with blanks  inside", "\"quoted\"", "\\",
                                     "%s$(id)", "p\xc3\xa4ss", "\xff"}) {
    CAPTURE(password);
    CHECK(good(user + password + "\n").password.reveal() == password);
  }
}

TEST_CASE("config: without auth_method, a user means any, and nobody means anonymous") {
  CHECK(good(kServer).auth_method == AuthMethod::kAnonymous);
  CHECK(good(std::string(kServer) + "userid=\npasswd=\nauth_method=\n").auth_method ==
        AuthMethod::kAnonymous);
  CHECK(good(std::string(kServer) + "userid=u\npasswd=p\n").auth_method == AuthMethod::kAny);
  CHECK(good(std::string(kServer) + "userid=u\npasswd=p\nauth_method=\n").auth_method == AuthMethod::kAny);
  CHECK(good(std::string(kServer) + "userid=u\npasswd=p\nauth_method=anonymous\n").auth_method ==
        AuthMethod::kAnonymous);
}

TEST_CASE("config: every mistake is told, with line, key and what is allowed") {
  const auto problems = problems_of(
      "server=bad host;\nkeepalive=perhaps\nretry_dellay=3\nno equals "
      "sign\ntunnel_mode=6to4\ntemplate=../../etc/x\n");
  CHECK(contains(problems, "test.conf:1: server: \"bad host;\" is not allowed; allowed: names or addresses"));
  CHECK(contains(problems, "test.conf:2: keepalive: \"perhaps\" is not allowed; allowed: yes or no\n"));
  CHECK(contains(problems, "test.conf:3: retry_dellay: unknown key; did you mean retry_delay?\n"));
  CHECK(contains(problems, "test.conf:4: expected name=value"));
  CHECK(contains(problems, "test.conf:5: tunnel_mode: \"6to4\" is not allowed; allowed: v6anyv4, v6udpv4"));
  CHECK(contains(problems, "test.conf:6: template: \"../../etc/x\" is not allowed"));
  CHECK(std::count(problems.begin(), problems.end(), '\n') == 6);
}

TEST_CASE("config: an unknown key is met with the nearest known one, or with none") {
  const std::vector<std::pair<std::string, std::string>> rows = {{"sever", "server"},
                                                                 {"password", "passwd"},
                                                                 {"user_id", "userid"},
                                                                 {"Keep_alive", "keepalive"},
                                                                 {"tunnelmode", "tunnel_mode"},
                                                                 {"log_rotate", "log_rotation"},
                                                                 {"defaultroute", "default_route"}};
  for (const auto& [typed, meant] : rows) {
    CAPTURE(typed);
    CHECK(contains(problems_of(kServer + typed + "=1\n"), "did you mean " + meant + "?"));
  }
  for (const auto& typed : {std::string("colour"), std::string("x"), std::string(3000, 'z')}) {
    CHECK(contains(problems_of(kServer + typed + "=1\n"), "unknown key; sixlink.conf(5) lists them all"));
  }
}

TEST_CASE("config: refuses values that no key allows") {
  const std::vector<std::pair<std::string, std::vector<std::string>>> rows = {
      {"server", {"a b;c", ":3653", "host:0", "[::1"}},
      {"userid", {std::string(254, 'a'), "a\tb"}},
      {"auth_method", {"md5", "anonymous,any"}},
      {"host_type", {"bridge"}},
      {"prefixlen", {"65", "-1", "/64"}},
      {"if_prefix", {"sixteen-letters-", "a/b", "a a", "-a", "..", "$(id)"}},
      {"dns_server", {"a b", "ns1;id", "[::1]"}},
      {"retry_delay", {"3601", "-1", "30s"}},
      {"retry_delay_max", {"3601", "x"}},
      {"keepalive_interval", {"-1", "86401", "1.5"}},
      {"if_tunnel_v6udpv4", {"sixteen-letters-", "tun/0", "tun 0"}},
      {"client_v4", {"192.0.2", "192.0.2.256", "0.0.0.0", "239.1.2.3", "2001:db8::1", "host"}},
      {"client_v6", {"192.0.2.1", "::", "ff02::1", "fe80::1%eth0"}},
      {"template", {"a.sh", "a/b", "..", "a b", std::string(65, 'a')}},
      {"default_route", {"maybe", "1"}},
      {"log_file", {"4"}},
      {"log_rotation_size", {"64"}},
      {"syslog_facility", {"DAEMON"}},
      {"run_dir", {"a\x01"}},
  };
  for (const auto& [key, values] : rows) {
    for (const auto& value : values) {
      CAPTURE(key);
      CAPTURE(value);
      CHECK(contains(problems_of(kServer + key + "=" + value + "\n"),
                     key + ": \"" + value + "\" is not allowed; allowed: "));
    }
  }
}

TEST_CASE("config: an empty value is the default, but 1 for a log level") {
  for (const auto& key : config_keys()) {
    if (key.name == "server") continue;
    CAPTURE(key.name);
    CHECK(problems_of(kServer + std::string(key.name) + "=\n").empty());
  }
  CHECK(good("server=a.example\nretry_delay=\n").retry_delay.count() == 30);
  CHECK(good("server=a.example\nlog_file=\n").log.file == 1);
}

TEST_CASE("config: cross-checks name the key to change") {
  const std::string server = kServer;
  CHECK(problems_of("") ==
        "test.conf: server: no broker is named; add a line such as server=broker.example.net\n");
  CHECK(contains(problems_of("\nserver= , \n"), "test.conf:2: server: no broker"));
  CHECK(
      contains(problems_of(server + "auth_method=plain\npasswd=p\n"), "test.conf: userid: auth_method asks"));
  CHECK(contains(problems_of(server + "auth_method=any\nuserid=u\npasswd=\n"),
                 "test.conf:4: passwd: auth_method asks"));
  CHECK(contains(problems_of(server + "userid=u\n"), "passwd: auth_method asks"));
  CHECK(contains(problems_of(server + "host_type=router\n"), "if_prefix: host_type=router needs"));
  CHECK(contains(problems_of(server + "retry_delay=40\nretry_delay_max=30\n"),
                 "test.conf:3: retry_delay_max: is 30"));
  CHECK(contains(problems_of(server + "keepalive_interval=0\n"),
                 "test.conf:2: keepalive_interval: must be 1 or more"));
  CHECK(problems_of(server + "keepalive=no\nkeepalive_interval=0\n").empty());
  CHECK(contains(problems_of(server + "proxy_client=yes\n"), "keepalive: proxy_client=yes"));
  CHECK(contains(problems_of(server + "proxy_client=yes\nkeepalive=no\ntunnel_mode=v6udpv4\n"),
                 "test.conf:4: tunnel_mode: v6udpv4"));
  // Several at once; and a bad value is not also told as a missing one.
  const auto problems = problems_of("server=;\nauth_method=plain\nkeepalive_interval=0\n");
  CHECK(std::count(problems.begin(), problems.end(), '\n') == 4);
  CHECK_FALSE(contains(problems, "no broker is named"));
}

TEST_CASE("config: what the modes need of each other is told") {
  const std::string v4v6 = std::string(kServer) + "tunnel_mode=v4v6\n";
  CHECK(contains(problems_of(v4v6 + "prefixlen=33\n"), "test.conf:3: prefixlen: must be 0 to 32"));
  CHECK(problems_of(v4v6 + "prefixlen=29\n").empty());
  CHECK(problems_of(v4v6).empty());
  CHECK(contains(problems_of(kServer + std::string("tunnel_mode=dslite\nhost_type=router\nif_prefix=eth1\n")),
                 "host_type: router needs a prefix"));
  // Nobody is asked, so nobody is authenticated to.
  CHECK(problems_of(kServer + std::string("tunnel_mode=dslite\nauth_method=any\n")).empty());
  const std::string proxy = std::string(kServer) + "proxy_client=yes\nkeepalive=no\n";
  CHECK(contains(problems_of(proxy), "client_v4: proxy_client=yes sets up another machine's tunnel"));
  CHECK(problems_of(proxy + "client_v4=192.0.2.7\n").empty());
  CHECK(contains(problems_of(proxy + "tunnel_mode=v4v6\nclient_v4=192.0.2.7\n"),
                 "client_v6: proxy_client=yes"));
  CHECK(contains(problems_of(proxy + "tunnel_mode=dslite\nclient_v4=192.0.2.7\n"), "dslite asks no broker"));
}

TEST_CASE("config: if_prefix may name several interfaces, each once") {
  CHECK(good("server=a.example\nif_prefix=eth1, eth2 br0\n").home_interfaces ==
        std::vector<std::string>{"eth1", "eth2", "br0"});
  CHECK(good("server=a.example\nif_prefix=\n").home_interfaces.empty());
  for (const auto wrong : {"eth1 eth1", "eth/1", "-x"}) {
    CAPTURE(wrong);
    CHECK(contains(problems_of(kServer + std::string("if_prefix=") + wrong), "if_prefix: "));
  }
}

TEST_CASE("config: if_prefix may name another machine's interfaces with proxy_client=yes only") {
  const std::string router = "host_type=router\ntunnel_mode=v6v4\nclient_v4=192.0.2.7\nkeepalive=no\n";
  const std::string proxy = "server=a.example\nproxy_client=yes\n" + router;
  CHECK(good(proxy + "if_prefix=GigabitEthernet0/0/1.100, Vlan2 Serial0/1:0\n").home_interfaces ==
        std::vector<std::string>{"GigabitEthernet0/0/1.100", "Vlan2", "Serial0/1:0"});
  CHECK(good(proxy + "if_prefix=br_lan\n").home_interfaces == std::vector<std::string>{"br_lan"});
  for (const auto& wrong : {std::string("Ethernet0/1;id"), std::string("$(id)/0"), std::string("/0"),
                            std::string("../0"), std::string("Ethernet0/1\\"), std::string("Ethernet'0"),
                            std::string("Ethernet0/*"), "Ethernet" + std::string(57, '0')}) {
    CAPTURE(wrong);
    CHECK(contains(problems_of(proxy + "if_prefix=" + wrong + "\n"), "if_prefix: "));
  }
  CHECK(contains(problems_of(kServer + router + "if_prefix=GigabitEthernet0/1\n"),
                 "if_prefix: \"GigabitEthernet0/1\" is not allowed; allowed: "));
}

TEST_CASE("config: every value of gogoc's keys is taken without a warning") {
  const std::string account = std::string(kServer) + "userid=u\npasswd=p\n";
  for (const auto line : {"tunnel_mode=v6udpv4",
                          "tunnel_mode=v6v4",
                          "tunnel_mode=v4v6",
                          "tunnel_mode=dslite",
                          "auth_method=passdss-3des-1",
                          "proxy_client=yes\nkeepalive=no\nclient_v4=192.0.2.1",
                          "host_type=router\nif_prefix=eth1",
                          "prefixlen=48",
                          "dns_server=ns.example",
                          "if_tunnel_v6v4=sit2",
                          "if_tunnel_v4v6=sit2",
                          "if_tunnel_v6udpv4=tun7",
                          "client_v4=192.0.2.1",
                          "client_v6=2001:db8::1",
                          "broker_list=/x/list",
                          "last_server=last",
                          "always_use_same_server=yes",
                          "template=mine",
                          "routing_info=bgp",
                          "datapath=kernel",
                          "default_route=no"}) {
    CAPTURE(line);
    CHECK(warnings_of(account + line).empty());
    CHECK(problems_of(account + line).empty());
  }
}

TEST_CASE("config: of a key given twice the last counts, and it is told") {
  const auto text = "server=a.example\nkeepalive=no\nserver=b.example\n";
  CHECK(good(text).servers.at(0).host == "b.example");
  CHECK(warnings_of(text) == "test.conf:3: server: given twice; line 1 is ignored\n");
  CHECK(good("server=a.example\nprefixlen=48\nprefixlen=\n").prefix_length == 64);
}

TEST_CASE("config: retry_delay=0 of an old file does not hammer the broker") {
  CHECK(good("server=a.example\nretry_delay=0\n").retry_delay.count() == 1);
  CHECK(good("server=a.example\nretry_delay=0\nretry_delay_max=0\n").retry_delay_max.count() == 1);
}

TEST_CASE("config: the instance is named for the file") {
  Config config;
  for (const auto& [path, name] :
       std::vector<std::pair<std::string, std::string>>{{"/etc/sixlink/sixlink.conf", "sixlink"},
                                                        {"home.conf", "home"},
                                                        {"a/gogoc", "gogoc"},
                                                        {"x.y.conf", "x.y"},
                                                        {"", "sixlink"},
                                                        {"/", "sixlink"}}) {
    config.path = path;
    CHECK(config.instance_name() == name);
  }
}

TEST_CASE("config: a file that cannot be read says what to do") {
  const auto result = load_config("/nonexistent/sixlink.conf");
  CHECK_FALSE(result.config);
  REQUIRE(result.problems.size() == 1);
  CHECK(contains(result.problems[0].message,
                 "No such file or directory; name another file with -f FILE, or copy "));
}

TEST_CASE("config: a password that others may read is told, with the command that helps") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("x.conf");
  const auto warnings = [&](const std::string& text, mode_t mode) {
    std::ofstream(path) << kServer << text;
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    return lines(load_config(path).warnings);
  };
  const std::string account = "userid=u\npasswd=p\n";
  CHECK(contains(warnings(account, 0644), "everyone may read it; run: chmod 600 " + path));
  CHECK(contains(warnings(account, 0640), "its group may read it"));
  CHECK(warnings(account, 0600).empty());
  CHECK(warnings("passwd=\n", 0644).empty());
}

TEST_CASE("config: relative paths of a loaded file do not change with the working directory") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("x.conf");
  std::ofstream(path) << kServer << "log_filename=x.log\nrun_dir=run\n";
  const auto result = load_config(path);
  REQUIRE(result.config);
  CHECK(result.config->log.filename == (std::filesystem::current_path() / "x.log").string());
  CHECK(result.config->run_dir == (std::filesystem::current_path() / "run").string());
  CHECK(result.config->broker_list == "/var/lib/sixlink/tsp-broker-list.txt");
}

TEST_CASE("config: any text is survived") {
  std::mt19937 random(2);
  const auto& keys = config_keys();
  const std::string alphabet = "0aZ.:-_ ,/[]#=\t\xff%";
  for (int round = 0; round < 300; ++round) {
    std::string text = kServer;
    for (int line = 0; line < 8; ++line) {
      text += std::string(keys[random() % keys.size()].name) + "=";
      for (auto left = random() % 24; left > 0; --left) text += alphabet[random() % alphabet.size()];
      text += "\n";
    }
    const auto result = parse_config("fuzz.conf", text);
    CHECK(result.config.has_value() == result.problems.empty());
  }
  CHECK(parse_config("fuzz.conf", kServer).config.has_value());
}

TEST_CASE("config: WireGuard's keys, and that nobody else's tunnel can be one") {
  const auto load = [](const std::string& lines) {
    return parse_config("/etc/test.conf", std::string(kServer) + lines);
  };
  const auto plain = load("");
  REQUIRE(plain.config);
  CHECK(plain.config->interface_wireguard == "wg6");
  CHECK_FALSE(plain.config->may_use_wireguard());
  const auto own = load(
      "tunnel_mode=wireguard\nstate_dir=/var/lib/x\nif_tunnel_wireguard=six-wg\nprivate_key_file=own.key\n");
  REQUIRE(own.config);
  CHECK(own.config->tunnel_mode == TunnelMode::kWireguard);
  CHECK(own.config->may_use_wireguard());
  CHECK(own.config->interface_wireguard == "six-wg");
  CHECK(own.config->private_key_file == "/var/lib/x/own.key");
  CHECK(own.config->wireguard_conf_path() == "/var/lib/x/test.wireguard.conf");
  const auto any = load("tunnel_mode=ANY\nprivate_key_file=/etc/sixlink/wg.key\n");
  REQUIRE(any.config);
  CHECK(any.config->tunnel_mode == TunnelMode::kAnyMode);
  CHECK(any.config->may_use_wireguard());
  CHECK(any.config->private_key_file == "/etc/sixlink/wg.key");
  for (const char* mode : {"wireguard", "any"}) {
    const auto proxy =
        load("proxy_client=yes\nkeepalive=no\nclient_v4=192.0.2.9\ntunnel_mode=" + std::string(mode) + "\n");
    REQUIRE(proxy.problems.size() == 1);
    CHECK(proxy.problems[0].key == "tunnel_mode");
  }
  CHECK(load("if_tunnel_wireguard=a/b\n").problems.size() == 1);
}
