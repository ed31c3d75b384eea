// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/known_hosts.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "src/tsp/digest_md5.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::client;

namespace {

const std::string& key(int which) {
  static const auto first = tsp::DsaHostKey::generate();
  static const auto second = tsp::DsaHostKey::generate();
  return (which == 0 ? first : second)->blob();
}

std::string line_of(std::string_view server, int which) {
  return std::string(server) + " ssh-dss " + tsp::base64_encode(key(which)) + "\n";
}

struct Fixture {
  test::TemporaryDirectory directory;
  std::string path = directory.file("state/gogockeys.pub");
  KnownHosts hosts{path};

  void write(const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << text;
  }
  std::string read() const {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  bool trusts(std::string_view server, int which, UnknownKey policy = UnknownKey::kRefuse) const {
    return hosts.check(server, key(which), policy).verdict.is_trusted;
  }
  std::string why_not(std::string_view server, int which, UnknownKey policy = UnknownKey::kRefuse) const {
    const auto verdict = hosts.check(server, key(which), policy).verdict;
    CHECK_FALSE(verdict.is_trusted);
    return verdict.why_not;
  }
};

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "known hosts: an unknown key is refused with its fingerprint and what to do") {
  const auto why = why_not("broker.example.net", 0);
  CHECK(contains(why, tsp::host_key_fingerprint(key(0))));
  CHECK(contains(why, "-y"));
  CHECK(contains(why, path));
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE_FIXTURE(Fixture, "known hosts: -y keeps the key once, and it is known from then on") {
  CHECK(trusts("broker.example.net", 0, UnknownKey::kAccept));
  CHECK(read() == line_of("broker.example.net", 0));
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);
  CHECK(trusts("broker.example.net", 0));
  CHECK(trusts("Broker.Example.NET", 0));
  CHECK(trusts("broker.example.net", 0, UnknownKey::kAccept));
  CHECK(read() == line_of("broker.example.net", 0));
  // Another port is another broker.
  CHECK_FALSE(trusts("broker.example.net:4000", 0));
  CHECK(trusts("192.0.2.1", 1, UnknownKey::kAccept));
  CHECK(read() == line_of("broker.example.net", 0) + line_of("192.0.2.1", 1));
  CHECK_FALSE(std::filesystem::exists(path + ".new"));
}

TEST_CASE_FIXTURE(Fixture, "known hosts: a changed key is refused also with -y, and never overwritten") {
  write("# kept by hand\n\n" + line_of("broker.example.net", 0));
  const auto before = read();
  for (const auto policy : {UnknownKey::kRefuse, UnknownKey::kAccept}) {
    const auto why = why_not("broker.example.net", 1, policy);
    CHECK(contains(why, "CHANGED"));
    CHECK(contains(why, tsp::host_key_fingerprint(key(0))));
    CHECK(contains(why, tsp::host_key_fingerprint(key(1))));
    CHECK(contains(why, "line 3 of " + path));
  }
  CHECK(read() == before);
  // A line for each: the operator announced a new key.
  write(before + line_of("broker.example.net", 1));
  CHECK(trusts("broker.example.net", 0));
  CHECK(trusts("broker.example.net", 1));
}

TEST_CASE_FIXTURE(Fixture, "known hosts: malformed lines are reported and kept") {
  const std::string text =
      "broker.example.net\nbroker.example.net ssh-rsa AAAA\nbroker.example.net ssh-dss !\n" +
      std::string("broker.example.net ssh-dss AAAA\r\n");
  write(text + "\tother.example.net  ssh-dss " + tsp::base64_encode(key(0)) +
        " a remark");  // without a line end
  const auto result = hosts.check("other.example.net", key(0), UnknownKey::kRefuse);
  CHECK(result.verdict.is_trusted);
  REQUIRE(result.notes.size() == 4);
  CHECK(contains(result.notes[3], path + ":4:"));
  // None of them says anything about the broker.
  CHECK(contains(why_not("broker.example.net", 0), "not known"));
  const auto before = read();
  CHECK(trusts("broker.example.net", 0, UnknownKey::kAccept));
  CHECK(read() == before + "\n" + line_of("broker.example.net", 0));
}

TEST_CASE_FIXTURE(Fixture, "known hosts: a file that cannot be read is a refusal, not an empty file") {
  write("");
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  CHECK(contains(why_not("broker.example.net", 0, UnknownKey::kAccept), "cannot read"));
  std::filesystem::remove(path);
  const auto elsewhere = directory.file("elsewhere");
  std::ofstream(elsewhere) << line_of("broker.example.net", 0);
  std::filesystem::create_symlink(elsewhere, path);
  CHECK(contains(why_not("broker.example.net", 0, UnknownKey::kAccept), "cannot read"));
  std::filesystem::remove(path);
  write(std::string(300 * 1024, '#'));
  CHECK(contains(why_not("broker.example.net", 0, UnknownKey::kAccept), "cannot read"));
}

TEST_CASE_FIXTURE(Fixture, "known hosts: a key that cannot be kept is not trusted") {
  std::ofstream(directory.file("state")) << "a file where the directory should be";
  CHECK_FALSE(trusts("broker.example.net", 0, UnknownKey::kAccept));
  const KnownHosts nowhere("/proc/nowhere/gogockeys.pub");
  CHECK_FALSE(nowhere.check("broker.example.net", key(0), UnknownKey::kAccept).verdict.is_trusted);
}

TEST_CASE_FIXTURE(Fixture, "known hosts: a name that would not be one word in the file is refused") {
  for (const auto* name : {"", "two words", "line\nend ssh-dss AAAA", "#comment"})
    CHECK_FALSE(trusts(name, 0, UnknownKey::kAccept));
  CHECK_FALSE(std::filesystem::exists(path));
}
