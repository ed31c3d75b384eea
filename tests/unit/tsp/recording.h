// SPDX-License-Identifier: BSD-3-Clause
// Reads tests/recordings/*.txt: whole TSP sessions of deployed clients and servers as hex dumps. An entry is
// a line
// `[seconds] C>S RUDP from 10.99.0.2:41375 (23 bytes)` and its bytes below it, 16 a line.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace sixlink::tsp::test {

struct RecordedEntry {
  enum class Kind { kRudp, kTcp, kData };
  bool is_from_client = false;
  Kind kind = Kind::kRudp;
  std::string bytes;  // RUDP: with the 8-byte header
};
// Of one client socket, in order.
using RecordedSession = std::vector<RecordedEntry>;

inline const std::vector<std::string>& recording_names() {
  static const std::vector<std::string> names{"anonymous-rudp", "anonymous-tcp",  "digest-md5-rudp",
                                              "digest-md5-tcp", "passdss-rudp",   "passdss-tcp",
                                              "plain-rudp",     "plain-tcp",      "proxy-v6v4-rudp",
                                              "redirect-rudp",  "router-56-rudp", "wrong-password-rudp"};
  return names;
}

// A secret of the recorded server: "server DH private y" in "[0.485]    server DH private y = d34a.."
inline std::string recorded_secret(const std::string& name, const std::string& what) {
  std::ifstream file("tests/recordings/" + name + ".txt");
  for (std::string line; std::getline(file, line);) {
    const auto at = line.find(what + " = ");
    if (at == std::string::npos) continue;
    auto hex = line.substr(at + what.size() + 3);
    if (hex.size() % 2 != 0) hex.insert(0, "0");
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
      bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    return bytes;
  }
  throw std::runtime_error("the recording " + name + " does not tell \"" + what + "\"");
}

// The sessions of a recording, in the order in which they began. Throws std::runtime_error on a file that is
// not one.
inline std::vector<RecordedSession> load_recording(const std::string& name) {
  const auto path = "tests/recordings/" + name + ".txt";
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + ": cannot be read; run the tests from the source tree's root");
  std::vector<RecordedSession> sessions;
  std::map<std::string, std::size_t> by_client;
  std::size_t session = 0;
  std::size_t promised = 0;
  RecordedEntry* entry = nullptr;
  const auto check_size = [&] {
    if (entry && entry->bytes.size() != promised)
      throw std::runtime_error(path + ": an entry has not the size that it names");
  };
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("    ") && entry) {
      for (std::size_t at = 10; at + 1 < line.size() && at < 10 + 16 * 3 && line[at] != ' '; at += 3) {
        entry->bytes += static_cast<char>(std::stoi(line.substr(at, 2), nullptr, 16));
      }
      continue;
    }
    check_size();
    entry = nullptr;
    const auto arrow = line.find("] ");
    if (arrow == std::string::npos) continue;
    const auto rest = line.substr(arrow + 2);
    const bool is_from_client = rest.starts_with("C>S ");
    if (!is_from_client && !rest.starts_with("S>C ")) continue;
    const auto kind = rest.substr(4, rest.find(' ', 4) - 4);
    const auto size = rest.find('(');
    if (size == std::string::npos) throw std::runtime_error(path + ": an entry without its size");
    if (is_from_client) {
      const auto from = rest.find("from ");
      const auto client = rest.substr(from, size - from);
      const auto [position, is_new] = by_client.try_emplace(client, sessions.size());
      if (is_new) sessions.emplace_back();
      session = position->second;
    }
    promised = std::stoul(rest.substr(size + 1));
    const auto entry_kind = kind == "TCP"    ? RecordedEntry::Kind::kTcp
                            : kind == "DATA" ? RecordedEntry::Kind::kData
                                             : RecordedEntry::Kind::kRudp;
    sessions.at(session).push_back({is_from_client, entry_kind, {}});
    entry = &sessions[session].back();
  }
  check_size();
  return sessions;
}

// What both sides negotiated, without the tunnel's packets behind it.
inline RecordedSession negotiation_of(const RecordedSession& session) {
  RecordedSession result;
  for (const auto& entry : session) {
    if (entry.kind != RecordedEntry::Kind::kData) result.push_back(entry);
  }
  return result;
}

}  // namespace sixlink::tsp::test
