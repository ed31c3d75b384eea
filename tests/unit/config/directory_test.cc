// SPDX-License-Identifier: BSD-3-Clause
#include "src/config/directory.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/unit/temporary_directory.h"

using sixlink::config::make_directory;
using sixlink::test::TemporaryDirectory;

namespace {

unsigned mode_of(const std::string& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 0777;
}

}  // namespace

TEST_CASE("directory: made with its parents, which others may pass") {
  const TemporaryDirectory directory;
  REQUIRE_FALSE(make_directory(directory.file("a/b/c"), 0700));
  CHECK(mode_of(directory.file("a/b/c")) == 0700);
  CHECK((mode_of(directory.file("a/b")) & 0700) == 0700);
  CHECK_FALSE(make_directory(directory.file("a/b/c"), 0700));
}

TEST_CASE("directory: slashes at the end and doubled ones change nothing") {
  const TemporaryDirectory directory;
  REQUIRE_FALSE(make_directory(directory.file("a//b/"), 0700));
  CHECK(mode_of(directory.file("a/b")) == 0700);
  REQUIRE_FALSE(make_directory(directory.file("c///"), 0700));
  CHECK(mode_of(directory.file("c")) == 0700);
  CHECK_FALSE(make_directory("/"));
}

TEST_CASE("directory: what is in the way is named") {
  const TemporaryDirectory directory;
  std::ofstream(directory.file("file")) << "x";
  CHECK(make_directory(directory.file("file")) == boost::system::errc::not_a_directory);
  CHECK(make_directory(directory.file("file/below")) == boost::system::errc::not_a_directory);
  CHECK(make_directory("") == boost::system::errc::no_such_file_or_directory);
}
