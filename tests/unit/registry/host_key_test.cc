// SPDX-License-Identifier: BSD-3-Clause
#include "registry/host_key.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using registry::load_or_make_host_key;

TEST_CASE("host key file: is made once, for its owner alone, and found again") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("key.pem");
  const auto made = load_or_make_host_key(path);
  REQUIRE(made.key);
  CHECK(made.is_new);
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);
  const auto again = load_or_make_host_key(path);
  REQUIRE(again.key);
  CHECK_FALSE(again.is_new);
  CHECK(again.key->blob() == made.key->blob());
}

TEST_CASE("host key file: one that holds no key is reported and stays as it is") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("key.pem");
  std::ofstream(path) << "no key\n";
  const auto loaded = load_or_make_host_key(path);
  CHECK_FALSE(loaded.key);
  CHECK(loaded.problem.find(path) != std::string::npos);
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  CHECK(line == "no key");
}

TEST_CASE("host key file: a place that cannot be read or written is reported") {
  const test::TemporaryDirectory directory;
  CHECK(load_or_make_host_key(directory.file("no/key.pem")).problem.find("cannot write") !=
        std::string::npos);
  CHECK(load_or_make_host_key(directory.path()).problem.find("cannot read") != std::string::npos);
}
