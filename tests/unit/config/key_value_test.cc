// SPDX-License-Identifier: BSD-3-Clause
#include "src/config/key_value.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace std::string_literals;
using namespace std::string_view_literals;

TEST_CASE("key values: names in any case, blanks around both, comments, empty values") {
  const auto file =
      config::parse_key_values("# comment\n\n  Server = a.example \t\nuserid=\n\t# more=1\nLAST=x");
  CHECK(file.problems.empty());
  REQUIRE(file.entries.size() == 3);
  CHECK(file.entries[0].line == 3);
  CHECK(file.entries[0].key == "server");
  CHECK(file.entries[0].value == "a.example");
  CHECK(file.entries[1].key == "userid");
  CHECK(file.entries[1].value.empty());
  CHECK(file.entries[2].line == 6);
  CHECK(file.entries[2].key == "last");
}

TEST_CASE("key values: a value keeps '=', '#', quotes and blanks inside") {
  const auto file = config::parse_key_values("passwd= a=b #c \"d\"  e \n");
  REQUIRE(file.entries.size() == 1);
  CHECK(file.entries[0].value == "a=b #c \"d\"  e");
}

TEST_CASE("key values: DOS line ends and a byte order mark are no part of the text") {
  const auto file = config::parse_key_values("\xef\xbb\xbfserver=a\r\nuserid=b\r\n");
  REQUIRE(file.entries.size() == 2);
  CHECK(file.entries[0].key == "server");
  CHECK(file.entries[0].value == "a");
  CHECK(file.entries[1].value == "b");
}

TEST_CASE("key values: each line that is none is told with its number, the others are kept") {
  const std::string text = "server\n=x\na=1\n" + std::string(5000, 'y') + "\nb\0=2\nc=3\n"s;
  const auto file = config::parse_key_values(text);
  REQUIRE(file.problems.size() == 4);
  CHECK(file.problems[0].line == 1);
  CHECK(file.problems[1].line == 2);
  CHECK(file.problems[2].line == 4);
  CHECK(file.problems[3].line == 5);
  REQUIRE(file.entries.size() == 2);
  CHECK(file.entries[1].key == "c");
  CHECK(file.entries[1].line == 6);
}

TEST_CASE("key values: a line without '=' shows its first word only, it may hold a password") {
  const auto file = config::parse_key_values("passwd s3cret\n");
  REQUIRE(file.problems.size() == 1);
  CHECK(file.problems[0].message.find("passwd") != std::string::npos);
  CHECK(file.problems[0].message.find("s3cret") == std::string::npos);
}

TEST_CASE("key values: any bytes are survived") {
  std::mt19937 random(1);
  const auto alphabet = "a=#\n\r\t \0\xff\xef\xbb\xbf"sv;
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (auto left = random() % 64; left > 0; --left) text += alphabet[random() % alphabet.size()];
    const auto file = config::parse_key_values(text);
    for (const auto& entry : file.entries) CHECK_FALSE(entry.key.empty());
  }
}

TEST_CASE("key values: a problem prints as file, line, key and message") {
  CHECK(config::to_string("x.conf", {3, "server", "is wrong"}) == "x.conf:3: server: is wrong");
  CHECK(config::to_string("x.conf", {0, "server", "is missing"}) == "x.conf: server: is missing");
  CHECK(config::to_string("x.conf", {0, "", "cannot be read"}) == "x.conf: cannot be read");
}

TEST_CASE("key values: numbers and words are taken whole or not at all") {
  long number = 7;
  CHECK(config::parse_number("0", 0, 10, number));
  CHECK(number == 0);
  CHECK(config::parse_number("10", 0, 10, number));
  for (const auto text : {"", "11", "-1", "+1", " 1", "1 ", "1x", "0x1", "99999999999999999999"}) {
    CAPTURE(text);
    CHECK_FALSE(config::parse_number(text, 0, 10, number));
  }
  CHECK(number == 10);
  bool flag = false;
  CHECK(config::parse_yes_no("YES", flag));
  CHECK(flag);
  for (const auto text : {"", "y", "true", "1", "yes "}) CHECK_FALSE(config::parse_yes_no(text, flag));
  CHECK(config::parse_yes_no("no", flag));
  CHECK_FALSE(flag);
}

TEST_CASE("key values: a file is read whole, within the limit") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("x");
  std::ofstream(path) << std::string(10000, 'a');
  CHECK(config::read_file(path).value().size() == 10000);
  CHECK(config::read_file(path, 10000).has_value());
  CHECK(config::read_file(path, 9999).error() == boost::system::errc::file_too_large);
  CHECK(config::read_file(directory.file("none")).error() == boost::system::errc::no_such_file_or_directory);
  CHECK(config::read_file(directory.path().string()).has_error());
}

TEST_CASE("key value: a list is separated by blanks and commas") {
  using Parts = std::vector<std::string_view>;
  CHECK(config::split_list("a b,c ,\t d") == Parts{"a", "b", "c", "d"});
  CHECK(config::split_list(" ,").empty());
  CHECK(config::split_list("").empty());
}

TEST_CASE("key value: a template's name is no path") {
  for (const char* good : {"linux", "my_own", "open_WRT-2"}) CHECK(config::is_template_name(good));
  for (const char* bad : {"", "a.sh", "a/b", "..", "a b"}) CHECK_FALSE(config::is_template_name(bad));
  CHECK(config::is_template_name(std::string(64, 'a')));
  CHECK_FALSE(config::is_template_name(std::string(65, 'a')));
}
