// SPDX-License-Identifier: BSD-3-Clause
#include "src/config/key_table.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::config;

namespace {

struct Sample {
  bool flag = true;
  std::string word;
  std::string secret;
  std::string level = "off";
};

const std::vector<Key<Sample>> kKeys = {
    {"flag", "yes or no", "no",
     [](Sample& sample, const std::string& value) { return parse_yes_no(value, sample.flag); }},
    {"word", "a word", "none",
     [](Sample& sample, const std::string& value) {
       if (value.find(' ') != std::string::npos) return false;
       sample.word = value;
       return true;
     }},
    {"secret", "a long one", "",
     [](Sample& sample, const std::string& value) {
       if (value.size() < 8) return false;
       sample.secret = value;
       return true;
     },
     ValueKind::kSecret},
    {"level", "anything", "off",
     [](Sample& sample, const std::string& value) {
       sample.level = value;
       return true;
     },
     ValueKind::kMayBeEmpty},
};

Loaded<Sample> parse(const std::string&, std::string_view text) {
  auto file = parse_key_values(text);
  TableLoader<Sample> loader(kKeys, "sample.conf(5)", std::move(file.problems));
  for (auto& entry : file.entries) loader.take(entry);
  return loader.finish();
}

std::string told(const std::vector<Problem>& problems) {
  std::string all;
  for (const auto& problem : problems) all += to_string("f", problem) + "\n";
  return all;
}

std::string problems(const std::string& text) {
  const auto loaded = parse("f", text);
  CHECK(loaded.config.has_value() == loaded.problems.empty());
  return told(loaded.problems);
}

}  // namespace

TEST_CASE("key table: a key that is not given, or given empty, has its default") {
  for (const char* text : {"", "flag=\nword=\n"}) {
    const auto loaded = parse("f", text);
    REQUIRE(loaded.config);
    CHECK_FALSE(loaded.config->flag);
    CHECK(loaded.config->word == "none");
    CHECK(loaded.config->level == "off");
  }
  CHECK(parse("f", "level=").config.value().level.empty());
}

TEST_CASE("key table: all mistakes are told, by line") {
  CHECK(problems("flag=perhaps\njunk\nword=a b\nflagg=yes\nzzzzzzzzz=1\n") ==
        "f:1: flag: \"perhaps\" is not allowed; allowed: yes or no\n"
        "f:2: expected name=value, found \"junk\"\n"
        "f:3: word: \"a b\" is not allowed; allowed: a word\n"
        "f:4: flagg: unknown key; did you mean flag?\n"
        "f:5: zzzzzzzzz: unknown key; sample.conf(5) lists them all\n");
}

TEST_CASE("key table: a secret is neither told nor kept") {
  CHECK(problems("secret=short\n") == "f:1: secret: the value is not allowed; allowed: a long one\n");
  TableLoader<Sample> loader(kKeys, "sample.conf(5)", {});
  Entry entry{1, "secret", "long enough"};
  loader.take(entry);
  CHECK(entry.value.empty());
  CHECK(loader.config().secret == "long enough");
}

TEST_CASE("key table: the last of several counts, and it is said") {
  const auto loaded = parse("f", "word=a\nword=b\nword=c\n");
  CHECK(loaded.config.value().word == "c");
  CHECK(told(loaded.warnings) ==
        "f:2: word: given twice; line 1 is ignored\nf:3: word: given twice; line 2 is ignored\n");
}

TEST_CASE("key table: an older name is told as the file has it") {
  TableLoader<Sample> loader(kKeys, "sample.conf(5)", {});
  Entry old{3, "old_word", "a b"};
  loader.take(old, "word");
  CHECK(loader.report().line_of("word") == 3);
  CHECK(loader.report().is_refused("word"));
  CHECK(told(loader.finish().problems) == "f:3: old_word: \"a b\" is not allowed; allowed: a word\n");
}

TEST_CASE("key table: the report knows what was given") {
  TableLoader<Sample> loader(kKeys, "sample.conf(5)", {});
  Entry empty{1, "word", ""};
  Entry refused{2, "flag", "perhaps"};
  Entry accepted{4, "flag", "yes"};
  for (auto* entry : {&empty, &refused, &accepted}) loader.take(*entry);
  KeyReport& report = loader.report();
  CHECK(report.is_given("word"));
  CHECK_FALSE(report.has_value("word"));
  CHECK(report.has_value("flag"));
  CHECK(report.is_refused("flag"));
  CHECK_FALSE(report.is_given("level"));
  report.problem("level", "is missing");
  report.problem("flag", "does not go with word");
  report.warning("word", "without effect");
  const auto loaded = loader.finish();
  CHECK_FALSE(loaded.config.has_value());
  CHECK(told(loaded.problems) ==
        "f: level: is missing\nf:2: flag: \"perhaps\" is not allowed; allowed: yes or no\n"
        "f:4: flag: does not go with word\n");
  CHECK(told(loaded.warnings) == "f:1: word: without effect\nf:4: flag: given twice; line 2 is ignored\n");
}

TEST_CASE("key table: a file that is not there, that is none, that is there") {
  const test::TemporaryDirectory directory;
  const auto missing = load_file(directory.file("missing"), "write one", &parse);
  CHECK(
      told(missing.problems) ==
      "f: cannot read the configuration: No such file or directory; name another file with -f FILE, or write "
      "one\n");
  CHECK_FALSE(missing.config.has_value());
  CHECK(load_file(directory.file(""), "write one", &parse).problems.size() == 1);
  std::ofstream(directory.file("there")) << "word=x\n";
  CHECK(load_file(directory.file("there"), "write one", &parse).config.value().word == "x");
}
