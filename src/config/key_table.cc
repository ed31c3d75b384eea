// SPDX-License-Identifier: BSD-3-Clause
// What is told about the keys of a configuration.
#include "src/config/key_table.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace sixlink::config {
namespace {

// The number of letters to insert, remove or replace to get from one word to the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::vector<Problem> by_line(std::vector<Problem>& problems) {
  std::stable_sort(problems.begin(), problems.end(),
                   [](const Problem& a, const Problem& b) { return a.line < b.line; });
  return std::move(problems);
}

}  // namespace

const KeyReport::Given* KeyReport::find(std::string_view key) const {
  const auto found = given_.find(key);
  return found == given_.end() ? nullptr : &found->second;
}

int KeyReport::line_of(std::string_view key) const {
  const Given* given = find(key);
  return given == nullptr ? 0 : given->line;
}

bool KeyReport::has_value(std::string_view key) const {
  const Given* given = find(key);
  return given != nullptr && given->has_value;
}

bool KeyReport::is_refused(std::string_view key) const {
  const Given* given = find(key);
  return given != nullptr && given->is_refused;
}

void KeyReport::problem(std::string_view key, std::string message) {
  problems_.push_back({line_of(key), std::string(key), std::move(message)});
}

void KeyReport::warning(std::string_view key, std::string message) {
  warnings_.push_back({line_of(key), std::string(key), std::move(message)});
}

void KeyReport::problem(const Entry& entry, std::string message) {
  problems_.push_back({entry.line, entry.key, std::move(message)});
}

void KeyReport::warning(const Entry& entry, std::string message) {
  warnings_.push_back({entry.line, entry.key, std::move(message)});
}

void KeyReport::given(const Entry& entry, std::string_view name, bool has_value) {
  Given& given = given_[std::string(name)];
  if (given.line != 0) warning(entry, "given twice; line " + std::to_string(given.line) + " is ignored");
  given.line = entry.line;
  given.has_value = has_value;
}

void KeyReport::refused(const Entry& entry, std::string_view name, ValueKind kind, std::string_view allowed) {
  given_[std::string(name)].is_refused = true;
  // What a secret is like is not for a log.
  const std::string shown = kind == ValueKind::kSecret ? "the value" : "\"" + entry.value + "\"";
  problem(entry, shown + " is not allowed; allowed: " + std::string(allowed));
}

std::vector<Problem> KeyReport::take_problems() {
  return by_line(problems_);
}

std::vector<Problem> KeyReport::take_warnings() {
  return by_line(warnings_);
}

std::string unknown_key_message(std::string_view name, const std::vector<std::string_view>& known,
                                std::string_view manual) {
  constexpr std::size_t kLongestKey = 64;  // longer is no mistyped key, and would cost
  std::string_view nearest;
  std::size_t best = name.size() / 3 + 1;  // further away it is another word
  if (name.size() <= kLongestKey) {
    for (const auto key : known) {
      // So many letters at least are one's alone.
      if (std::max(name.size(), key.size()) - std::min(name.size(), key.size()) > best) continue;
      const auto distance = edit_distance(name, key);
      if (distance > best || (distance == best && !nearest.empty())) continue;
      best = distance;
      nearest = key;
    }
  }
  if (nearest.empty()) return "unknown key; " + std::string(manual) + " lists them all";
  return "unknown key; did you mean " + std::string(nearest) + "?";
}

std::string cannot_read_message(const boost::system::error_code& error, std::string_view remedy) {
  std::string message = "cannot read the configuration: " + error.message();
  if (error == boost::system::errc::no_such_file_or_directory) {
    message += "; name another file with -f FILE, or " + std::string(remedy);
  } else if (error == boost::system::errc::permission_denied) {
    message += "; run as root";
  }
  return message;
}

}  // namespace sixlink::config
