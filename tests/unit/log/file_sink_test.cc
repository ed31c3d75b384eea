// SPDX-License-Identifier: BSD-3-Clause
#include "src/log/file_sink.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <spdlog/logger.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "src/log/line_formatter.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

// A sink with a clock that the test moves, and a pattern without the time.
struct Fixture {
  std::chrono::steady_clock::time_point now{1h};
  std::shared_ptr<log::FileSink> sink;
  std::shared_ptr<spdlog::logger> logger;

  explicit Fixture(log::FileSinkOptions options) {
    sink = std::make_shared<log::FileSink>(std::move(options), [this] { return now; });
    sink->set_formatter(std::make_unique<log::LineFormatter>("%v", "\n"));
    logger = std::make_shared<spdlog::logger>("test", sink);
    logger->set_error_handler([](const std::string& message) { FAIL_CHECK(message); });
  }
  void log(const std::string& text) { logger->info(text); }
};

std::vector<std::string> files_in(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

TEST_CASE("file sink: appends to the file, which only owner and group may read") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("x.log");
  const mode_t before = ::umask(022);
  {
    Fixture fixture({.path = path});
    CHECK(fixture.sink->open_now().empty());
    fixture.log("one");
  }
  ::umask(before);
  Fixture fixture({.path = path});
  fixture.log("two");
  CHECK(test::content_of(path) == "one\ntwo\n");
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0640);
}

TEST_CASE("file sink: makes its directory, and makes it again when it is removed") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("a/b/x.log");
  Fixture fixture({.path = path});
  fixture.log("one");
  CHECK(test::content_of(path) == "one\n");
  fs::remove_all(directory.file("a"));
  fixture.log("two");
  CHECK(test::content_of(path) == "two\n");
  CHECK(fixture.sink->dropped() == 0);
}

TEST_CASE(
    "file sink: counts the lines while its directory cannot be made, tries once a second, then says how "
    "many") {
  const test::TemporaryDirectory directory;
  const auto blocker = directory.file("a");
  const auto path = directory.file("a/x.log");
  std::ofstream(blocker) << "a file where the directory should be";
  Fixture fixture({.path = path});
  CHECK(fixture.sink->open_now() == "cannot open " + path + ": Not a directory");
  for (int i = 0; i < 5; ++i) fixture.log("lost");
  CHECK(fixture.sink->dropped() == 5);
  fs::remove(blocker);
  fixture.now += 999ms;
  fixture.log("lost: the second is not over");
  CHECK_FALSE(fs::exists(path));
  fixture.now += 1ms;
  fixture.log("back");
  CHECK(test::content_of(path) == "6 lines are missing here, they could not be written: cannot open " + path +
                                      ": Not a directory\nback\n");
  CHECK(fixture.sink->dropped() == 0);
  fixture.log("again");
  CHECK(test::content_of(path).ends_with("back\nagain\n"));
}

TEST_CASE("file sink: survives a full disk") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("x.log");
  fs::create_symlink("/dev/full", path);
  Fixture fixture({.path = path});
  CHECK(fixture.sink->open_now().empty());
  for (int i = 0; i < 3; ++i) {
    fixture.log("lost");
    fixture.now += 1s;
  }
  CHECK(fixture.sink->dropped() == 3);
  fs::remove(path);
  fixture.log("back");
  CHECK(test::content_of(path) == "3 lines are missing here, they could not be written: cannot write to " +
                                      path + ": No space left on device\nback\n");
}

TEST_CASE("file sink: a line that fitted in part leaves nothing behind") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("x.log");
  Fixture fixture({.path = path, .rotation = false});
  fixture.log("first");  // 6 bytes
  struct rlimit before {};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  struct rlimit small = before;
  small.rlim_cur = 20;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  fixture.log("a line that is longer than the rest");
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  ::signal(SIGXFSZ, handler);
  CHECK(test::content_of(path) == "first\n");
  CHECK(fixture.sink->dropped() == 1);
  fixture.now += 1s;
  fixture.log("back");
  CHECK(test::content_of(path) ==
        "first\n1 line is missing here, they could not be written: cannot write to " + path +
            ": File too large\nback\n");
}

TEST_CASE(
    "file sink: follows logrotate, whether it moves the file, truncates it or puts another in its place") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("x.log");
  Fixture fixture({.path = path});
  fixture.log("one");
  fs::rename(path, path + ".1");
  fixture.log("two");
  CHECK(test::content_of(path + ".1") == "one\n");
  CHECK(test::content_of(path) == "two\n");
  std::ofstream(directory.file("new")) << "";
  fs::rename(directory.file("new"), path);
  fixture.log("three");
  CHECK(test::content_of(path) == "three\n");
  fs::resize_file(path, 0);
  fixture.log("four");
  CHECK(test::content_of(path) == "four\n");
  fs::remove(path);
  fixture.log("five");
  CHECK(test::content_of(path) == "five\n");
}

TEST_CASE("file sink: rotation moves a full file aside before the line that would not fit") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("x.log");
  Fixture fixture({.path = path, .rotation_bytes = 10});
  for (const auto text : {"11111", "2222", "3333", "44444444444444444444", "5"}) fixture.log(text);
  const auto names = files_in(directory.path());
  REQUIRE(names.size() == 4);
  std::vector<std::string> contents;
  for (const auto& name : names) {
    contents.push_back(test::content_of(directory.file(name)));
    CAPTURE(name);
    CHECK(name.starts_with("x."));
    CHECK(name.ends_with(".log"));
  }
  std::sort(contents.begin(), contents.end());
  CHECK(contents == std::vector<std::string>{"11111\n", "2222\n3333\n", "44444444444444444444\n", "5\n"});
  CHECK(test::content_of(path) == "5\n");
}

TEST_CASE("file sink: a name without extension gets the time at its end") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("log");
  Fixture fixture({.path = path, .rotation_bytes = 4});
  fixture.log("one");
  fixture.log("two");
  const auto names = files_in(directory.path());
  REQUIRE(names.size() == 2);
  CHECK(names[0] == "log");
  CHECK(names[1].size() == std::string("log.20240131T235959Z").size());
  CHECK(test::content_of(directory.file(names[1])) == "one\n");
}

TEST_CASE("file sink: rotation with deletion keeps no copy; without rotation the file grows") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("x.log");
  {
    Fixture fixture({.path = path, .rotation_bytes = 8, .rotation_delete = true});
    for (const auto text : {"one", "two", "three"}) fixture.log(text);
    CHECK(test::content_of(path) == "three\n");
  }
  Fixture fixture({.path = path, .rotation = false, .rotation_bytes = 8});
  for (const auto text : {"four", "five"}) fixture.log(text);
  CHECK(test::content_of(path) == "three\nfour\nfive\n");
  CHECK(files_in(directory.path()).size() == 1);
}

TEST_CASE("file sink: a FIFO without a reader does not stop the program") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("fifo");
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  Fixture fixture({.path = path});
  fixture.log("lost");
  CHECK(fixture.sink->dropped() == 1);
  const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  REQUIRE(reader >= 0);
  fixture.now += 1s;
  fixture.log("read");
  char buffer[512];
  const auto count = ::read(reader, buffer, sizeof buffer);
  ::close(reader);
  REQUIRE(count > 0);
  CHECK(std::string(buffer, static_cast<std::size_t>(count)).ends_with("read\n"));
}
