// SPDX-License-Identifier: BSD-3-Clause
// Loads a configuration: its file's lines through the table of keys, every mistake told at once.
#pragma once

#include <boost/system/error_code.hpp>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/config/key_value.h"
#include "src/pki/secret.h"

namespace sixlink::config {

template <typename Config>
struct Loaded {
  std::optional<Config> config;   // only without problems
  std::vector<Problem> problems;  // every mistake, not only the first
  std::vector<Problem> warnings;  // "not yet supported", an exposed password, a key given twice
};

// Where each key of a file stands, and what is wrong with the file.
class KeyReport {
 public:
  // `problems`: what parse_key_values() found.
  explicit KeyReport(std::vector<Problem> problems) : problems_(std::move(problems)) {}

  // The last line on which the key was given; 0 when it was not.
  int line_of(std::string_view key) const;
  bool is_given(std::string_view key) const { return line_of(key) != 0; }
  // Given, and not with the empty value that stands for the default.
  bool has_value(std::string_view key) const;
  // A value that was refused left its default behind: what that breaks is not the user's second mistake.
  bool is_refused(std::string_view key) const;

  // At the key's line.
  void problem(std::string_view key, std::string message);
  void warning(std::string_view key, std::string message);

  // At the entry, whose key may be an older name.
  void problem(const Entry& entry, std::string message);
  void warning(const Entry& entry, std::string message);

  // For the walk: `entry` stands for the table's key `name`. Warns when that was given before.
  void given(const Entry& entry, std::string_view name, bool has_value);
  void refused(const Entry& entry, std::string_view name, ValueKind kind, std::string_view allowed);

  // By line, where one has none first.
  std::vector<Problem> take_problems();
  std::vector<Problem> take_warnings();

 private:
  struct Given {
    int line = 0;
    bool has_value = false;
    bool is_refused = false;
  };
  const Given* find(std::string_view key) const;

  std::map<std::string, Given, std::less<>> given_;
  std::vector<Problem> problems_;
  std::vector<Problem> warnings_;
};

// Names the known key that was probably meant, else the manual page ("sixlink.conf(5)").
std::string unknown_key_message(std::string_view name, const std::vector<std::string_view>& known,
                                std::string_view manual);

// One load. It begins with every key's default; the caller gives it the entries, makes its own checks between
// the keys on config() and report(), and takes the result.
template <typename Config>
class TableLoader {
 public:
  TableLoader(const std::vector<Key<Config>>& keys, std::string_view manual, std::vector<Problem> problems)
      : keys_(keys), manual_(manual), report_(std::move(problems)) {
    for (const auto& key : keys_) {
      if (!key.default_value.empty()) key.set(config_, std::string(key.default_value));
    }
  }

  Config& config() { return config_; }
  KeyReport& report() { return report_; }

  void take(Entry& entry) { take(entry, entry.key); }
  // `name`: the key's name in the table. A secret value is wiped from the entry.
  void take(Entry& entry, std::string_view name) {
    const auto* key = find(name);
    if (key == nullptr) {
      report_.problem(entry, unknown_key_message(entry.key, names(), manual_));
      return;
    }
    const bool use_default = entry.value.empty() && key->kind != ValueKind::kMayBeEmpty;
    const std::string default_value(key->default_value);
    report_.given(entry, name, !use_default);
    if (!key->set(config_, use_default ? default_value : entry.value)) {
      report_.refused(entry, name, key->kind, key->allowed);
    }
    if (key->kind == ValueKind::kSecret) pki::wipe(entry.value);
  }

  Loaded<Config> finish() {
    Loaded<Config> result{std::nullopt, report_.take_problems(), report_.take_warnings()};
    if (result.problems.empty()) result.config = std::move(config_);
    return result;
  }

 private:
  const Key<Config>* find(std::string_view name) const {
    for (const auto& key : keys_) {
      if (key.name == name) return &key;
    }
    return nullptr;
  }
  std::vector<std::string_view> names() const {
    std::vector<std::string_view> all;
    for (const auto& key : keys_) all.push_back(key.name);
    return all;
  }

  const std::vector<Key<Config>>& keys_;
  std::string_view manual_;
  KeyReport report_;
  Config config_;
};

// Why a configuration cannot be read. `remedy` says how to get one where there is none.
std::string cannot_read_message(const boost::system::error_code& error, std::string_view remedy);

// Reads the file for `parse`; one that cannot be read is a problem. The text is wiped: it may hold a
// password.
template <typename Parse>
auto load_file(const std::string& path, std::string_view remedy, const Parse& parse)
    -> decltype(parse(path, std::string_view())) {
  auto text = read_file(path);
  if (!text) return {std::nullopt, {{0, {}, cannot_read_message(text.error(), remedy)}}, {}};
  auto result = parse(path, *text);
  pki::wipe(*text);
  return result;
}

}  // namespace sixlink::config
