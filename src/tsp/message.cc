// SPDX-License-Identifier: BSD-3-Clause
// TSP's messages as text.
#include "src/tsp/message.h"

#include <algorithm>
#include <charconv>

#include "src/tsp/status.h"

namespace sixlink::tsp {
namespace {

constexpr std::string_view kContentLength = "Content-length:";

char to_upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

std::string upper(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), to_upper);
  return result;
}

bool starts_with_ignoring_case(std::string_view text, std::string_view start) {
  return text.size() >= start.size() && std::equal(start.begin(), start.end(), text.begin(),
                                                   [](char a, char b) { return to_upper(a) == to_upper(b); });
}

// The first line without its end, and without the NUL that deployed clients append.
std::string_view first_line(std::string_view message) {
  auto line = message.substr(0, message.find('\n'));
  while (!line.empty() && (line.back() == '\r' || line.back() == '\0' || line.back() == ' '))
    line.remove_suffix(1);
  return line;
}

// What follows a line's end may only be the NUL.
bool ends_after_line(std::string_view message) {
  const auto newline = message.find('\n');
  return newline == std::string_view::npos ||
         message.find_first_not_of('\0', newline + 1) == std::string_view::npos;
}

bool contains_upper(const std::vector<std::string>& values, std::string_view name) {
  return std::find(values.begin(), values.end(), name) != values.end();
}

}  // namespace

bool Capabilities::offers_tunnel(std::string_view name) const {
  return contains_upper(tunnels, name);
}
bool Capabilities::offers_auth(std::string_view name) const {
  return contains_upper(auths, name);
}

std::string Capabilities::to_string() const {
  std::string line = "CAPABILITY ";
  for (const auto& tunnel : tunnels) line += "TUNNEL=" + tunnel + " ";
  for (const auto& auth : auths) line += "AUTH=" + auth + " ";
  return line + "\r\n";
}

std::optional<Capabilities> Capabilities::parse(std::string_view line) {
  line = first_line(line);
  if (!starts_with_ignoring_case(line, "CAPABILITY")) return std::nullopt;
  line.remove_prefix(10);
  if (!line.empty() && line.front() != ' ') return std::nullopt;
  Capabilities result;
  while (!line.empty()) {
    const auto end = line.find_first_of(" \t");
    const auto token = line.substr(0, end);
    line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
    // A hostile server must not make us hold thousands of them.
    if (result.tunnels.size() + result.auths.size() >= 64) break;
    if (starts_with_ignoring_case(token, "TUNNEL=")) result.tunnels.push_back(upper(token.substr(7)));
    if (starts_with_ignoring_case(token, "AUTH=")) result.auths.push_back(upper(token.substr(5)));
  }
  return result;
}

std::optional<StatusLine> StatusLine::parse(std::string_view message) {
  const auto newline = message.find('\n');
  const auto line = first_line(message);
  StatusLine status;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), status.code);
  if (error != std::errc{} || status.code < 100 || status.code > 9999) return std::nullopt;
  const auto digits = static_cast<std::size_t>(end - line.data());
  if (digits < line.size() && line[digits] != ' ') return std::nullopt;
  status.text = line.substr(std::min(line.size(), digits + 1));
  if (newline != std::string_view::npos) status.rest = message.substr(newline + 1);
  return status;
}

std::string status_line(int code) {
  return std::to_string(code) + " " + std::string(wire_text(code)) + "\r\n";
}

std::string with_content_length(std::string_view body) {
  return "Content-length: " + std::to_string(body.size()) + "\r\n" + std::string(body);
}

Content parse_content(std::string_view message) {
  Content content;
  if (!starts_with_ignoring_case(message, kContentLength)) return content;
  const auto newline = message.find('\n');
  if (newline == std::string_view::npos) {
    content.state = message.size() > 64 ? Content::State::kBad : Content::State::kIncomplete;
    return content;
  }
  auto number = first_line(message).substr(kContentLength.size());
  number.remove_prefix(std::min(number.find_first_not_of(' '), number.size()));
  std::size_t length = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), length);
  if (number.empty() || error != std::errc{} || end != number.data() + number.size() ||
      length > kLongestContent) {
    content.state = Content::State::kBad;
    return content;
  }
  content.message_size = newline + 1 + length;
  content.body = message.substr(newline + 1, length);
  content.state = content.body.size() == length ? Content::State::kComplete : Content::State::kIncomplete;
  return content;
}

std::optional<std::string_view> parse_version(std::string_view message) {
  const auto line = first_line(message);
  if (!starts_with_ignoring_case(line, "VERSION=") || !ends_after_line(message)) return std::nullopt;
  const auto version = line.substr(8);
  if (version.empty() || version.size() > 16 ||
      version.find_first_not_of("0123456789.") != std::string_view::npos) {
    return std::nullopt;
  }
  return version;
}

std::optional<std::string> parse_authenticate(std::string_view message) {
  const auto line = first_line(message);
  if (!starts_with_ignoring_case(line, "AUTHENTICATE ") || !ends_after_line(message)) return std::nullopt;
  const auto mechanism = line.substr(13);
  const auto is_mechanism_character = [](char c) {
    const char u = to_upper(c);
    return (u >= 'A' && u <= 'Z') || (u >= '0' && u <= '9') || u == '-' || u == '_';
  };
  // RFC 4422 section 3.1: 1 to 20 characters.
  if (mechanism.empty() || mechanism.size() > 20 ||
      !std::all_of(mechanism.begin(), mechanism.end(), is_mechanism_character)) {
    return std::nullopt;
  }
  return upper(mechanism);
}

bool is_login(std::string_view message) {
  const auto mechanism = parse_authenticate(message);
  return mechanism && *mechanism != "ANONYMOUS";
}

std::optional<PlainCredentials> parse_plain(std::string_view message) {
  if (!message.ends_with('\n')) return std::nullopt;
  message.remove_suffix(1);
  if (message.ends_with('\r')) message.remove_suffix(1);
  auto separators = std::count(message.begin(), message.end(), '\0');
  if (separators == 3 && message.starts_with('\0')) {
    message.remove_prefix(1);
    --separators;
  }
  if (separators != 2) return std::nullopt;
  const auto first = message.find('\0');
  const auto second = message.find('\0', first + 1);
  const PlainCredentials credentials{message.substr(first + 1, second - first - 1),
                                     message.substr(second + 1)};
  // To act for another identity (a non-empty authzid that differs) is not offered.
  const auto authorization = message.substr(0, first);
  if (credentials.user.empty() || (!authorization.empty() && authorization != credentials.user))
    return std::nullopt;
  return credentials;
}

bool Framer::append(std::string_view bytes) {
  if (is_broken_ || buffer_.size() + bytes.size() > kLongestContent + 2 * kLongestLine) is_broken_ = true;
  if (!is_broken_) buffer_.append(bytes);
  return !is_broken_;
}

std::size_t Framer::measured_size() {
  const auto extent = expected_.measure(buffer_);
  // What cannot become the message goes to the session as it is, which refuses it with a status.
  auto size = extent.state == Extent::State::kComplete ? extent.size
              : extent.state == Extent::State::kBad    ? buffer_.size()
                                                       : 0;
  // A line end behind it does no harm, when it came along.
  if (size != 0 && std::string_view(buffer_).substr(size).starts_with("\r\n")) size += 2;
  return size;
}

std::size_t Framer::marked_size() {
  // Only the start is compared: a piece of "Content-length:" waits for its newline like any line.
  const Content content = parse_content(buffer_);
  if (content.state == Content::State::kIncomplete) return 0;
  if (content.state == Content::State::kComplete) return content.message_size;
  const auto newline = buffer_.find('\n');
  if (content.state == Content::State::kBad ||
      (newline == std::string::npos ? buffer_.size() : newline) > kLongestLine) {
    is_broken_ = true;  // the next append() tells
    return 0;
  }
  if (newline == std::string::npos) return 0;
  if (side_ == Side::kClient) {
    // A redirection's XML has no length before it; it ends with its root element's line.
    const auto status = StatusLine::parse(std::string_view(buffer_).substr(0, newline + 1));
    if (status && is_redirect(status->code)) {
      const auto close = buffer_.find("</tunnel>", newline + 1);
      if (close == std::string::npos) return 0;
      const auto line_end = buffer_.find('\n', close);
      return line_end == std::string::npos ? buffer_.size() : line_end + 1;
    }
  }
  return newline + 1;
}

std::optional<std::string> Framer::next() {
  if (is_broken_) return std::nullopt;
  if (!expected_.is_plain) buffer_.erase(0, std::min(buffer_.find_first_not_of('\0'), buffer_.size()));
  const auto size = buffer_.empty() ? 0 : expected_.measure ? measured_size() : marked_size();
  if (size == 0) return std::nullopt;
  std::string message = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return message;
}

}  // namespace sixlink::tsp
