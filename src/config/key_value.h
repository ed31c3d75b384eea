// SPDX-License-Identifier: BSD-3-Clause
// The syntax of sixlink.conf, gogoc.conf and sixlink-registry.conf: name=value lines, # comments.
#pragma once

#include <boost/system/result.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace sixlink::config {

// One mistake in a file. `line` 0: concerns the whole file. Printed "FILE:LINE: KEY: message".
struct Problem {
  int line = 0;
  std::string key;
  std::string message;
};
std::string to_string(const std::string& file, const Problem& problem);

struct Entry {
  int line = 0;
  std::string key;    // lower case
  std::string value;  // without surrounding blanks; "name=value # text" keeps the "# text", as in gogoc.conf
};

struct ParsedFile {
  std::vector<Entry> entries;
  std::vector<Problem> problems;  // lines without '=', NUL bytes, lines over 4096 bytes
};

// Never throws. Accepts CRLF and a missing last newline, and a UTF-8 byte order mark.
ParsedFile parse_key_values(std::string_view text);

// How a key's value is to be handled.
enum class ValueKind {
  kPlain,       // an empty value stands for the default
  kMayBeEmpty,  // an empty value is one
  kSecret,      // as kPlain; not repeated in messages, and wiped
};

// One key of a configuration: its documentation and how a value is stored. The table of these drives parsing,
// the list of allowed values in errors, and the test that the man page has every key.
template <typename Config>
struct Key {
  std::string_view name;
  std::string_view allowed;        // what a person may write: "yes or no", "0 to 64"
  std::string_view default_value;  // as text
  // Returns false when the value is not allowed; the config is then unchanged.
  std::function<bool(Config&, const std::string& value)> set;
  ValueKind kind = ValueKind::kPlain;
};

// Parses numbers and words the same way everywhere. nullopt-like: false leaves `out` unchanged.
bool parse_number(std::string_view text, long low, long high, long& out);
bool parse_yes_no(std::string_view text, bool& out);
std::string lower_case(std::string_view text);
// The parts of a list, which blanks or commas separate.
std::vector<std::string_view> split_list(std::string_view text);
// 1 to 64 letters, digits, "_" and "-": no path.
bool is_template_name(std::string_view text);

// The whole file, at most `limit` bytes. Errors are those of the system (no_such_file_or_directory, ...);
// file_too_large over the limit.
boost::system::result<std::string> read_file(const std::string& path, std::size_t limit = 1 << 20);

}  // namespace sixlink::config
