// SPDX-License-Identifier: BSD-3-Clause
// The sample configuration and the man pages say what the tables of keys and options say.
#include <doctest/doctest.h>

#include <regex>
#include <set>
#include <sstream>

#include "src/client/config.h"
#include "src/client/config_legacy.h"
#include "src/client/options.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::client;

namespace {

// The tests run in the source directory.
std::string document(const std::string& path) {
  const auto text = test::content_of(path);
  CAPTURE(path);
  REQUIRE_FALSE(text.empty());
  return text;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

struct SampleLine {
  std::string key;
  std::string value;
  bool is_active;
};

std::vector<SampleLine> sample_lines(const std::string& text) {
  std::vector<SampleLine> result;
  std::istringstream stream(text);
  const std::regex pattern("(#?)([a-z_0-9]+)=(.*)");
  for (std::string line; std::getline(stream, line);) {
    std::smatch match;
    if (std::regex_match(line, match, pattern))
      result.push_back({match[2], match[3], match[1].length() == 0});
  }
  return result;
}

}  // namespace

TEST_CASE("documents: conf/sixlink.conf loads, and only its server is to be changed") {
  const auto result = load_config("conf/sixlink.conf");
  CHECK(result.problems.empty());
  CHECK(result.warnings.empty());
  REQUIRE(result.config);
  REQUIRE(result.config->servers.size() == 1);
  CHECK(result.config->servers[0].text == "broker.example.net");
  for (const auto& line : sample_lines(document("conf/sixlink.conf"))) {
    CAPTURE(line.key);
    CHECK(line.is_active == (line.key == "server"));
  }
}

TEST_CASE("documents: conf/sixlink.conf has every key once, with its default") {
  const auto lines = sample_lines(document("conf/sixlink.conf"));
  for (const auto& key : config_keys()) {
    CAPTURE(key.name);
    int count = 0;
    for (const auto& line : lines) {
      if (line.key != key.name) continue;
      ++count;
      if (key.name != "server") CHECK(line.value == key.default_value);
    }
    CHECK(count == 1);
  }
  CHECK(lines.size() == config_keys().size());
}

TEST_CASE("documents: conf/sixlink.conf without its comment signs means the same") {
  std::string text;
  for (const auto& line : sample_lines(document("conf/sixlink.conf")))
    text += line.key + "=" + line.value + "\n";
  const auto result = parse_config("sixlink.conf", text);
  CHECK(result.problems.empty());
  CHECK(result.warnings.empty());
}

TEST_CASE("documents: sixlink.conf(5) has every key with its default, in the table's order") {
  const auto page = document("man/sixlink.conf.5");
  std::size_t last = 0;
  for (const auto& key : config_keys()) {
    CAPTURE(key.name);
    const auto at = page.find("\n.It Ic " + std::string(key.name) + " ");
    REQUIRE(at != std::string::npos);
    CHECK(at > last);
    last = at;
    const auto entry = page.substr(at, page.find("\n.It Ic ", at + 1) - at);
    if (!key.default_value.empty()) CHECK(contains(entry, "\nDefault: " + std::string(key.default_value)));
  }
  for (const auto& key : legacy_keys()) CHECK(contains(page, ".Ic " + std::string(key.name)));
}

TEST_CASE("documents: sixlink.conf(5) has no key that does not exist") {
  const auto page = document("man/sixlink.conf.5");
  std::set<std::string> known;
  for (const auto& key : config_keys()) known.insert(std::string(key.name));
  const std::regex pattern("\\n\\.It Ic ([a-z_0-9]+)");
  for (auto it = std::sregex_iterator(page.begin(), page.end(), pattern); it != std::sregex_iterator();
       ++it) {
    CAPTURE((*it)[1].str());
    CHECK(known.count((*it)[1].str()) == 1);
  }
}

TEST_CASE("documents: sixlink(8) has every option, command and exit status") {
  const auto page = document("man/sixlink.8");
  for (const auto& spec : option_specs()) {
    CAPTURE(spec.long_name);
    std::string item = "\n.It ";
    if (spec.short_name != 0) item += std::string("Fl ") + spec.short_name + " , ";
    item += "Fl -" + std::string(spec.long_name);
    CHECK(contains(page, item));
  }
  for (const auto& spec : command_specs()) CHECK(contains(page, "\n.It Cm " + std::string(spec.name)));
  for (const int code : {0, 1, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 23}) {
    CAPTURE(code);
    CHECK(contains(page, "\n.It " + std::to_string(code) + "\n"));
  }
}
