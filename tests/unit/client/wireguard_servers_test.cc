// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/wireguard_servers.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::client;

namespace {

pki::WireguardKey key(char fill) {
  return *pki::WireguardKey::from_bytes(std::string(32, fill));
}

}  // namespace

TEST_CASE("wireguard servers: the first key of a broker is kept, and another one is refused") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("state/wireguard-servers");
  const WireguardServers known(path);
  const auto first = known.check("broker.example.net", key('a'));
  CHECK(first.is_trusted);
  CHECK(first.note.find(key('a').to_string()) != std::string::npos);
  CHECK(test::content_of(path) == "broker.example.net " + key('a').to_string() + "\n");
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 077) == 0);

  CHECK(known.check("BROKER.example.net", key('a')).is_trusted);
  CHECK(known.check("broker.example.net", key('a')).note.empty());
  const auto other = known.check("broker.example.net", key('b'));
  CHECK_FALSE(other.is_trusted);
  CHECK(other.note.find("CHANGED") != std::string::npos);
  CHECK(other.note.find("line 1 of " + path) != std::string::npos);
  // Another broker is another broker.
  CHECK(known.check("other.example.net", key('b')).is_trusted);
  CHECK(known.check("broker.example.net", key('a')).is_trusted);
}

TEST_CASE("wireguard servers: a person may edit the file") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("wireguard-servers");
  const WireguardServers known(path);
  std::ofstream(path) << "# mine\n\nbroker.example.net " << key('a').to_string() << "\nbroker.example.net "
                      << key('b').to_string() << " soon";
  CHECK(known.check("broker.example.net", key('b')).is_trusted);
  CHECK(known.check("broker.example.net", key('c')).note.find("line 4") != std::string::npos);
  CHECK(known.check("[2001:db8::1]:3653", key('c')).is_trusted);
  CHECK(test::content_of(path).ends_with(" soon\n[2001:db8::1]:3653 " + key('c').to_string() + "\n"));
}

TEST_CASE("wireguard servers: trust without memory is none") {
  const test::TemporaryDirectory directory;
  std::ofstream(directory.file("file")) << "x";
  CHECK_FALSE(
      WireguardServers(directory.file("file/wireguard-servers")).check("a.example.net", key('a')).is_trusted);
  CHECK_FALSE(WireguardServers(directory.file("list")).check("two words", key('a')).is_trusted);
  std::filesystem::create_symlink(directory.file("file"), directory.file("link"));
  CHECK_FALSE(WireguardServers(directory.file("link")).check("a.example.net", key('a')).is_trusted);
}
