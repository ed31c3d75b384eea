// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/broker_files.h"

#include <doctest/doctest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sstream>

#include "src/tsp/tunnel_xml.h"
#include "tests/unit/store/file_size_limit.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using client::BrokerFiles;
using client::parse_broker_lines;
using test::content_of;

namespace {

std::vector<std::string> texts(const std::vector<net::ServerAddress>& servers) {
  std::vector<std::string> all;
  for (const auto& server : servers) all.push_back(server.text);
  return all;
}

std::vector<net::ServerAddress> servers(std::initializer_list<const char*> names) {
  std::vector<net::ServerAddress> all;
  for (const auto* name : names) all.push_back(*net::ServerAddress::parse(name));
  return all;
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

struct Fixture {
  test::TemporaryDirectory directory;
  std::ostringstream lines;
  spdlog::logger log{"test", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines)};
  std::string state_dir = directory.file("state");
  std::string list = state_dir + "/list.txt";
  std::string last = state_dir + "/last.txt";
  BrokerFiles files{list, last, state_dir, log};
  Fixture() { log.set_pattern("%l %v"); }
  bool has_warned(const std::string& text) const { return lines.str().find(text) != std::string::npos; }
};

}  // namespace

TEST_CASE("broker files: a list of every kind of broker is read in its order") {
  const auto lines = parse_broker_lines(
      "# written by someone\n\nbroker.example.net\r\n  192.0.2.1:3653 \n[2001:db8::1]:3653\n2001:db8::2\n"
      "last.example.net");
  CHECK(texts(lines.servers) == std::vector<std::string>{"broker.example.net", "192.0.2.1:3653",
                                                         "[2001:db8::1]:3653", "2001:db8::2",
                                                         "last.example.net"});
  CHECK(lines.malformed.empty());
  CHECK_FALSE(lines.has_too_many);
}

TEST_CASE("broker files: malformed lines are skipped, and known by their number") {
  const auto lines =
      parse_broker_lines(std::string("a.example.net\nno broker\n\n192.0.2.300\nb.example.net:0\n") +
                         std::string("with\0nul\n", 9) + "b.example.net\n");
  CHECK(texts(lines.servers) == std::vector<std::string>{"a.example.net", "b.example.net"});
  CHECK(lines.malformed == std::vector<unsigned>{2, 4, 5, 6});
}

TEST_CASE("broker files: as many as a redirection may name are read, and no more") {
  std::string text;
  for (std::size_t i = 0; i < tsp::kMostBrokers; ++i) text += "b" + std::to_string(i) + ".example.net\n";
  CHECK(parse_broker_lines(text).servers.size() == tsp::kMostBrokers);
  CHECK_FALSE(parse_broker_lines(text).has_too_many);
  const auto more = parse_broker_lines(text + "one-more.example.net\n");
  CHECK(more.servers.size() == tsp::kMostBrokers);
  CHECK(more.has_too_many);
}

TEST_CASE("broker files: a huge file is cut at a line's end") {
  std::string text(65530, '#');
  text += "\nbroker.example.net\n" + std::string(100000, 'x');
  const auto lines = parse_broker_lines(text);
  CHECK(lines.servers.empty());
  CHECK(lines.malformed.empty());
  CHECK(lines.has_too_many);
}

TEST_CASE("broker files: what is not there yet is no reason for a warning") {
  const Fixture f;
  CHECK(f.files.read_broker_list().empty());
  CHECK_FALSE(f.files.read_last_server());
  CHECK(f.lines.str().empty());
}

TEST_CASE("broker files: what is written is a broker a line, private, and is read back") {
  const Fixture f;
  f.files.write_broker_list(servers({"198.51.100.2", "near.example.net:3654", "[2001:db8::1]:3653"}));
  f.files.write_last_server(*net::ServerAddress::parse("near.example.net:3654"));
  CHECK(content_of(f.list) == "198.51.100.2\nnear.example.net:3654\n[2001:db8::1]:3653\n");
  CHECK(content_of(f.last) == "near.example.net:3654\n");
  CHECK(texts(f.files.read_broker_list()) ==
        std::vector<std::string>{"198.51.100.2", "near.example.net:3654", "[2001:db8::1]:3653"});
  CHECK(f.files.read_last_server()->text == "near.example.net:3654");
  struct stat info {};
  REQUIRE(::stat(f.state_dir.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0700);
  REQUIRE(::stat(f.list.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);
  CHECK_FALSE(std::filesystem::exists(f.list + ".new"));
  CHECK(f.lines.str().empty());
}

TEST_CASE("broker files: a file is replaced as a whole, and left alone when it says so already") {
  const Fixture f;
  f.files.write_broker_list(servers({"a.example.net", "b.example.net", "c.example.net"}));
  f.files.write_broker_list(servers({"b.example.net"}));
  CHECK(content_of(f.list) == "b.example.net\n");
  struct stat before {};
  struct stat after {};
  REQUIRE(::stat(f.list.c_str(), &before) == 0);
  f.files.write_broker_list(servers({"b.example.net"}));
  REQUIRE(::stat(f.list.c_str(), &after) == 0);
  CHECK(before.st_ino == after.st_ino);
}

TEST_CASE("broker files: a link is neither read nor written through") {
  const Fixture f;
  const auto victim = f.directory.file("victim");
  write_file(victim, "secret.example.net\n");
  std::filesystem::create_directory(f.state_dir);
  std::filesystem::create_symlink(victim, f.list);
  std::filesystem::create_symlink(victim, f.list + ".new");
  CHECK(f.files.read_broker_list().empty());
  CHECK(f.has_warned("warning broker_list=" + f.list + " is ignored: it is a link"));
  f.files.write_broker_list(servers({"a.example.net"}));
  CHECK(content_of(victim) == "secret.example.net\n");
  CHECK(content_of(f.list) == "a.example.net\n");
  CHECK_FALSE(std::filesystem::is_symlink(f.list));
}

TEST_CASE("broker files: a FIFO and a directory do not hold the program up") {
  const Fixture f;
  std::filesystem::create_directory(f.state_dir);
  REQUIRE(::mkfifo(f.list.c_str(), 0600) == 0);
  std::filesystem::create_directory(f.last);
  CHECK(f.files.read_broker_list().empty());
  CHECK(f.has_warned("broker_list=" + f.list + " is ignored"));
  CHECK_FALSE(f.files.read_last_server());
  f.files.write_last_server(*net::ServerAddress::parse("a.example.net"));
  CHECK(f.has_warned("warning cannot write last_server=" + f.last));
  CHECK(std::filesystem::is_directory(f.last));
}

TEST_CASE("broker files: malformed lines are warned of once") {
  const Fixture f;
  std::filesystem::create_directory(f.state_dir);
  write_file(f.list, "not a broker\na.example.net\nnor this\nnor that\n");
  CHECK(texts(f.files.read_broker_list()) == std::vector<std::string>{"a.example.net"});
  CHECK(f.has_warned("line 1 is no broker's name or address (and 2 more lines)"));
  CHECK_FALSE(f.has_warned("line 3"));
}

TEST_CASE("broker files: a full disk is a warning, and the old file stays") {
  const Fixture f;
  f.files.write_last_server(*net::ServerAddress::parse("old.example.net"));
  {
    const test::FileSizeLimit limit(4);
    f.files.write_last_server(*net::ServerAddress::parse("new.example.net"));
  }
  CHECK(f.has_warned("warning cannot write last_server=" + f.last));
  CHECK(content_of(f.last) == "old.example.net\n");
  CHECK_FALSE(std::filesystem::exists(f.last + ".new"));
  f.files.write_last_server(*net::ServerAddress::parse("new.example.net"));
  CHECK(content_of(f.last) == "new.example.net\n");
}

TEST_CASE("broker files: a directory of someone else is not made, and not trusted") {
  Fixture f;
  const BrokerFiles elsewhere(f.directory.file("missing/list.txt"), f.last, f.state_dir, f.log);
  elsewhere.write_broker_list(servers({"a.example.net"}));
  CHECK(f.has_warned("warning cannot write broker_list="));
  CHECK_FALSE(std::filesystem::exists(f.directory.file("missing")));
  std::filesystem::create_directory(f.state_dir);
  REQUIRE(::chmod(f.state_dir.c_str(), 0777) == 0);
  f.files.write_last_server(*net::ServerAddress::parse("a.example.net"));
  CHECK(f.has_warned("last_server is not written"));
  CHECK_FALSE(std::filesystem::exists(f.last));
}
