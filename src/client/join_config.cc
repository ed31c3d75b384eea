// SPDX-License-Identifier: BSD-3-Clause
// What `sixlink join` writes into sixlink.conf.
#include "src/client/join_config.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "src/config/directory.h"
#include "src/config/key_value.h"
#include "src/config/small_file.h"

namespace sixlink::client {
namespace {

// Of conf/sixlink.conf: nobody's.
constexpr std::string_view kSampleBroker = "broker.example.net";
constexpr std::size_t kLargestConfig = 1 << 20;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

struct Line {
  std::string text;  // without its end
  std::string key;   // empty: it sets nothing
  std::string value;
  bool is_comment = false;  // "#key=value", as the sample has its defaults
};

Line read_line(std::string_view text) {
  Line line{std::string(text), {}, {}, false};
  auto rest = trimmed(text);
  if (rest.starts_with('#')) {
    line.is_comment = true;
    rest.remove_prefix(1);
  }
  const auto equals = rest.find('=');
  if (equals == std::string_view::npos) return line;
  const auto key = line.is_comment ? rest.substr(0, equals) : trimmed(rest.substr(0, equals));
  const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  const auto lower = config::lower_case(key);
  if (lower.empty() || !std::ranges::all_of(lower, is_plain)) return line;
  line.key = lower;
  line.value = trimmed(rest.substr(equals + 1));
  return line;
}

std::vector<Line> read_lines(std::string_view text) {
  std::vector<Line> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    lines.push_back(read_line(text.substr(0, end)));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return lines;
}

void set(std::vector<Line>& lines, const std::string& key, const std::string& value) {
  const auto is_active = [&](const Line& line) { return !line.is_comment && line.key == key; };
  Line fresh{key + "=" + value, key, value, false};
  auto at = std::ranges::find_if(lines, is_active);
  if (at != lines.end()) {
    *at = std::move(fresh);
    // Of a key given twice the last one counts.
    lines.erase(std::remove_if(at + 1, lines.end(), is_active), lines.end());
    return;
  }
  at = std::ranges::find_if(lines, [&](const Line& line) { return line.is_comment && line.key == key; });
  lines.insert(at == lines.end() ? at : at + 1, std::move(fresh));
}

}  // namespace

UpdatedConfig update_config(std::string_view text, const ConfigSettings& settings) {
  auto lines = read_lines(text);
  for (auto& line : lines) {
    if (line.is_comment || line.key != "server" || line.value.empty()) continue;
    if (line.value != kSampleBroker)
      return {std::nullopt, "it is the configuration of a tunnel client (server=" + line.value +
                                "): give the node another file, as in sixlink join URL -f mesh.conf"};
    line.text.insert(0, "#");
    line.is_comment = true;
  }
  for (const auto& [key, value] : settings) set(lines, key, value);
  std::string result;
  for (const auto& line : lines) result += line.text + "\n";
  return {std::move(result), {}};
}

std::string write_config(const std::string& path, const std::string& text) {
  std::error_code ignored;
  auto place = std::filesystem::weakly_canonical(path, ignored).string();
  if (ignored || place.empty()) place = path;
  const auto before = config::read_small_file(place, kLargestConfig);
  if (before && *before == text) return {};
  struct stat status {};
  const bool is_there = ::stat(place.c_str(), &status) == 0;
  if (const auto slash = place.rfind('/'); slash != std::string::npos && slash > 0) {
    if (const auto error = config::make_directory(place.substr(0, slash)))
      return "cannot make the directory of " + place + ": " + error.message();
  }
  if (const auto error = config::write_small_file(place, text, config::Existing::kReplace))
    return "cannot write " + place + ": " + error.message();
  if (is_there) {
    // One that cannot be had back is stricter now, not laxer.
    if (::chown(place.c_str(), status.st_uid, status.st_gid) == 0)
      ::chmod(place.c_str(), status.st_mode & 07777);
  }
  return {};
}

}  // namespace sixlink::client
