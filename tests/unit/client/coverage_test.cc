// SPDX-License-Identifier: BSD-3-Clause
// Every key, flag and command has a scenario that shows what it does, and the tables of the man pages say
// what the parser's tables say. A scenario names what it covers in the comment at its top:
// "# covers: key retry_delay, flag -r, command stop, registry key realm".
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "registry/config.h"
#include "src/client/config.h"
#include "src/client/config_legacy.h"
#include "src/client/options.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::client;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::vector<std::string> split(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  for (;;) {
    const auto next = text.find(separator, at);
    parts.push_back(trimmed(text.substr(at, next == std::string::npos ? next : next - at)));
    if (next == std::string::npos) return parts;
    at = next + separator.size();
  }
}

std::string quoted_for_regex(const std::string& text) {
  return std::regex_replace(text, std::regex(R"([?.*+(){}\[\]^$|\\])"), R"(\$&)");
}

// ---- what there is to cover
// ----------------------------------------------------------------------------------

// "key NAME", "flag -x", "flag --name", "command NAME", "registry key NAME"; a key's default is beside it.
std::map<std::string, std::string> everything() {
  std::map<std::string, std::string> all;
  for (const auto& key : config_keys()) all["key " + std::string(key.name)] = key.default_value;
  for (const auto& key : legacy_keys()) all["key " + std::string(key.name)];
  for (const auto& key : registry::config_keys())
    all["registry key " + std::string(key.name)] = key.default_value;
  for (const auto& spec : option_specs()) {
    if (spec.short_name != 0) all[std::string("flag -") + spec.short_name];
    all["flag --" + std::string(spec.long_name)];
  }
  all["flag -?"];
  for (const auto& spec : command_specs()) all["command " + std::string(spec.name)];
  return all;
}

// ---- what scenarios say and do
// -------------------------------------------------------------------------------

std::vector<std::string> claims_of(const std::string& scenario) {
  std::vector<std::string> claims;
  const std::string mark = "# covers: ";
  for (const auto& line : lines_of(scenario)) {
    if (!line.empty() && line.front() != '#') break;
    if (!line.starts_with(mark)) continue;
    for (const auto& claim : split(line.substr(mark.size()), ",")) {
      if (claim != "nothing") claims.push_back(claim);
    }
  }
  return claims;
}

std::string without_comments(const std::string& scenario) {
  std::string code;
  for (const auto& line : lines_of(scenario)) {
    if (!trimmed(line).starts_with("#")) code += line + "\n";
  }
  return code;
}

bool sets_key(const std::string& code, const std::string& name, const std::string& default_value) {
  const std::regex setting("(^|[^a-z0-9_])" + name + R"(=["']?([^\s"']+))");
  for (auto it = std::sregex_iterator(code.begin(), code.end(), setting); it != std::sregex_iterator();
       ++it) {
    if ((*it)[2].str() != default_value) return true;
  }
  return false;
}

// Empty: the scenario's code does what it claims to cover.
std::string doubt(const std::string& scenario, const std::string& claim) {
  static const auto all = everything();
  const auto found = all.find(claim);
  if (found == all.end()) return "there is no " + claim;
  const auto code = without_comments(scenario);
  const auto space = claim.rfind(' ');
  const auto kind = claim.substr(0, space);
  const auto name = claim.substr(space + 1);
  if (kind == "key" || kind == "registry key")
    return sets_key(code, name, found->second) ? ""
                                               : name + "= is nowhere set to another value than its default";
  const auto word = quoted_for_regex(name);
  const std::string pattern = kind == "flag" ? R"((^|[\s"'(]))" + word + R"(([\s"')=;$]|$))"
                                             : R"(((client|node) \S+|"\$SIXLINK") )" + word + R"(\b)";
  return std::regex_search(code, std::regex(pattern)) ? "" : name + " is nowhere used";
}

std::map<std::string, std::string> scenarios() {
  std::map<std::string, std::string> result;
  for (const char* directory : {"tests/net/scenarios", "tests/vm/scenarios"}) {
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      if (entry.path().extension() == ".sh") result[entry.path()] = test::content_of(entry.path());
    }
  }
  return result;
}

// ---- the tables of the man pages
// -----------------------------------------------------------------------------

// A cell's text: macros that only mark words up are taken off, and so are escapes.
std::string plain(const std::string& cell) {
  auto text = std::regex_replace(cell, std::regex(R"((^| )(Ic|Sy|Ar|Cm|Pa) )"), "$1");
  text = std::regex_replace(text, std::regex(R"((^| )Fl )"), "$1-");
  text = std::regex_replace(text, std::regex(R"(\\\(dq)"), "\"");
  return trimmed(std::regex_replace(text, std::regex(R"(\\&)"), ""));
}

// The rows of the section's column list, without its heading.
std::vector<std::vector<std::string>> table(const std::string& path, const std::string& heading) {
  std::vector<std::vector<std::string>> rows;
  bool is_there = false;
  bool is_list = false;
  for (const auto& line : lines_of(test::content_of(path))) {
    if (line.starts_with(".Sh ") || line.starts_with(".Ss ")) is_there = line.substr(4) == heading;
    if (!is_there) continue;
    if (line.starts_with(".Bl -column")) is_list = true;
    if (line.starts_with(".El")) is_list = false;
    if (!is_list || !line.starts_with(".It ")) continue;
    std::vector<std::string> cells;
    for (const auto& cell : split(line.substr(4), " Ta ")) cells.push_back(plain(cell));
    rows.push_back(cells);
  }
  CAPTURE(path);
  CAPTURE(heading);
  REQUIRE(rows.size() > 1);
  rows.erase(rows.begin());
  return rows;
}

std::string or_none(std::string_view text) {
  return text.empty() ? "none" : std::string(text);
}

// The keys that the page names below a heading: in the sentence at its beginning, and as items.
std::set<std::string> keys_below(const std::string& path, const std::string& heading) {
  std::set<std::string> names;
  bool is_there = false;
  bool is_list = false;
  for (const auto& line : lines_of(test::content_of(path))) {
    if (line.starts_with(".Sh ") || line.starts_with(".Ss ")) is_there = line.substr(4) == heading;
    is_list = is_there && (is_list || line.starts_with(".Bl "));
    if (is_there && !is_list && line.starts_with(".Ic ")) names.insert(split(line.substr(4), " ").front());
    if (is_there && line.starts_with(".It Ic ")) names.insert(split(line.substr(7), " ").front());
  }
  return names;
}

// As the man pages call a flag's argument: IF|ADDR is "interface | address".
std::string argument_name(std::string_view help) {
  std::string name;
  for (const auto& part : split(std::string(help), "|")) {
    if (!name.empty()) name += " | ";
    auto lower = part == "IF" ? "interface" : part == "ADDR" ? "address" : part;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    name += lower;
  }
  return name;
}

}  // namespace

TEST_CASE("coverage: what a scenario claims is looked for in its code") {
  const std::string top = "#!/bin/sh\n# What it is.\n#\n# covers: key retry_delay, flag -r, command stop\n\n";
  CHECK(claims_of(top + "true\n# covers: key server\n") ==
        std::vector<std::string>{"key retry_delay", "flag -r", "command stop"});
  CHECK(doubt(top + "start_client home retry_delay=1\n", "key retry_delay").empty());
  CHECK_FALSE(doubt(top, "key retry_delay").empty());
  CHECK_FALSE(doubt(top + "# retry_delay=1\n", "key retry_delay").empty());
  CHECK_FALSE(doubt(top + "start_client home retry_delay=30\n", "key retry_delay").empty());
  CHECK_FALSE(doubt(top + "start_client home retry_delay= retry_delay_max=5\n", "key retry_delay").empty());
  CHECK_FALSE(doubt(top + "start_client home frobnicate=1\n", "key frobnicate").empty());
  CHECK(doubt(top + "start_registry \"realm=Example Net\"\n", "registry key realm").empty());
  CHECK_FALSE(doubt(top + "start_registry realm=sixlink\n", "registry key realm").empty());
  CHECK_FALSE(doubt(top + "start_registry realm=example\n", "key realm").empty());
  CHECK(doubt(top + "spawn_client home -r 4\n", "flag -r").empty());
  CHECK_FALSE(doubt(top + "spawn_client home --r\nspawn_client -rx\n", "flag -r").empty());
  CHECK(doubt(top + "client home stop\n", "command stop").empty());
  CHECK_FALSE(doubt(top + "stop_client home\n", "command stop").empty());
  CHECK_FALSE(doubt(top, "flag -z").empty());
}

TEST_CASE("coverage: scenarios cover what exists, and do what they claim to cover") {
  for (const auto& [path, text] : scenarios()) {
    for (const auto& claim : claims_of(text)) {
      INFO(path << " covers " << claim);
      CHECK(doubt(text, claim) == "");
    }
  }
}

TEST_CASE("coverage: every key, flag and command has a scenario") {
  std::set<std::string> covered;
  for (const auto& [path, text] : scenarios()) {
    for (const auto& claim : claims_of(text)) covered.insert(claim);
  }
  for (const auto& [what, default_value] : everything()) {
    CAPTURE(what);
    CHECK(covered.contains(what));
  }
}

TEST_CASE("documents: sixlink.conf(5) has a table of every key with the parser's values") {
  std::vector<std::vector<std::string>> expected;
  for (const auto& key : config_keys()) expected.push_back({std::string(key.name), std::string(key.allowed)});
  for (const auto& key : legacy_keys()) {
    expected.push_back({std::string(key.name),
                        key.current_name.empty() ? "anything" : "as " + std::string(key.current_name)});
  }
  const auto rows = table("man/sixlink.conf.5", "Values");
  REQUIRE(rows.size() == expected.size());
  for (std::size_t at = 0; at < rows.size(); ++at) CHECK(rows[at] == expected[at]);
}

TEST_CASE(
    "documents: sixlink.conf(5) has a table of every key with its default, where it is from, and what "
    "differs") {
  auto own = keys_below("man/sixlink.conf.5", "Keys that gogoCLIENT did not have");
  REQUIRE_FALSE(own.empty());
  own.merge(keys_below("man/sixlink.conf.5", "The mesh"));
  std::vector<std::vector<std::string>> expected;
  for (const auto& key : config_keys()) {
    const std::string name(key.name);
    expected.push_back({name, or_none(key.default_value), own.contains(name) ? "sixlink" : "gogoc"});
  }
  for (const auto& key : legacy_keys()) expected.push_back({std::string(key.name), "none", "older"});
  const auto rows = table("man/sixlink.conf.5", "Defaults and differences");
  REQUIRE(rows.size() == expected.size());
  for (std::size_t at = 0; at < rows.size(); ++at) {
    CAPTURE(expected[at][0]);
    REQUIRE(rows[at].size() == 4);
    CHECK(std::vector<std::string>(rows[at].begin(), rows[at].end() - 1) == expected[at]);
    // What is sixlink's own differs from nothing.
    CHECK((rows[at][3] == "new") == (rows[at][2] == "sixlink"));
    CHECK_FALSE(rows[at][3].empty());
  }
}

TEST_CASE("documents: sixlink(8) has a table of every flag and command, and where they are from") {
  std::vector<std::vector<std::string>> expected;
  for (const auto& spec : option_specs()) {
    const bool is_gogocs = spec.short_name != 0;
    expected.push_back({is_gogocs ? std::string("-") + spec.short_name : "none",
                        "--" + std::string(spec.long_name), or_none(argument_name(spec.argument)),
                        is_gogocs ? "gogoc" : "sixlink"});
    if (spec.long_name == "help") expected.push_back({"-?", "none", "none", "gogoc"});
  }
  for (const auto& spec : command_specs())
    expected.push_back({std::string(spec.name), "none", "none", "sixlink"});
  const auto rows = table("man/sixlink.8", "FLAGS AND GOGOC");
  REQUIRE(rows.size() == expected.size());
  for (std::size_t at = 0; at < rows.size(); ++at) {
    CAPTURE(expected[at][1]);
    REQUIRE(rows[at].size() == 5);
    CHECK(std::vector<std::string>(rows[at].begin(), rows[at].end() - 1) == expected[at]);
    CHECK((rows[at][4] == "new") == (rows[at][3] == "sixlink"));
  }
}
