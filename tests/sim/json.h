// SPDX-License-Identifier: BSD-3-Clause
// One object of JSON, written in the order in which its members are added.
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace sixlink::sim {

// Text of ours: nothing in it needs to be escaped but quotation marks and backslashes.
inline std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

class JsonObject {
 public:
  template <typename T>
  requires std::is_arithmetic_v<T> JsonObject& add(std::string_view name, T value) {
    if constexpr (std::is_same_v<T, bool>) return add_raw(name, value ? "true" : "false");
    if constexpr (std::is_integral_v<T>) return add_raw(name, std::to_string(value));
    char text[40];
    std::snprintf(text, sizeof text, "%.6g", static_cast<double>(value));
    return add_raw(name, text);
  }
  template <typename T>
  JsonObject& add(std::string_view name, const std::optional<T>& value) {
    return value ? add(name, *value) : add_raw(name, "null");
  }
  template <typename T>
  JsonObject& add(std::string_view name, const std::vector<T>& values) {
    std::string text;
    for (const auto& value : values) text += (text.empty() ? "" : ",") + std::to_string(value);
    return add_raw(name, "[" + text + "]");
  }
  JsonObject& add(std::string_view name, std::string_view text) { return add_raw(name, quoted(text)); }
  JsonObject& add(std::string_view name, const JsonObject& object) {
    return add_raw(name, object.to_string());
  }
  JsonObject& add_raw(std::string_view name, std::string_view json) {
    text_ += (text_.empty() ? "\"" : ",\"") + std::string(name) + "\":" + std::string(json);
    return *this;
  }
  std::string to_string() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

}  // namespace sixlink::sim
