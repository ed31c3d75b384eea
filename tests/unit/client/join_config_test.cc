// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/join_config.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>

#include "src/client/config.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::client;

namespace {

const ConfigSettings kSettings{{"registry", "https://r.example"}};

std::string updated(const std::string& text, const ConfigSettings& settings = kSettings) {
  auto result = update_config(text, settings);
  CAPTURE(result.problem);
  REQUIRE(result.text);
  return *result.text;
}

}  // namespace

TEST_CASE("join_config: the sample becomes a node's, and keeps all else") {
  const auto sample = test::content_of("conf/sixlink.conf");
  const auto text = updated(sample);
  const auto loaded = parse_config("x.conf", text);
  CHECK(loaded.problems.empty());
  REQUIRE(loaded.config);
  CHECK(loaded.config->mesh.registry == "https://r.example");
  CHECK(text.find("\n#server=broker.example.net\n") != std::string::npos);
  CHECK(text.find("\n#registry=\nregistry=https://r.example\n") != std::string::npos);
  CHECK(text.size() == sample.size() + std::string("#registry=https://r.example\n").size());
}

TEST_CASE("join_config: it is the same when done again") {
  const auto once = updated(test::content_of("conf/sixlink.conf"));
  CHECK(updated(once) == once);
}

TEST_CASE("join_config: lines that set the key are replaced, the last one counts") {
  CHECK(
      updated("a=1\nRegistry = https://old.example\n# registry=no\nregistry=https://older.example\nb=2\n") ==
      "a=1\nregistry=https://r.example\n# registry=no\nb=2\n");
  CHECK(updated("") == "registry=https://r.example\n");
  CHECK(updated("log_file=1") == "log_file=1\nregistry=https://r.example\n");
  CHECK(updated("x=1\r\n") == "x=1\r\nregistry=https://r.example\n");
  CHECK(updated("server=\n", {{"registry", "https://r.example"}, {"lan_interface", "eth0 eth1"}}) ==
        "server=\nregistry=https://r.example\nlan_interface=eth0 eth1\n");
}

TEST_CASE("join_config: a tunnel client's configuration is left alone") {
  const auto result = update_config("server=broker.example.org\n", kSettings);
  CHECK_FALSE(result.text);
  CHECK(result.problem.find("server=broker.example.org") != std::string::npos);
  CHECK(result.problem.find("-f mesh.conf") != std::string::npos);
}

TEST_CASE("join_config: the file keeps its mode, and a link is followed") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("sixlink.conf");
  const auto link = directory.file("link.conf");
  CHECK(write_config(path, "a=1\n").empty());
  CHECK(test::content_of(path) == "a=1\n");
  ::chmod(path.c_str(), 0640);
  std::filesystem::create_symlink(path, link);
  CHECK(write_config(link, "a=2\n").empty());
  CHECK(std::filesystem::is_symlink(link));
  CHECK(test::content_of(path) == "a=2\n");
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0640);
  CHECK(write_config(directory.file("new/x.conf"), "a=3\n").empty());
  CHECK(test::content_of(directory.file("new/x.conf")) == "a=3\n");
  CHECK_FALSE(write_config("/proc/none/x.conf", "a=3\n").empty());
}
