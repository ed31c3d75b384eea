// SPDX-License-Identifier: BSD-3-Clause
// Takes a command line apart.
#include "src/config/option_parser.h"

#include <algorithm>
#include <utility>

namespace sixlink::config {
namespace {

OptionParser::Event error(std::string text) {
  return {OptionParser::Kind::kError, nullptr, {}, std::move(text)};
}

}  // namespace

std::optional<OptionParser::Event> OptionParser::next() {
  if (!joined_.empty()) return take_short();
  if (next_ < arguments_.size() && !only_words_ && arguments_[next_] == "--") {
    only_words_ = true;
    ++next_;
  }
  if (next_ == arguments_.size()) return std::nullopt;
  const std::string& argument = arguments_[next_++];
  if (!only_words_ && argument.starts_with("--")) return take_long(argument);
  if (!only_words_ && argument.size() > 1 && argument.front() == '-') {
    joined_ = std::string_view(argument).substr(1);
    return take_short();
  }
  return Event{Kind::kWord, nullptr, {}, argument};
}

OptionParser::Event OptionParser::take_long(const std::string& argument) {
  const auto equals = argument.find('=');
  std::string name = argument.substr(0, equals);
  const auto spec = std::find_if(specs_.begin(), specs_.end(), [&](const OptionSpec& one) {
    return one.long_name == std::string_view(name).substr(2);
  });
  if (spec == specs_.end()) return error("unknown option " + name);
  if (equals == std::string::npos) return take_value(*spec, std::move(name));
  if (spec->argument.empty()) return error("option " + name + " takes no argument");
  return {Kind::kOption, &*spec, std::move(name), argument.substr(equals + 1)};
}

OptionParser::Event OptionParser::take_short() {
  std::string name = {'-', joined_.front()};
  const OptionSpec* spec = find_short(joined_.front());
  joined_.remove_prefix(1);
  if (spec == nullptr) {
    joined_ = {};
    return error("unknown option " + name);
  }
  if (spec->argument.empty() || joined_.empty()) return take_value(*spec, std::move(name));
  return {Kind::kOption, spec, std::move(name), std::string(std::exchange(joined_, {}))};
}

OptionParser::Event OptionParser::take_value(const OptionSpec& spec, std::string name) {
  if (spec.argument.empty()) return {Kind::kOption, &spec, std::move(name), {}};
  if (next_ == arguments_.size()) {
    return error("option " + name + " needs an argument: " + std::string(spec.argument));
  }
  return {Kind::kOption, &spec, std::move(name), arguments_[next_++]};
}

const OptionSpec* OptionParser::find_short(char name) const {
  for (const OptionSpec& spec : specs_) {
    const bool is_help = also_help_ != 0 && name == also_help_ && spec.long_name == "help";
    if ((spec.short_name != 0 && spec.short_name == name) || is_help) return &spec;
  }
  return nullptr;
}

std::string help_line(std::string_view names, std::string_view help) {
  constexpr std::size_t kColumn = 30;
  std::string line(names);
  line.resize(std::max(line.size() + 2, kColumn), ' ');
  return line.append(help) + "\n";
}

std::string help_line(const OptionSpec& spec) {
  std::string names = spec.short_name != 0 ? std::string("  -") + spec.short_name + ", --" : "      --";
  names += spec.long_name;
  if (!spec.argument.empty()) names += " " + std::string(spec.argument);
  return help_line(names, spec.help);
}

}  // namespace sixlink::config
