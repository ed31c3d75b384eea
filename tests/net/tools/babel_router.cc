// SPDX-License-Identifier: BSD-3-Clause
// Routing for a host by the client's BabelRouter: babel_router DIRECTORY NETWORK PREFIX [KEY=VALUE...]
//
// Keys: gateway=yes, default=yes, default_table=N, prefer=PREFIX, source=ADDRESS, hello=MILLISECONDS,
// network_v4=P, prefix_v4=P, program=P. Reads commands, one a line: `link NAME [COST]`, `cost NAME N`,
// `unlink NAME`, `announce DESTINATION...`, `hello MILLISECONDS`, `status`, `stop`. Prints events with the
// milliseconds since the start in front: `up`, `down WHY`, `routes N` and a line for each, `foreign ...`,
// `neighbour ...`.
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <istream>
#include <sstream>
#include <stdexcept>
#include <string>

#include "src/client/babel_router.h"

using namespace sixlink;

namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

const auto kStart = Clock::now();

template <typename... Values>
void print(const char* format, Values... values) {
  std::printf("%lld ",
              static_cast<long long>(
                  std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - kStart).count()));
  std::printf(format, values...);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

unsigned number(const std::string& text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw std::runtime_error("no number: " + text);
  return value;
}

mesh::Destination destination(const std::string& text) {
  if (const auto v6 = net::Prefix::parse(text)) return *v6;
  if (const auto v4 = net::PrefixV4::parse(text)) return *v4;
  throw std::runtime_error("no prefix: " + text);
}

std::string text_of(const mesh::Destination& prefix) {
  return std::visit([](const auto& it) { return it.to_string(); }, prefix);
}

void set(client::BabelSettings& settings, const std::string& key, const std::string& value) {
  if (key == "gateway")
    settings.is_gateway = value == "yes";
  else if (key == "default")
    settings.accepts_default = value == "yes";
  else if (key == "default_table")
    settings.default_table = number(value);
  else if (key == "prefer")
    settings.preferred_gateways.push_back(net::Prefix::parse(value).value());
  else if (key == "source")
    settings.source = net::parse_v6(value).value();
  else if (key == "hello")
    settings.hello_interval = std::chrono::milliseconds(number(value));
  else if (key == "network_v4")
    settings.network_v4 = net::PrefixV4::parse(value).value();
  else if (key == "prefix_v4")
    settings.prefix_v4 = net::PrefixV4::parse(value).value();
  else if (key == "program")
    settings.program = value;
  else
    throw std::runtime_error("no such key: " + key);
}

mesh::RouterEvents printing_events() {
  mesh::RouterEvents events;
  events.on_up = [] { print("up"); };
  events.on_down = [](const std::string& why) { print("down %s", why.c_str()); };
  events.on_routes = [](const std::vector<mesh::Route>& routes) {
    print("routes %zu", routes.size());
    for (const auto& route : routes)
      print("route %s if %s metric %u origin %s", text_of(route.destination).c_str(), route.interface.c_str(),
            route.metric, route.origin.c_str());
  };
  events.on_foreign = [](const mesh::ForeignAnnouncement& foreign) {
    print("foreign %s of %s on %s%s%s", text_of(foreign.destination).c_str(), foreign.origin.c_str(),
          foreign.interface.c_str(), foreign.is_own ? " own" : "", foreign.is_followed ? " followed" : "");
  };
  events.on_neighbours = [](const std::vector<mesh::RouterNeighbour>& neighbours) {
    for (const auto& neighbour : neighbours)
      print("neighbour if %s cost %u reach %04x rtt %lld us", neighbour.interface.c_str(), neighbour.cost,
            neighbour.reachability, neighbour.rtt ? static_cast<long long>(neighbour.rtt->count()) : -1LL);
  };
  return events;
}

class Commands {
 public:
  Commands(asio::io_context& io, client::BabelRouter& router)
      : io_(io), router_(router), input_(io, ::dup(0)) {}

  void read() {
    asio::async_read_until(input_, buffer_, '\n',
                           [this](const boost::system::error_code& error, std::size_t) {
                             if (error) return stop();
                             std::istream stream(&buffer_);
                             std::string line;
                             std::getline(stream, line);
                             std::istringstream words(line);
                             std::string verb;
                             words >> verb;
                             if (verb == "stop") return stop();
                             run(verb, words);
                             read();
                           });
  }

 private:
  void run(const std::string& verb, std::istream& words) {
    std::string name;
    std::uint32_t cost = 0;
    if (verb == "link") {
      words >> name >> cost;
      router_.add_link(name, cost);
    } else if (verb == "cost") {
      words >> name >> cost;
      router_.set_cost(name, cost);
    } else if (verb == "unlink") {
      words >> name;
      router_.remove_link(name);
    } else if (verb == "announce") {
      std::vector<mesh::Destination> destinations;
      while (words >> name) destinations.push_back(destination(name));
      router_.announce(destinations);
    } else if (verb == "hello") {
      words >> name;
      router_.set_hello_interval(std::chrono::milliseconds(number(name)));
    } else if (verb == "status") {
      const auto status = router_.status();
      print("status running %d pid %ld restarts %u routes %zu version %s problem '%s'", status.is_running,
            status.pid, status.restarts, status.routes, status.version.c_str(), status.problem.c_str());
    } else {
      print("unknown command: %s", verb.c_str());
    }
  }

  void stop() {
    router_.stop([this] {
      print("stopped");
      io_.stop();
    });
  }

  asio::io_context& io_;
  client::BabelRouter& router_;
  asio::posix::stream_descriptor input_;
  asio::streambuf buffer_;
};

int run(int argc, char** argv) {
  if (argc < 4) throw std::runtime_error("usage: babel_router DIRECTORY NETWORK PREFIX [KEY=VALUE...]");
  client::BabelSettings settings;
  settings.run_directory = std::string(argv[1]) + "/run";
  settings.state_directory = std::string(argv[1]) + "/state";
  settings.network = net::Prefix::parse(argv[2]).value();
  settings.prefix = net::Prefix::parse(argv[3]).value();
  for (int i = 4; i < argc; ++i) {
    const std::string word = argv[i];
    const auto equals = word.find('=');
    if (equals == std::string::npos) throw std::runtime_error("not KEY=VALUE: " + word);
    set(settings, word.substr(0, equals), word.substr(equals + 1));
  }
  asio::io_context io;
  const auto logger = spdlog::stderr_logger_st("babel_router");
  logger->set_level(spdlog::level::debug);
  client::BabelRouter router(io, settings, *logger, printing_events());
  Commands commands(io, router);
  print("started");
  router.announce({settings.prefix});
  router.start();
  commands.read();
  io.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "babel_router: %s\n", error.what());
    return 1;
  }
}
