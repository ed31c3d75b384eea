// SPDX-License-Identifier: BSD-3-Clause
#include "src/log/line_formatter.h"

#include <doctest/doctest.h>
#include <spdlog/details/log_msg.h>

#include <regex>
#include <string_view>

using namespace sixlink;

namespace {

std::string formatted(spdlog::formatter& formatter, std::string_view text) {
  const spdlog::details::log_msg message("sixlink", spdlog::level::info,
                                         spdlog::string_view_t(text.data(), text.size()));
  spdlog::memory_buf_t out;
  formatter.format(message, out);
  return {out.data(), out.size()};
}

}  // namespace

TEST_CASE("log line: ISO 8601 time with its zone, program, process, level, text") {
  log::LineFormatter formatter(log::kLinePattern, "\n");
  const std::regex expected(
      R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d sixlink\[\d+\]: info: the tunnel is up\n)");
  const auto line = formatted(formatter, "the tunnel is up");
  CAPTURE(line);
  CHECK(std::regex_match(line, expected));
}

TEST_CASE("log line: control characters of a message make no line and move no cursor") {
  log::LineFormatter formatter("%v", "\n");
  CHECK(formatted(formatter, "a\nb\r\x1b[2J\x7f\tc") == "a\\nb\\x0d\\x1b[2J\\x7f c\n");
  CHECK(formatted(formatter, std::string_view("a\0b", 3)) == "a\\x00b\n");
  CHECK(formatted(formatter, "last newlines go\n\n") == "last newlines go\n");
  CHECK(formatted(formatter, "") == "\n");
  CHECK(formatted(formatter, "Zürich") == "Zürich\n");
  CHECK(formatted(*formatter.clone(), "x\ny") == "x\\ny\n");
}
