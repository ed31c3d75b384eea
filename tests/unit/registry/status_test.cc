// SPDX-License-Identifier: BSD-3-Clause
#include "registry/status.h"

#include <doctest/doctest.h>

#include <boost/json.hpp>

using namespace sixlink::registry;
using namespace std::chrono_literals;

namespace {

RegistryStatus draining() {
  RegistryStatus status;
  status.since = std::chrono::system_clock::now() - 100s;
  status.leases = 7;
  status.tunnels_in_use = 5;
  status.sessions = 2;
  status.load_percent = 12.34;
  status.threads = 2;
  status.offloads = "tun-tcp udp-gro";
  status.writes = 4;
  status.leases_written = 10;
  status.time_writing = std::chrono::microseconds(8400);
  status.longest_write = std::chrono::microseconds(5100);
  status.redirect = "drain";
  status.redirect_brokers = "a.example.net b.example.net";
  status.is_draining = true;
  status.stops_when_drained = true;
  status.stops_in = 90s;
  return status;
}

bool has_line(const std::string& text, const std::string& label, const std::string& value) {
  return ("\n" + text).find("\n" + label + std::string(16 - label.size(), ' ') + value + "\n") !=
         std::string::npos;
}

}  // namespace

TEST_CASE("registry status: the JSON has every field") {
  const auto text = to_json(draining());
  CHECK(text.find('\n') == std::string::npos);
  const auto object = boost::json::parse(text).as_object();
  CHECK(object.at("leases") == 7);
  CHECK(object.at("tunnels_in_use") == 5);
  CHECK(object.at("sessions") == 2);
  CHECK(object.at("redirects") == "drain");
  CHECK(object.at("redirect") == "a.example.net b.example.net");
  CHECK(object.at("draining") == true);
  CHECK(object.at("stops_when_drained") == true);
  CHECK(object.at("stops_in_s") == 90);
  CHECK(object.at("since_s").to_number<int>() >= 100);
  const auto idle = boost::json::parse(to_json({})).as_object();
  CHECK(idle.at("redirect").is_null());
  CHECK(idle.at("stops_in_s").is_null());
}

TEST_CASE("registry status: people read it") {
  const auto text = render_status(to_json(draining())).value();
  CHECK(has_line(text, "leases", "7"));
  CHECK(has_line(text, "tunnels in use", "5"));
  CHECK(has_line(text, "load", "12.3 % of a core"));
  CHECK(has_line(text, "disk", "4 writes of 2.5 leases, 2.1 ms each, 5.1 ms at most"));
  CHECK(has_line(text, "offloads", "tun-tcp udp-gro (2 threads each way)"));
  CHECK(has_line(text, "draining", "yes, stops when no tunnel is in use, in 90 s at the latest"));
  CHECK(has_line(text, "newcomers", "are redirected to a.example.net b.example.net (drain)"));
  auto alone = draining();
  alone.redirect_brokers.clear();
  CHECK(has_line(render_status(to_json(alone)).value(), "newcomers", "are refused as busy"));
  RegistryStatus serving;
  serving.redirect = "no";
  CHECK(has_line(render_status(to_json(serving)).value(), "newcomers", "are served"));
  CHECK(has_line(render_status(to_json(serving)).value(), "draining", "no"));
}

TEST_CASE("registry status: what is no status is not rendered") {
  for (const auto* text : {"", "nonsense", "[]", "{}", "{\"error\":\"unknown request\"}"})
    CHECK_FALSE(render_status(text));
  // Of another version: what is missing is left open.
  CHECK(render_status("{\"tunnels_in_use\":3}"));
  CHECK(error_in("{\"error\":\"unknown request\"}") == "unknown request");
  CHECK(error_in(to_json(draining())).empty());
  CHECK_FALSE(error_in("nonsense").empty());
}

TEST_CASE("registry status: requests to drain are written and read alike") {
  for (const auto& request : {DrainRequest{}, DrainRequest{true, true, {}}, DrainRequest{true, true, 600s},
                              DrainRequest{false, false, {}}}) {
    const auto again = parse_drain_request(to_string(request));
    REQUIRE(again);
    CHECK(again->begins == request.begins);
    CHECK(again->stops == request.stops);
    CHECK(again->deadline == request.deadline);
  }
  for (const auto* text :
       {"", "status", "drain ", "drain now", "drain stop ", "drain stop 0", "drain stop -1", "drain stop x",
        "drain stopped", "drain stop 99999999999999999999"})
    CHECK_FALSE_MESSAGE(parse_drain_request(text), text);
}

TEST_CASE("registry status: durations") {
  CHECK(parse_duration("90") == 90s);
  CHECK(parse_duration("90s") == 90s);
  CHECK(parse_duration("15m") == 900s);
  CHECK(parse_duration("168h") == 604800s);
  for (const auto* text : {"", "0", "s", "1d", "1 m", "-5", "1.5h", "169h", "99999999999999999999", "m15"})
    CHECK_FALSE_MESSAGE(parse_duration(text), text);
}
