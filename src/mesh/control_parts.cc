// SPDX-License-Identifier: BSD-3-Clause
#include "src/mesh/control_parts.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "src/mesh/control_message.h"
#include "src/tsp/rudp.h"

namespace sixlink::mesh {
namespace {

constexpr std::string_view kPart = "PART ";
constexpr std::size_t kLongestHead = 24;  // "15/15 ", the cookie, the line's end

bool take_number(std::string_view& text, char end, unsigned& value) {
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop == text.data() + text.size() || *stop != end) return false;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()) + 1);
  return value >= 1 && value <= Part::kMost;
}

}  // namespace

std::optional<Part> parse_part(std::string_view text) {
  if (!text.starts_with(kPart)) return std::nullopt;
  text.remove_prefix(kPart.size());
  Part part;
  if (!take_number(text, '/', part.number) || !take_number(text, ' ', part.count) || part.number > part.count)
    return std::nullopt;
  const auto line_end = text.find("\r\n");
  if (line_end == std::string_view::npos) return std::nullopt;
  const auto cookie = parse_hex64(text.substr(0, line_end));
  if (!cookie) return std::nullopt;
  part.cookie = *cookie;
  part.bytes = text.substr(line_end + 2);
  const bool is_whole = part.number < part.count ? part.bytes.size() == Part::kLargest
                                                 : !part.bytes.empty() && part.bytes.size() <= Part::kLargest;
  return is_whole ? std::optional(part) : std::nullopt;
}

std::vector<std::vector<std::uint8_t>> make_parts(std::uint32_t sequence, std::uint32_t timestamp,
                                                  std::uint64_t cookie, std::string_view message) {
  const auto count = (message.size() + Part::kLargest - 1) / Part::kLargest;
  std::vector<std::vector<std::uint8_t>> datagrams;
  if (count == 0 || count > Part::kMost) return datagrams;
  datagrams.reserve(count);
  std::string text;
  text.reserve(kPart.size() + kLongestHead + std::min(message.size(), Part::kLargest));
  for (std::size_t i = 0; i < count; ++i) {
    text.assign(kPart);
    text.append(std::to_string(i + 1))
        .append("/")
        .append(std::to_string(count))
        .append(" ")
        .append(hex64(cookie));
    text.append("\r\n").append(message.substr(i * Part::kLargest, Part::kLargest));
    datagrams.push_back(tsp::make_rudp({sequence, timestamp}, text));
  }
  return datagrams;
}

std::optional<std::string> Reassembler::add(const Path& from, std::uint32_t sequence, const Part& part,
                                            TimePoint now) {
  if (part.count == 1) return std::string(part.bytes);
  auto found = std::ranges::find_if(
      messages_, [&](const Message& one) { return one.sequence == sequence && one.from == from; });
  // One that says now that it has another number of parts is another one.
  if (found != messages_.end() && found->parts.size() != part.count) {
    messages_.erase(found);
    found = messages_.end();
  }
  if (found == messages_.end()) {
    make_room(from, now);
    messages_.push_back({from, sequence, now, part.count, std::vector<std::string>(part.count)});
    found = std::prev(messages_.end());
  }
  auto& place = found->parts[part.number - 1];
  if (place.empty()) {
    place = part.bytes;
    --found->missing;
  }
  if (found->missing != 0) return std::nullopt;
  std::string message;
  for (const auto& one : found->parts) message += one;
  messages_.erase(found);
  return message;
}

void Reassembler::make_room(const Path& from, TimePoint now) {
  std::erase_if(messages_, [&](const Message& one) { return now - one.begun >= kLifetime; });
  const auto is_his = [&](const Message& one) { return one.from == from; };
  if (static_cast<std::size_t>(std::ranges::count_if(messages_, is_his)) >= kMostPerPath)
    messages_.erase(std::ranges::find_if(messages_, is_his));
  else if (messages_.size() >= kMostMessages)
    messages_.erase(messages_.begin());
}

}  // namespace sixlink::mesh
