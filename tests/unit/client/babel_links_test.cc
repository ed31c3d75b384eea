// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/babel_links.h"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

using namespace sixlink;

namespace {

constexpr const char* kNeighbour =
    "neighbour 55 address fe80::2 if sixm1 reach ffff rxcost 96 txcost 96 cost 96";

// A babeld that does what it is told, and a kernel.
struct World {
  World() {
    settings.network = *net::Prefix::parse("2001:db8:42::/48");
    settings.prefix = *net::Prefix::parse("2001:db8:42:1::/64");
    monitor.input("BABEL 1.0\nok\n");
  }
  client::BabelLinks::Actions actions() {
    return {
        [this](const std::string& line) {
          told.push_back(line.substr(0, line.find(" type")));
          last_line = line;
          return is_reachable;
        },
        [this](const std::string& name, bool is_on) { return change(name, is_on, "carrier", has_carriers); },
        [this](const std::string& name, bool is_on) { return change(name, is_on, "up", true); },
        [this](const std::string& problem) { problems.push_back(problem); }};
  }
  boost::system::error_code change(const std::string& name, bool is_on, const char* what, bool is_supported) {
    if (!is_supported) return make_error_code(boost::system::errc::operation_not_supported);
    if (missing.contains(name)) return make_error_code(boost::system::errc::no_such_device);
    told.push_back(name + " " + what + (is_on ? " on" : " off"));
    return {};
  }
  // What babeld says.
  void says(const std::string& line) {
    REQUIRE(monitor.input(line + "\n"));
    links.on_news();
  }
  // sixm1 is a link that babeld uses.
  void has_link() {
    links.sync();
    links.put("sixm1", 0);
    says("add interface sixm1 up true");
  }
  // With somebody at its other end.
  void has_neighbour() {
    has_link();
    says("add " + std::string(kNeighbour));
  }
  std::vector<std::string> take() { return std::exchange(told, {}); }

  client::BabelSettings settings;
  client::BabelMonitor monitor{{}};
  bool has_carriers = true;
  bool is_reachable = true;
  std::set<std::string> missing;
  std::vector<std::string> told;
  std::string last_line;
  std::vector<std::string> problems;
  client::BabelLinks links{settings, monitor, actions()};
};
using Told = std::vector<std::string>;

}  // namespace

TEST_CASE("babel links: a link is told when babeld can be told") {
  World world;
  world.links.put("sixm1", 0);
  CHECK(world.take().empty());
  world.links.sync();
  CHECK(world.take() == Told{"interface sixm1"});
  world.links.sync();
  CHECK(world.take().empty());
  world.links.put("sixm2", 7);
  CHECK(world.take() == Told{"interface sixm2"});
  CHECK(world.last_line.find(" rxcost 103 ") != std::string::npos);
}

TEST_CASE("babel links: babeld finds all links in its configuration when it starts again") {
  World world;
  world.links.put("sixm1", 0);
  world.links.put("sixm2", 0);
  const auto text = world.links.begin();
  CHECK(text.find("interface sixm1 ") == 0);
  CHECK(text.find("\ninterface sixm2 ") != std::string::npos);
  world.links.sync();
  CHECK(world.take().empty());
  world.links.remove("sixm1");
  CHECK(world.links.begin().find("sixm1") == std::string::npos);
}

TEST_CASE("babel links: a link that goes is switched off, and flushed when its neighbour is forgotten") {
  World world;
  world.has_neighbour();
  world.take();
  world.links.remove("sixm1");
  CHECK(world.take() == Told{"sixm1 up off"});
  world.says("change interface sixm1 up false");
  CHECK(world.take().empty());
  world.says("flush " + std::string(kNeighbour));
  CHECK(world.take() == Told{"flush interface sixm1"});
  world.says("flush interface sixm1 up false");
  CHECK(world.take().empty());
}

TEST_CASE("babel links: a link whose interface is gone already is flushed the same way") {
  World world;
  world.has_neighbour();
  world.take();
  world.missing.insert("sixm1");
  world.links.remove("sixm1");
  world.says("change interface sixm1 up false");
  CHECK(world.take().empty());
  CHECK(world.problems.empty());
  world.says("flush " + std::string(kNeighbour));
  CHECK(world.take() == Told{"flush interface sixm1"});
}

TEST_CASE("babel links: a link that comes back before it was flushed stays") {
  World world;
  world.has_neighbour();
  world.links.remove("sixm1");
  world.says("change interface sixm1 up false");
  world.take();
  world.links.put("sixm1", 0);
  CHECK(world.take() == Told{"interface sixm1"});
  world.says("flush " + std::string(kNeighbour));
  CHECK(world.take().empty());
}

TEST_CASE("babel links: for a new cost the carrier goes until babeld has noticed") {
  World world;
  world.has_link();
  world.take();
  world.links.put("sixm1", 8000);
  CHECK(world.take() == Told{"interface sixm1", "sixm1 carrier off"});
  CHECK(world.last_line.find(" rxcost 8096 ") != std::string::npos);
  world.says("add " + std::string(kNeighbour));
  CHECK(world.take().empty());
  world.says("change interface sixm1 up false");
  CHECK(world.take() == Told{"sixm1 carrier on"});
  world.says("change interface sixm1 up true");
  CHECK(world.take().empty());
}

TEST_CASE("babel links: where a carrier cannot be taken the interface goes down") {
  World world;
  world.has_carriers = false;
  world.has_link();
  world.take();
  world.links.put("sixm1", 1);
  CHECK(world.take() == Told{"interface sixm1", "sixm1 up off"});
  // babeld ends meanwhile: nobody else would switch it on again.
  world.links.end();
  CHECK(world.take() == Told{"sixm1 up on"});
}

TEST_CASE("babel links: one that is not up takes its cost when it comes") {
  World world;
  world.links.sync();
  world.links.put("sixm1", 0);
  world.says("add interface sixm1 up false");
  world.take();
  world.links.put("sixm1", 1);
  CHECK(world.take() == Told{"interface sixm1"});
}

TEST_CASE("babel links: a new hello interval is taken by one link after another") {
  World world;
  world.links.sync();
  for (const char* name : {"sixm1", "sixm2"}) {
    world.links.put(name, 5);
    world.says("add interface " + std::string(name) + " up true");
  }
  world.take();
  CHECK_FALSE(world.links.is_interval_old());
  world.settings.hello_interval = std::chrono::seconds(1);
  CHECK(world.links.is_interval_old());
  world.links.refresh_one();
  CHECK(world.take() == Told{"interface sixm1", "sixm1 carrier off"});
  CHECK(world.last_line.find(" rxcost 101 hello-interval 1 ") != std::string::npos);
  CHECK(world.links.is_interval_old());
  world.links.refresh_one();
  CHECK(world.take() == Told{"interface sixm2", "sixm2 carrier off"});
  CHECK_FALSE(world.links.is_interval_old());
}

TEST_CASE("babel links: nothing more is told to a babeld that cannot be told") {
  World world;
  world.links.put("sixm1", 0);
  world.links.put("sixm2", 0);
  world.is_reachable = false;
  world.links.sync();
  CHECK(world.take() == Told{"interface sixm1"});
}
