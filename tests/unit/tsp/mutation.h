// SPDX-License-Identifier: BSD-3-Clause
// Spoils recorded messages at random, from a seed that the test names.
#pragma once

#include <random>
#include <string>
#include <utility>
#include <vector>

namespace sixlink::tsp::test {

inline std::string mutated(std::string bytes, std::mt19937& random) {
  static const std::string kPieces[] = {"\r\n",
                                        std::string(1, '\0'),
                                        "<",
                                        ">",
                                        "\"",
                                        "'",
                                        "&",
                                        "=",
                                        ",",
                                        "</tunnel>",
                                        "<tunnel>",
                                        "<![CDATA[",
                                        "<!--",
                                        "]]>",
                                        "Content-length: ",
                                        "-1",
                                        "99999999999",
                                        "%n%s",
                                        "\xff\xfe",
                                        "200 Success\r\n",
                                        "1200 x\r\n",
                                        "\\",
                                        "::",
                                        "0"};
  const auto position = [&] { return bytes.empty() ? 0 : random() % bytes.size(); };
  for (auto changes = 1 + random() % 4; changes > 0; --changes) {
    const auto at = position();
    switch (random() % 7) {
      case 0:
        if (!bytes.empty()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
        break;
      case 1:
        if (!bytes.empty()) bytes[at] = static_cast<char>(random());
        break;
      case 2:
        bytes.insert(at, kPieces[random() % std::size(kPieces)]);
        break;
      case 3:
        bytes.erase(at, 1 + random() % 16);
        break;
      case 4:
        bytes.resize(at);
        break;
      case 5:
        bytes.insert(at, bytes.substr(position(), random() % 64));
        break;
      case 6:
        bytes.append(random() % 32, static_cast<char>(random()));
        break;
    }
  }
  return bytes;
}

// Spoils, drops, doubles or swaps some messages of a session.
inline std::vector<std::string> mutated(std::vector<std::string> messages, std::mt19937& random) {
  for (auto changes = 1 + random() % 3; changes > 0 && !messages.empty(); --changes) {
    const auto at = random() % messages.size();
    const auto position = messages.begin() + static_cast<std::ptrdiff_t>(at);
    switch (random() % 6) {
      case 0:
        messages.erase(position);
        break;
      case 1:
        messages.insert(position, std::string(messages[at]));
        break;
      case 2:
        std::swap(messages[at], messages[random() % messages.size()]);
        break;
      default:
        messages[at] = mutated(std::move(messages[at]), random);
        break;
    }
  }
  return messages;
}

}  // namespace sixlink::tsp::test
