// SPDX-License-Identifier: BSD-3-Clause
// Setters for tables of keys, for the kinds of values that both configurations have. `member` is a pointer to
// a member of the configuration, or a function that takes the configuration and returns a reference.
#pragma once

#include <functional>
#include <string>
#include <type_traits>

#include "src/config/key_value.h"

namespace sixlink::config {

template <typename Member>
auto yes_no(Member member) {
  return [member](auto& config, const std::string& value) {
    return parse_yes_no(value, std::invoke(member, config));
  };
}

// Also for seconds.
template <typename Member>
auto number(Member member, long low, long high) {
  return [member, low, high](auto& config, const std::string& value) {
    long parsed = 0;
    if (!parse_number(value, low, high, parsed)) return false;
    auto& out = std::invoke(member, config);
    out = static_cast<std::remove_reference_t<decltype(out)>>(parsed);
    return true;
  };
}

// Of the datapath: 0 is auto.
template <typename Member>
auto threads(Member member) {
  return [member](auto& config, const std::string& value) {
    long parsed = 0;
    if (lower_case(value) != "auto" && !parse_number(value, 1, 64, parsed)) return false;
    std::invoke(member, config) = static_cast<int>(parsed);
    return true;
  };
}
inline constexpr std::string_view kThreads = "auto or 1 to 64";

// Of the datapath: false is off.
template <typename Member>
auto offload(Member member) {
  return [member](auto& config, const std::string& value) {
    const auto word = lower_case(value);
    std::invoke(member, config) = word == "auto";
    return word == "auto" || word == "off";
  };
}
inline constexpr std::string_view kOffload = "auto or off";

// NAME of template/NAME.sh.
template <typename Member>
auto template_name(Member member) {
  return [member](auto& config, const std::string& value) {
    if (!is_template_name(value)) return false;
    std::invoke(member, config) = value;
    return true;
  };
}
inline constexpr std::string_view kTemplateNames =
    "a name of letters, digits, \"_\" and \"-\": template/NAME.sh";

}  // namespace sixlink::config
