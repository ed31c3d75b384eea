// SPDX-License-Identifier: BSD-3-Clause
// TSP's messages as text: RFC 5572 section 4, with the spellings that deployed clients and servers need
// (man/sixlink-tsp.7). Splitting a TCP stream into messages is here too. No I/O; every size is bounded.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sixlink::tsp {

// Our own bounds. Deployed replies stay below 4,096 bytes; requests are a few hundred.
inline constexpr std::size_t kLongestLine = 2048;
inline constexpr std::size_t kLongestContent = 8192;
// RFC 5572 section 4.4.1: what a client offers, newest first.
inline constexpr std::string_view kVersions[] = {"2.0.2", "2.0.1", "2.0.0", "1.0.1"};

struct Capabilities {
  std::vector<std::string> tunnels;  // upper case: "V6UDPV4"
  std::vector<std::string> auths;    // upper case: "DIGEST-MD5"

  bool offers_tunnel(std::string_view name) const;
  bool offers_auth(std::string_view name) const;
  // "CAPABILITY TUNNEL=... AUTH=... \r\n": every token is followed by a space (deployed clients need it).
  std::string to_string() const;
  // nullopt unless the line begins with CAPABILITY. Unknown tokens are ignored.
  static std::optional<Capabilities> parse(std::string_view line);
};

struct StatusLine {
  int code = 0;
  std::string text;
  std::string_view rest;  // what follows the line, a view into the parsed message

  static std::optional<StatusLine> parse(std::string_view message);
};
// "200 Success\r\n"
std::string status_line(int code);

// "Content-length: N\r\n" + body
std::string with_content_length(std::string_view body);

// The body of a message that begins with Content-length.
struct Content {
  enum class State { kNone, kIncomplete, kComplete, kBad };
  State state = State::kNone;    // kNone: no Content-length there; kBad: not a number or over the bound
  std::string_view body;         // what is there of it
  std::size_t message_size = 0;  // header line and body together, once the header line is complete
};
Content parse_content(std::string_view message);

// "VERSION=2.0.2\r\n" gives "2.0.2".
std::optional<std::string_view> parse_version(std::string_view message);
// "AUTHENTICATE DIGEST-MD5\r\n" and an optional NUL give "DIGEST-MD5" in upper case.
std::optional<std::string> parse_authenticate(std::string_view message);

// AUTHENTICATE with a method that needs a password.
bool is_login(std::string_view message);

struct PlainCredentials {
  std::string_view user;
  std::string_view password;
};
// "\0user\0password\r\n" (RFC 4616), with one more leading NUL when the one that ends AUTHENTICATE was not
// read with it.
std::optional<PlainCredentials> parse_plain(std::string_view message);

// Where a message without an end mark ends, told from its start.
struct Extent {
  enum class State { kIncomplete, kComplete, kBad };
  State state = State::kIncomplete;
  std::size_t size = 0;  // kComplete
};

// Cuts a TCP stream into messages by their content, whatever the segments are.
class Framer {
 public:
  enum class Side { kServer, kClient };  // kServer: reads what clients send
  // What the next message is, where its content alone does not tell.
  struct Expectation {
    bool is_plain = false;                            // PLAIN's credentials: a leading NUL has a meaning
    std::function<Extent(std::string_view)> measure;  // a message without an end mark; empty: none
  };
  explicit Framer(Side side) : side_(side) {}

  // False: the stream cannot become valid any more (a bound was exceeded); drop the connection.
  [[nodiscard]] bool append(std::string_view bytes);
  // The next whole message, with its line end; nullopt: more bytes are needed.
  std::optional<std::string> next();
  // Server side: to be said before each next().
  void expect(Expectation expected) { expected_ = std::move(expected); }

 private:
  // The size of the message at the buffer's start; 0: more bytes are needed.
  std::size_t measured_size();
  std::size_t marked_size();

  Side side_;
  Expectation expected_;
  bool is_broken_ = false;
  std::string buffer_;
};

}  // namespace sixlink::tsp
