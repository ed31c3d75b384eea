// SPDX-License-Identifier: BSD-3-Clause
#include "src/tunnel/template_runner.h"

#include <doctest/doctest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <fstream>
#include <sstream>

#include "src/tunnel/leftover.h"
#include "tests/unit/net/run_coroutine.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::tunnel;

namespace {

struct Fixture {
  test::TemporaryDirectory directory;
  boost::asio::io_context io;
  std::ostringstream logged;
  spdlog::logger log{"test", std::make_shared<spdlog::sinks::ostream_sink_mt>(logged)};
  std::unique_ptr<TemplateRunner> runner = make();

  Fixture() { std::filesystem::create_directories(directory.file("data/template")); }
  std::unique_ptr<TemplateRunner> make() {
    TemplateRunner::Settings settings;
    settings.template_name = "t";
    settings.data_dir = directory.file("data");
    settings.run_dir = directory.path().string();
    settings.instance = "x";
    return std::make_unique<TemplateRunner>(settings, log);
  }
  // The template; `calls` notes which operations ran.
  void write(const std::string& body) {
    std::ofstream(directory.file("data/template/t.sh"))
        << "echo \"$TSP_OPERATION $TSP_TUNNEL_INTERFACE\" >> " << directory.file("calls") << "\n"
        << body << "\n";
  }
  std::string calls() const {
    std::stringstream text;
    text << std::ifstream(directory.file("calls")).rdbuf();
    return text.str();
  }
  bool has_leftover() const { return std::filesystem::exists(directory.file("x.tunnel")); }
  std::string create() {
    TunnelParameters parameters;
    parameters.interface = "tun9";
    return test::run(io, runner->create(parameters, nullptr)).problem;
  }
  bool tear_down() { return test::run(io, runner->tear_down()); }
  void remove_leftovers() {
    (void)test::run(io, [](TemplateRunner& one) -> boost::asio::awaitable<bool> {
      co_await one.remove_leftovers();
      co_return true;
    }(*runner));
  }
};

constexpr const char* kBoth = "TSP_TUNNEL_CREATION tun9\nTSP_TUNNEL_TEARDOWN tun9\n";

}  // namespace

TEST_CASE_FIXTURE(Fixture, "template runner: what it creates is on record until it is undone") {
  write("test -e " + directory.file("x.tunnel"));  // there before anything is created
  CHECK(create().empty());
  CHECK(has_leftover());
  CHECK(tear_down());
  CHECK_FALSE(has_leftover());
  CHECK(calls() == kBoth);
  CHECK(tear_down());  // nothing to do
  CHECK(calls() == kBoth);
}

TEST_CASE_FIXTURE(Fixture, "template runner: nothing was created, nothing is torn down") {
  CHECK(tear_down());
  CHECK(create().starts_with("no template \"t\": looked for "));
  CHECK(tear_down());
  CHECK_FALSE(has_leftover());
}

TEST_CASE_FIXTURE(Fixture, "template runner: a failed creation is told and torn down") {
  write("case $TSP_OPERATION in *CREATION) echo 'sixlink: ip route failed' >&2; exit 1;; esac");
  CHECK(create().find("ip route failed") != std::string::npos);
  CHECK(has_leftover());
  CHECK(tear_down());
  CHECK_FALSE(has_leftover());
  CHECK(calls() == kBoth);
}

TEST_CASE_FIXTURE(Fixture, "template runner: a failed teardown stays on record and is tried again") {
  write("case $TSP_OPERATION in *TEARDOWN) test -e " + directory.file("works") + ";; esac");
  CHECK(create().empty());
  CHECK_FALSE(tear_down());
  CHECK(has_leftover());
  CHECK(logged.str().find("taking the tunnel down failed") != std::string::npos);
  // The next start, as a program of its own.
  runner = make();
  remove_leftovers();
  CHECK(has_leftover());
  std::ofstream(directory.file("works")) << "x";
  remove_leftovers();
  CHECK_FALSE(has_leftover());
  const auto before = calls();
  remove_leftovers();
  CHECK(calls() == before);
}

TEST_CASE_FIXTURE(Fixture, "template runner: without a place for the record nothing is created") {
  write("true");
  TemplateRunner::Settings settings;
  settings.template_name = "t";
  settings.data_dir = directory.file("data");
  settings.run_dir = directory.file("missing");
  settings.instance = "x";
  runner = std::make_unique<TemplateRunner>(settings, log);
  CHECK(create().find("which is needed to clean up after a crash") != std::string::npos);
  CHECK(calls().empty());
}

TEST_CASE_FIXTURE(Fixture, "template runner: a damaged record is left for a person to look at") {
  std::ofstream(directory.file("x.tunnel")) << "TEMPLATE=/t.sh\nPATH=/tmp\n";
  remove_leftovers();
  CHECK(logged.str().find("check by hand") != std::string::npos);
  CHECK(has_leftover());
}
