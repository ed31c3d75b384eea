// SPDX-License-Identifier: BSD-3-Clause
#include "src/config/small_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using config::Existing;
namespace errc = boost::system::errc;

namespace {

struct Fixture {
  test::TemporaryDirectory directory;
  std::string path = directory.file("x");
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "small file: is written whole, for its owner alone, and read back") {
  REQUIRE_FALSE(config::write_small_file(path, "first\n", Existing::kReplace));
  CHECK(config::read_small_file(path, 100).value() == "first\n");
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);
  REQUIRE_FALSE(config::write_small_file(path, "second\n", Existing::kReplace));
  CHECK(config::read_small_file(path, 100).value() == "second\n");
  CHECK_FALSE(std::filesystem::exists(path + ".new"));
}

TEST_CASE_FIXTURE(Fixture, "small file: what is there stays, when it is to be kept") {
  REQUIRE_FALSE(config::write_small_file(path, "first\n", Existing::kKeep));
  CHECK(config::write_small_file(path, "second\n", Existing::kKeep) == errc::file_exists);
  CHECK(config::read_small_file(path, 100).value() == "first\n");
  CHECK_FALSE(std::filesystem::exists(path + ".new"));
}

TEST_CASE_FIXTURE(Fixture, "small file: links are not followed") {
  const auto target = directory.file("target");
  std::ofstream(target) << "someone's";
  std::filesystem::create_symlink(target, path);
  CHECK(config::read_small_file(path, 100).error() == errc::too_many_symbolic_link_levels);
  CHECK(config::write_small_file(path, "ours", Existing::kKeep) == errc::file_exists);
  // The draft's name may be a link that somebody put there.
  std::filesystem::create_symlink(target, path + ".new");
  REQUIRE_FALSE(config::write_small_file(path, "ours", Existing::kReplace));
  CHECK(config::read_small_file(path, 100).value() == "ours");
  CHECK(config::read_small_file(target, 100).value() == "someone's");
}

TEST_CASE_FIXTURE(Fixture, "small file: what is too large, no file or nowhere is an error") {
  REQUIRE_FALSE(config::write_small_file(path, std::string(101, 'x'), Existing::kReplace));
  CHECK(config::read_small_file(path, 100).error() == errc::file_too_large);
  CHECK(config::read_small_file(path, 101).value().size() == 101);
  CHECK(config::read_small_file(directory.file("none"), 100).error() == errc::no_such_file_or_directory);
  CHECK(config::read_small_file(directory.path(), 100).has_error());
  REQUIRE(::mkfifo(directory.file("fifo").c_str(), 0600) == 0);
  CHECK(config::read_small_file(directory.file("fifo"), 100).error() == errc::not_supported);
  CHECK(config::write_small_file(directory.file("no/x"), "x", Existing::kReplace) ==
        errc::no_such_file_or_directory);
  CHECK(config::write_small_file(directory.path(), "x", Existing::kReplace));
}
