// SPDX-License-Identifier: BSD-3-Clause
#include "src/tunnel/script.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fstream>
#include <sstream>
#include <thread>

#include "platform/platform.h"
#include "tests/unit/net/run_coroutine.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace std::chrono_literals;
using sixlink::test::TemporaryDirectory;
using tunnel::ScriptResult;

namespace {

struct Fixture {
  TemporaryDirectory directory;
  boost::asio::io_context io;

  std::string write(const std::string& body, const char* name = "t.sh") const {
    const auto path = directory.file(name);
    std::ofstream(path) << body;
    return path;
  }
  ScriptResult run(const std::string& body, std::chrono::seconds limit = 10s,
                   const tunnel::Environment& environment = {}) {
    return test::run(io, tunnel::run_script(write(body), environment, limit));
  }
  std::string read(const char* name) const {
    std::stringstream text;
    text << std::ifstream(directory.file(name)).rdbuf();
    return text.str();
  }
};

// False soon after the process ended, whoever collects it.
bool lives(pid_t pid) {
  for (int i = 0; i < 100; ++i) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string id, name, state;
    if (!(stat >> id >> name >> state) || state == "Z") return false;
    std::this_thread::sleep_for(10ms);
  }
  return true;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "script: success, with its output and its environment only") {
  ::setenv("SIXLINK_TEST_LEAK", "x", 1);
  const auto result =
      run("echo \"$TSP_A\"; echo err >&2; echo \"[${SIXLINK_TEST_LEAK-}]\"; command -v ls > /dev/null", 10s,
          {"TSP_A=a b  c"});
  ::unsetenv("SIXLINK_TEST_LEAK");
  CHECK(result.has_succeeded);
  CHECK(result.problem.empty());
  CHECK(result.output == "a b  c\nerr\n[]\n");
}

TEST_CASE_FIXTURE(Fixture, "script: its input is empty and it inherits no descriptor") {
  const auto result = run("cat; ls /proc/$$/fd | tr '\\n' ' '");
  CHECK(result.has_succeeded);
  // The shell itself may hold its script as 10 or 255.
  std::istringstream descriptors(result.output);
  for (int fd = 0; descriptors >> fd;) CHECK_MESSAGE((fd <= 3 || fd == 10 || fd == 255), fd);
}

TEST_CASE_FIXTURE(Fixture, "script: a failure quotes what the template said of it") {
  auto result =
      run("echo 'RTNETLINK answers: File exists' >&2; echo 'sixlink: ip addr add failed: File exists' >&2; "
          "echo undoing; exit 3");
  CHECK_FALSE(result.has_succeeded);
  CHECK(result.problem ==
        "the template " + directory.file("t.sh") + " failed (exit 3): ip addr add failed: File exists");

  result = run("echo 'sixlink: first'; echo x; echo 'sixlink: second'; exit 1");
  CHECK(result.problem.ends_with(" failed (exit 1): first; second"));

  result = run("echo one; echo 'last words'; echo; exit 1");
  CHECK(result.problem.ends_with(" failed (exit 1): last words"));

  result = run("exit 7");
  CHECK(result.problem.ends_with(" failed (exit 7)"));
}

TEST_CASE_FIXTURE(Fixture, "script: hostile output stays one printable line") {
  const auto result = run("printf 'sixlink: a\\033[31mb\\007\\r\\n'; printf '%2000d' 1; exit 1");
  CHECK_FALSE(result.has_succeeded);
  for (const char c : result.problem) CHECK(static_cast<unsigned char>(c) >= 0x20);
  CHECK(result.problem.size() < 1000);
}

TEST_CASE_FIXTURE(Fixture, "script: an unknown command and a syntax error are failures") {
  CHECK(run("set -e\nno-such-command-xyz").problem.find("no-such-command-xyz") != std::string::npos);
  CHECK_FALSE(run("if true; then").has_succeeded);
}

TEST_CASE_FIXTURE(Fixture, "script: a template that is not there") {
  const auto result = test::run(io, tunnel::run_script(directory.file("none.sh"), {}, 5s));
  CHECK_FALSE(result.has_succeeded);
  CHECK(result.problem ==
        "cannot read the template " + directory.file("none.sh") + ": No such file or directory");
}

TEST_CASE_FIXTURE(Fixture, "script: ended by a signal") {
  const auto result = run("kill -TERM $$; sleep 5");
  CHECK_FALSE(result.has_succeeded);
  CHECK(result.problem.find("was ended by signal 15") != std::string::npos);
  CHECK(result.duration < 4s);
}

TEST_CASE_FIXTURE(Fixture, "script: signals that the program ignores or blocks are the script's own again") {
  sigset_t blocked;
  sigset_t before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &blocked, &before);
  auto* const old = ::signal(SIGPIPE, SIG_IGN);
  const auto result = run("kill -PIPE $$; echo alive");
  const auto second = run("kill -TERM $$; echo alive");
  ::signal(SIGPIPE, old);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  CHECK(result.problem.find("signal 13") != std::string::npos);
  CHECK(second.problem.find("signal 15") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "script: at the time limit the whole process group is killed") {
  const auto started = std::chrono::steady_clock::now();
  const auto result = run(
      "sleep 100 & echo $! > " + directory.file("pid") + "; echo 'sixlink: waiting for the interface'; wait",
      1s);
  CHECK(std::chrono::steady_clock::now() - started < 3s);
  CHECK_FALSE(result.has_succeeded);
  CAPTURE(result.problem);
  CHECK(result.problem.find("did not end in time (1 s) and was killed: waiting for the interface") !=
        std::string::npos);
  const auto child = static_cast<pid_t>(std::stol(read("pid")));
  CHECK_FALSE(lives(child));
}

TEST_CASE_FIXTURE(Fixture, "script: who ends the program waits two seconds for it at most") {
  const auto started = std::chrono::steady_clock::now();
  bool is_ending = false;
  boost::asio::steady_timer timer(io, 300ms);
  timer.async_wait([&](const boost::system::error_code&) { is_ending = true; });
  const auto result =
      test::run(io, tunnel::run_script(write("sleep 60"), {}, 60s, [&] { return is_ending; }));
  const auto took = std::chrono::steady_clock::now() - started;
  CHECK(result.problem.find("was killed") != std::string::npos);
  CHECK(took > 2s);
  CHECK(took < 5s);
}

TEST_CASE_FIXTURE(Fixture, "script: a daemon that it leaves behind does not hold us up") {
  const auto started = std::chrono::steady_clock::now();
  const auto result = run("sleep 30 & echo $! > " + directory.file("pid") + "; echo done");
  CHECK(result.has_succeeded);
  CHECK(result.output == "done\n");
  CHECK(std::chrono::steady_clock::now() - started < 3s);
  const auto left = static_cast<pid_t>(std::stol(read("pid")));
  CHECK(::kill(left, SIGKILL) == 0);
}

TEST_CASE_FIXTURE(Fixture, "script: of long output the end is kept") {
  const auto result =
      run("i=0; while [ $i -lt 3000 ]; do echo \"line $i 0123456789 0123456789 0123456789\"; i=$((i + 1)); "
          "done; echo 'sixlink: the end'; exit 1");
  CHECK(result.output.size() == 8192);
  CHECK(result.output.ends_with("sixlink: the end\n"));
  CHECK(result.problem.ends_with(": the end"));
}

TEST_CASE_FIXTURE(Fixture, "script: endless output cannot outlive the time limit") {
  const auto started = std::chrono::steady_clock::now();
  const auto result = run("exec cat /dev/zero", 1s);
  CHECK(std::chrono::steady_clock::now() - started < 4s);
  CAPTURE(result.problem);
  CHECK(result.problem.find("did not end in time (1 s)") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "script: the loop does other work meanwhile") {
  int ticks = 0;
  boost::asio::steady_timer timer(io);
  std::function<void(const boost::system::error_code&)> tick = [&](const boost::system::error_code& error) {
    if (error) return;
    ++ticks;
    timer.expires_after(10ms);
    timer.async_wait(tick);
  };
  tick({});
  CHECK(run("sleep 0.4").has_succeeded);
  CHECK(ticks > 10);
}

TEST_CASE_FIXTURE(Fixture, "script: half a template is not left behind when the caller is cancelled") {
  const auto path = write("sleep 0.3; echo done > " + directory.file("done"));
  boost::asio::cancellation_signal cancel;
  bool has_ended = false;
  boost::asio::co_spawn(
      io, tunnel::run_script(path, {}, 10s),
      boost::asio::bind_cancellation_slot(
          cancel.slot(), [&](const std::exception_ptr&, const ScriptResult&) { has_ended = true; }));
  io.run_for(50ms);
  cancel.emit(boost::asio::cancellation_type::all);
  CHECK(test::run_until(io, [&] { return has_ended; }));
  CHECK(read("done") == "done\n");
}

TEST_CASE_FIXTURE(Fixture, "script: several at a time do not take each other's end") {
  std::vector<bool> ended(6);
  for (std::size_t i = 0; i < ended.size(); ++i) {
    const auto path = write("sleep 0." + std::to_string(i % 3) + "; exit " + std::to_string(i),
                            ("t" + std::to_string(i) + ".sh").c_str());
    boost::asio::co_spawn(
        io, tunnel::run_script(path, {}, 10s),
        [&ended, i](const std::exception_ptr&, const ScriptResult& result) {
          CHECK(result.has_succeeded == (i == 0));
          if (i > 0) CHECK(result.problem.find("(exit " + std::to_string(i) + ")") != std::string::npos);
          ended[i] = true;
        });
  }
  CHECK(test::run_until(io,
                        [&] { return std::all_of(ended.begin(), ended.end(), [](bool is) { return is; }); }));
}

TEST_CASE_FIXTURE(
    Fixture,
    "script: find_template looks in gogoc_dir, then in the data directory, then beside the program") {
  std::filesystem::create_directories(directory.file("home/template"));
  std::filesystem::create_directories(directory.file("data/template"));
  const auto home = directory.file("home");
  const auto data = directory.file("data");
  std::string searched;
  CHECK(tunnel::find_template("none", home, data, searched).empty());
  const auto first = searched.find(home + "/template/none.sh");
  const auto second = searched.find(data + "/template/none.sh");
  const auto third = searched.find(platform::program_directory() + "/../template/none.sh");
  CHECK(first < second);
  CHECK(second < third);
  CHECK(third != std::string::npos);

  write("", "data/template/linux.sh");
  CHECK(tunnel::find_template("linux", home, data, searched) == data + "/template/linux.sh");
  CHECK(tunnel::find_template("linux", "", data, searched) == data + "/template/linux.sh");
  write("", "home/template/linux.sh");
  CHECK(tunnel::find_template("linux", home, data, searched) == home + "/template/linux.sh");
}
