// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/status.h"

#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <random>

using namespace sixlink::client;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

Status up() {
  Status status;
  status.state = State::kUp;
  status.since = std::chrono::system_clock::now() - 3723s;
  status.broker_name = "broker.example.net";
  status.broker_address = "2001:db8::1";
  status.broker_port = 3653;
  status.broker_found = "redirected by front.example.net";
  status.transport = "RUDP";
  status.authentication = "DIGEST-MD5";
  status.mode = "v6udpv4";
  status.interface = "tun0";
  status.datapath = "userspace";
  status.datapath_reason = "userspace: v6udpv4";
  status.local_outer = "192.168.1.2";
  status.remote_outer = "192.0.2.1";
  status.public_outer = "198.51.100.9";
  status.local_inner = "2001:db8:f:f::2";
  status.remote_inner = "2001:db8:f:f::1";
  status.prefix = "2001:db8:aa:bb00::/56";
  status.mtu = 1280;
  status.keepalive_interval = 30s;
  status.rtt = 12345us;
  status.last_reply_age = 7s;
  status.counters.packets_in = 5;
  status.counters.packets_out = 1ULL << 60;
  status.counters.bytes_in = 3 * 1024 * 1024;
  status.counters.bytes_out = 17;
  status.counters.drops[1] = 42;
  status.reconnections = 3;
  return status;
}

std::string rendered(const std::string& text) {
  const auto result = render_status(text);
  REQUIRE(result);
  return *result;
}

bool has_line(const std::string& text, const std::string& label, const std::string& value) {
  return ("\n" + text).find("\n" + label + std::string(16 - label.size(), ' ') + value + "\n") !=
         std::string::npos;
}

}  // namespace

TEST_CASE("status: the JSON has every field, with null for what is not known") {
  const auto object = json::parse(to_json(up())).as_object();
  CHECK(object.at("state") == "up");
  CHECK(object.at("since_s").to_number<int>() >= 3723);
  CHECK(object.at("broker").at("name") == "broker.example.net");
  CHECK(object.at("broker").at("port") == 3653);
  CHECK(object.at("broker").at("found") == "redirected by front.example.net");
  CHECK(object.at("local_inner") == "2001:db8:f:f::2");
  CHECK(object.at("keepalive").at("rtt_ms").to_number<double>() == doctest::Approx(12.345));
  CHECK(object.at("counters").at("packets_out").to_number<std::uint64_t>() == 1ULL << 60);
  CHECK(object.at("counters").at("drops").at("foreign-source") == 42);
  CHECK(object.at("last_error").is_null());
  const auto empty = json::parse(to_json(Status())).as_object();
  CHECK(empty.size() == object.size());
  for (const char* name : {"transport", "mode", "interface", "local_outer", "local_inner", "prefix",
                           "last_error", "retry_in_s"}) {
    CAPTURE(name);
    CHECK(empty.at(name).is_null());
  }
  CHECK(to_json(up()).find('\n') == std::string::npos);
}

TEST_CASE("status: people read it") {
  const auto text = rendered(to_json(up()));
  CHECK(text.find("up since ") != std::string::npos);
  CHECK(text.find("(1 h 2 min)") != std::string::npos);
  CHECK(has_line(text, "broker", "broker.example.net ([2001:db8::1]:3653), redirected by front.example.net"));
  CHECK(has_line(text, "mode", "v6udpv4 (userspace: v6udpv4)"));
  CHECK(has_line(text, "local outer", "192.168.1.2 (the broker sees 198.51.100.9)"));
  CHECK(has_line(text, "prefix", "2001:db8:aa:bb00::/56"));
  CHECK(has_line(text, "mtu", "1280"));
  CHECK(has_line(text, "alive", "7 s ago, RTT 12.35 ms"));
  CHECK(has_line(text, "received", "5 packets, 3.0 MiB"));
  CHECK(has_line(text, "dropped", "foreign-source 42"));
  CHECK(has_line(text, "reconnections", "3"));
  CHECK(has_line(text, "last error", "none"));
}

TEST_CASE("status: a tunnel that is not up says why and when it is tried again") {
  Status status;
  status.state = State::kWaiting;
  status.last_error = "cannot resolve the broker's name";
  status.retry_in = 29s;
  const auto text = rendered(to_json(status));
  CHECK(text.starts_with("state           waiting since "));
  CHECK(has_line(text, "last error", "cannot resolve the broker's name"));
  CHECK(has_line(text, "next attempt", "in 29 s"));
  CHECK(text.find("broker  ") == std::string::npos);
  CHECK(text.find("received") == std::string::npos);
}

TEST_CASE("status: liveness that nothing has proven is not claimed") {
  auto status = up();
  status.rtt.reset();
  status.last_reply_age.reset();
  CHECK(has_line(rendered(to_json(status)), "alive", "not proven yet"));
  status.keepalive_interval.reset();
  CHECK(has_line(rendered(to_json(status)), "alive", "not checked (no keepalive)"));
}

TEST_CASE("status: up is up and nothing else") {
  CHECK(is_up(to_json(up())));
  for (const auto state : {State::kStarting, State::kResolving, State::kNegotiating, State::kConfiguring,
                           State::kTearingDown, State::kWaiting, State::kStopping}) {
    auto status = up();
    status.state = state;
    CHECK_FALSE(is_up(to_json(status)));
    CHECK(rendered(to_json(status)).starts_with("state           " + std::string(to_string(state))));
  }
  for (const char* text : {"", "{}", "[]", "up", "\"up\"", "{\"state\":1}", "{\"state\":[\"up\"]}",
                           "{\"state\":\"up\"", "{\"state\":\"up\"}x"}) {
    CAPTURE(text);
    CHECK_FALSE(is_up(text));
  }
}

TEST_CASE("status: a daemon of another version is understood as far as it goes") {
  CHECK(rendered("{\"state\":\"up\"}").starts_with("state           up"));
  CHECK(rendered("{\"state\":\"up\",\"later\":{\"x\":[1,2,3]},\"counters\":{\"drops\":{\"new-reason\":7}}}")
            .find("new-reason 7") != std::string::npos);
  CHECK_FALSE(render_status("{}"));
  CHECK_FALSE(render_status("not json"));
  CHECK_FALSE(render_status(""));
  // Every field absent, or of another type, one after the other.
  const auto whole = json::parse(to_json(up())).as_object();
  const json::value others[] = {nullptr,
                                true,
                                -1,
                                1.5,
                                1e300,
                                -1e300,
                                18446744073709551615ULL,
                                "text",
                                json::array{1, "x"},
                                json::object{{"a", 1}}};
  for (const auto& [name, value] : whole) {
    const std::string key = name;
    CAPTURE(key);
    auto without = whole;
    without.erase(key);
    CHECK(render_status(json::serialize(without)).has_value() == (key != "state"));
    for (const auto& other : others) {
      auto changed = whole;
      changed[key] = other;
      CHECK(render_status(json::serialize(changed)));
      if (!value.is_object()) continue;
      for (const auto& [inner, ignored] : value.as_object()) {
        auto nested = whole;
        nested[key].as_object()[inner] = other;
        CHECK(render_status(json::serialize(nested)));
      }
    }
  }
}

TEST_CASE("status: a drop count of another kind does not end the command") {
  for (const std::string count : {"1.5", "1e300", "18446744073709551615", "-3", "\"7\"", "null"}) {
    CAPTURE(count);
    CHECK(render_status("{\"state\":\"up\",\"counters\":{\"drops\":{\"x\":" + count + "}}}"));
  }
}

TEST_CASE("status: hostile text cannot write to the terminal or forge lines") {
  auto status = up();
  status.last_error = "x\x1b]0;owned\x07\nstate           up\r\x7f";
  const auto text = rendered(to_json(status));
  for (const char c : text) CHECK((c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f)));
  CHECK_FALSE(("\n" + text).find("\nstate           up\n") != std::string::npos);
  const auto key = rendered("{\"state\":\"\\u001b[31mup\",\"counters\":{\"drops\":{\"\\u001b[2J\\n\":1}}}");
  CHECK(key.find('\x1b') == std::string::npos);
}

TEST_CASE("status: text that is no UTF-8 does not make the JSON unreadable") {
  auto status = up();
  status.last_error = "broker said \xff\xfe\x80";
  CHECK(is_up(to_json(status)));
  CHECK(render_status(to_json(status)));
}

TEST_CASE("status: damaged JSON is survived") {
  const auto whole = to_json(up());
  for (std::size_t size = 0; size < whole.size(); ++size) CHECK_FALSE(render_status(whole.substr(0, size)));
  std::mt19937 random(3);
  for (int round = 0; round < 3000; ++round) {
    auto text = whole;
    for (int i = 0; i < 3; ++i) text[random() % text.size()] = static_cast<char>(random());
    (void)render_status(text);
    (void)is_up(text);
  }
  CHECK_FALSE(render_status("{\"state\":" + std::string(100000, '[')));
}

TEST_CASE("status: what became of a release is told, whatever the daemon answers") {
  CHECK(release_problem(release_to_json(true, "ignored")) == "");
  CHECK(release_problem(release_to_json(false, "no \"answer\"\n\x1b[2J")).starts_with("no \"answer\""));
  CHECK(release_problem(release_to_json(false, "\x1b[2J")).find('\x1b') == std::string::npos);
  for (const auto* text : {"", "{}", "[]", "{\"stopped\":true}", "{\"error\":\"unknown request\"}",
                           "{\"released\":1}", "{\"released\":false}", "{\"released\":true"}) {
    CAPTURE(text);
    CHECK(release_problem(text).find("older") != std::string::npos);
  }
}
