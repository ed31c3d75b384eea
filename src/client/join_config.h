// SPDX-License-Identifier: BSD-3-Clause
// What `sixlink join` writes into sixlink.conf, which may be an administrator's, with everything else in it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sixlink::client {

using ConfigSettings = std::vector<std::pair<std::string, std::string>>;

struct UpdatedConfig {
  std::optional<std::string> text;  // or
  std::string problem;              // why the file cannot become a node's, and what to do
};
// The file's text with these settings: in place of lines that set the key, else behind the sample's commented
// line, else at the end. All else stays as it is, but the sample's broker, which is commented out.
UpdatedConfig update_config(std::string_view text, const ConfigSettings& settings);

// Empty: the file says so now, or did before. A symbolic link is followed; the mode of an existing file
// stays.
std::string write_config(const std::string& path, const std::string& text);

}  // namespace sixlink::client
