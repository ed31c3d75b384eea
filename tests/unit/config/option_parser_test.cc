// SPDX-License-Identifier: BSD-3-Clause
#include "src/config/option_parser.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace sixlink::config;

namespace {

const std::vector<OptionSpec> kSpecs = {
    {'f', "file", "FILE", "read FILE", kEveryCommand},
    {'n', "now", "", "at once", kEveryCommand},
    {0, "long", "", "has no short form", kEveryCommand},
    {'h', "help", "", "print this text", kEveryCommand},
};

// "-f(x)" is an option, "[x]" a word, "!x" an error.
std::string events(const std::vector<std::string>& arguments, char also_help = 0) {
  OptionParser parser(kSpecs, arguments, also_help);
  std::string all;
  while (const auto event = parser.next()) {
    if (!all.empty()) all += ' ';
    if (event->kind == OptionParser::Kind::kError) all += "!" + event->text;
    if (event->kind == OptionParser::Kind::kWord) all += "[" + event->text + "]";
    if (event->kind == OptionParser::Kind::kOption) {
      REQUIRE(event->spec != nullptr);
      all += event->name + "(" + event->text + ")";
    }
  }
  CHECK_FALSE(parser.next().has_value());
  return all;
}

}  // namespace

TEST_CASE("option parser: short and long forms, joined and apart") {
  CHECK(events({}).empty());
  CHECK(events({"-f", "x", "-n"}) == "-f(x) -n()");
  CHECK(events({"-nfx"}) == "-n() -f(x)");
  CHECK(events({"-nf", "x"}) == "-n() -f(x)");
  CHECK(events({"--file", "x", "--now"}) == "--file(x) --now()");
  CHECK(events({"--file=x=y"}) == "--file(x=y)");
  CHECK(events({"-f", "-n"}) == "-f(-n)");
}

TEST_CASE("option parser: an argument may be empty, and is then there") {
  CHECK(events({"-f", ""}) == "-f()");
  CHECK(events({"--file="}) == "--file()");
}

TEST_CASE("option parser: words stand between options, and are all there is after --") {
  CHECK(events({"a", "-n", "b"}) == "[a] -n() [b]");
  CHECK(events({"-", "", "-n"}) == "[-] [] -n()");
  CHECK(events({"-n", "--", "-n", "--", "--now"}) == "-n() [-n] [--] [--now]");
  CHECK(events({"-f", "--", "-n"}) == "-f(--) -n()");
}

TEST_CASE("option parser: a mistake is named, and what follows is read") {
  CHECK(events({"-q"}) == "!unknown option -q");
  CHECK(events({"-nqn", "-n"}) == "-n() !unknown option -q -n()");
  CHECK(events({"--no", "a"}) == "!unknown option --no [a]");
  CHECK(events({"--=x"}) == "!unknown option --");
  CHECK(events({"--now=1", "-n"}) == "!option --now takes no argument -n()");
  CHECK(events({"-n", "-f"}) == "-n() !option -f needs an argument: FILE");
  CHECK(events({"--file"}) == "!option --file needs an argument: FILE");
  CHECK(events({std::string("-\0", 2)}) == std::string("!unknown option -\0", 18));
}

TEST_CASE("option parser: a second short name for help where the program has one") {
  CHECK(events({"-?"}) == "!unknown option -?");
  CHECK(events({"-n?"}, '?') == "-n() -?()");
}

TEST_CASE("option parser: help lines") {
  CHECK(help_line(kSpecs[0]) == "  -f, --file FILE             read FILE\n");
  CHECK(help_line(kSpecs[2]) == "      --long                  has no short form\n");
  CHECK(help_line("  a name that is longer than the column", "x") ==
        "  a name that is longer than the column  x\n");
}
