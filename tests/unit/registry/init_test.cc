// SPDX-License-Identifier: BSD-3-Clause
#include "registry/init.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "registry/config.h"
#include "registry/store/store.h"
#include "tests/unit/store/file_size_limit.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::registry;
using sixlink::test::TemporaryDirectory;

namespace {

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

Outcome run(const Options& options) {
  std::ostringstream out;
  std::ostringstream err;
  const int code = run_init(options, out, err);
  return {code, out.str(), err.str()};
}

Options in(const TemporaryDirectory& directory) {
  Options options;
  options.command = Command::kInit;
  options.config_file = directory.file("etc/sixlink/registry.conf");
  options.is_default_config = false;
  options.prefix = "2001:db8:7::/48";
  options.state_dir = directory.file("var/lib/state");
  options.run_dir = directory.file("run");
  return options;
}

unsigned mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("init: writes a configuration that works, the state directory and the database") {
  const TemporaryDirectory directory;
  Options options = in(directory);
  options.listen = {"192.0.2.1", "[2001:db8::1]:4000"};
  const auto outcome = run(options);
  CHECK_MESSAGE(outcome.code == 0, outcome.err);
  CHECK(outcome.err.empty());
  const auto loaded = load_config(options.config_file);
  REQUIRE(loaded.config.has_value());
  CHECK(loaded.warnings.empty());
  CHECK(loaded.config->leases.prefix.to_string() == "2001:db8:7::/48");
  REQUIRE(loaded.config->listen.size() == 2);
  CHECK(loaded.config->listen[1].port == 4000);
  CHECK(loaded.config->state_dir == directory.file("var/lib/state"));
  CHECK(loaded.config->run_dir == directory.file("run"));
  CHECK(mode_of(options.config_file) == 0600);
  CHECK(mode_of(directory.file("var/lib/state")) == 0700);
  CHECK(mode_of(loaded.config->database_path()) == 0600);
  CHECK(mode_of(loaded.config->host_key_path()) == 0600);
  CHECK(Store::open(loaded.config->database_path()).has_value());
  CHECK_FALSE(std::filesystem::exists(options.config_file + ".new"));
}

TEST_CASE("init: says what to do next") {
  const TemporaryDirectory directory;
  Options options = in(directory);
  const auto text = run(options).out;
  for (const std::string& part :
       {std::string("UDP and TCP port 3653"), std::string("2001:db8:7::/48 routed to this machine"),
        "sixlink-registry user add NAME -f " + options.config_file,
        "sixlink-registry -f " + options.config_file, std::string("server=THIS-MACHINE\n"),
        std::string("userid=NAME"), std::string("passwd=PASSWORD"), std::string("auth_method=any")}) {
    CHECK_MESSAGE(contains(text, part), part);
  }
  options.force = true;
  options.is_default_config = true;
  options.listen = {"192.0.2.1:4000"};
  const auto other = run(options).out;
  CHECK(contains(other, "sixlink-registry user add NAME\n"));
  CHECK(contains(other, "port 4000"));
  CHECK(contains(other, "server=THIS-MACHINE:4000"));
}

TEST_CASE("init: replaces a configuration only with --force, and never a database") {
  const TemporaryDirectory directory;
  Options options = in(directory);
  REQUIRE(run(options).code == 0);
  const std::string database = directory.file("var/lib/state/registry.db");
  REQUIRE(Store::open(database).value().add_user({"alice", "sixlink", std::string(16, 'x'), 1}).value());
  options.prefix = "2001:db8:8::/48";
  auto outcome = run(options);
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.err, options.config_file + " exists already; --force replaces it"));
  CHECK(load_config(options.config_file).config->leases.prefix.to_string() == "2001:db8:7::/48");
  options.force = true;
  std::filesystem::permissions(options.config_file, std::filesystem::perms(0644));
  outcome = run(options);
  CHECK_MESSAGE(outcome.code == 0, outcome.err);
  CHECK(load_config(options.config_file).config->leases.prefix.to_string() == "2001:db8:8::/48");
  CHECK(mode_of(options.config_file) == 0600);
  CHECK(Store::open(database).value().find_user("alice").value().has_value());
}

TEST_CASE("init: bad values are told by their options, and nothing is written") {
  const TemporaryDirectory directory;
  Options options = in(directory);
  options.prefix = "2001:db8::1/48";
  options.listen = {"example.net"};
  auto outcome = run(options);
  CHECK(outcome.code == 3);
  CHECK(contains(outcome.err, "--prefix: \"2001:db8::1/48\" is not allowed; allowed: "));
  CHECK(contains(outcome.err, "--listen: \"example.net\" is not allowed; allowed: "));
  options = in(directory);
  options.prefix = "2001:db8::/48\nanonymous=no";
  CHECK(run(options).code == 3);
  CHECK_FALSE(std::filesystem::exists(directory.file("etc")));
  CHECK_FALSE(std::filesystem::exists(directory.file("var")));
}

TEST_CASE("init: a path that cannot be made is named with the reason, and init can be repeated") {
  const TemporaryDirectory directory;
  Options options = in(directory);
  std::ofstream(directory.file("var")) << "in the way";
  auto outcome = run(options);
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.err,
                 "cannot create the directory " + directory.file("var") + ": a file of this name"));
  CHECK_FALSE(std::filesystem::exists(options.config_file));
  std::filesystem::remove(directory.file("var"));

  options.config_file = directory.file("a-directory");
  std::filesystem::create_directory(options.config_file);
  options.force = true;
  CHECK(contains(run(options).err, options.config_file + " is a directory"));

  options = in(directory);
  REQUIRE(Store::open(directory.file("registry.db")).has_value());
  std::filesystem::create_directories(directory.file("var/lib/state"));
  std::ofstream(directory.file("var/lib/state/registry.db")) << std::string(5000, 'x');
  outcome = run(options);
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.err, "cannot create the database " + directory.file("var/lib/state/registry.db") +
                                  ": file is not a database"));
  std::filesystem::remove(directory.file("var/lib/state/registry.db"));
  CHECK(run(options).code == 0);
}

TEST_CASE("init: a full disk leaves no half configuration") {
  const TemporaryDirectory directory;
  const Options options = in(directory);
  REQUIRE(run(options).code == 0);
  std::filesystem::remove(options.config_file);
  {
    const test::FileSizeLimit full(1000);
    const auto outcome = run(options);
    CHECK(outcome.code == 1);
  }
  CHECK_FALSE(std::filesystem::exists(options.config_file));
  CHECK_FALSE(std::filesystem::exists(options.config_file + ".new"));
  CHECK(run(options).code == 0);
}

TEST_CASE("init: a mesh has an authority, and needs no tunnels") {
  const TemporaryDirectory directory;
  Options options = in(directory);
  options.prefix.clear();
  options.mesh = true;
  options.network = "2001:db8:43::/48";
  options.network_v4 = "203.0.113.0/24 28";
  options.url = "https://registry.example.net:8443/";
  options.name = "a mesh";
  const auto outcome = run(options);
  CHECK_MESSAGE(outcome.code == 0, outcome.err);
  CHECK(contains(outcome.out, "Authority: sha256:"));
  CHECK(contains(outcome.out, "sixlink-registry token new -f " + options.config_file));
  CHECK(contains(outcome.out, "TCP port 8443"));
  CHECK_FALSE(contains(outcome.out, "Host key"));
  const auto loaded = load_config(options.config_file);
  REQUIRE(loaded.config.has_value());
  CHECK(loaded.warnings.empty());
  CHECK_FALSE(loaded.config->serves_tunnels());
  CHECK(loaded.config->mesh.network_v4->length == 28);
  CHECK(loaded.config->mesh.listen.front().port == 8443);
  CHECK(mode_of(loaded.config->mesh_database()) == 0600);
  CHECK(mode_of(loaded.config->authority_directory()) == 0700);
  for (const auto& file : std::filesystem::directory_iterator(loaded.config->authority_directory()))
    CHECK(mode_of(file.path()) == 0600);
  // Again: the authority stays.
  const auto authority = outcome.out.substr(outcome.out.find("Authority: "), 82);
  options.force = true;
  CHECK(contains(run(options).out, authority));
  // Another network is not made over it.
  options.network = "2001:db8:44::/48";
  const auto other = run(options);
  CHECK(other.code == 1);
  CHECK(contains(other.err, "2001:db8:43::/48"));
}

TEST_CASE("init: a mesh beside tunnels") {
  const TemporaryDirectory directory;
  Options options = in(directory);
  options.network = "2001:db8:43::/48";
  const auto outcome = run(options);
  CHECK_MESSAGE(outcome.code == 0, outcome.err);
  CHECK(contains(outcome.out, "Host key"));
  CHECK(contains(outcome.out, "Authority: sha256:"));
  options.force = true;
  options.network = "2001:db8:7:8000::/56";
  const auto bad = run(options);
  CHECK(bad.code == 3);
  CHECK(contains(bad.err, "--network: "));
}
