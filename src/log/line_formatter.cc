// SPDX-License-Identifier: BSD-3-Clause
// Formats a log message as one line.
#include "src/log/line_formatter.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace sixlink::log {
namespace {

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

std::string escaped(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string result;
  result.reserve(text.size() + 16);
  for (const char c : text) {
    if (!is_control(c)) {
      result += c;
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '\t') {
      result += ' ';
    } else {
      const auto byte = static_cast<unsigned char>(c);
      result += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return result;
}

}  // namespace

LineFormatter::LineFormatter(std::string pattern, std::string end)
    : pattern_(std::move(pattern)),
      end_(std::move(end)),
      formatter_(pattern_, spdlog::pattern_time_type::local, end_) {}

void LineFormatter::format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) {
  std::string_view text(message.payload.data(), message.payload.size());
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  const bool is_plain = std::none_of(text.begin(), text.end(), is_control);
  const std::string safe = is_plain ? std::string() : escaped(text);
  auto line = message;
  line.payload = is_plain ? spdlog::string_view_t(text.data(), text.size()) : spdlog::string_view_t(safe);
  formatter_.format(line, out);
}

std::unique_ptr<spdlog::formatter> LineFormatter::clone() const {
  return std::make_unique<LineFormatter>(pattern_, end_);
}

}  // namespace sixlink::log
