// SPDX-License-Identifier: BSD-3-Clause
// The texts of SASL, base64 or plain, and the other line-oriented messages.
#include "src/tsp/digest_md5.h"

#include "src/tsp/message.h"
#include "src/tsp/status.h"
#include "tests/fuzz/entry_points.h"

namespace sixlink::fuzz {
namespace {

void parse(std::string_view text) {
  if (const auto challenge = tsp::DigestChallenge::parse(text)) {
    expect(!challenge->nonce.empty(), "a challenge has a nonce");
    const auto response = tsp::answer_challenge(*challenge, "alice", "s3cret", "tsp/192.0.2.1", "12345");
    const auto again = tsp::DigestResponse::parse(response.to_string());
    expect(again && again->nonce == challenge->nonce && again->realm == challenge->realm &&
               again->response == response.response,
           "a response survives a round trip");
  }
  if (const auto response = tsp::DigestResponse::parse(text)) {
    const auto again = tsp::DigestResponse::parse(response->to_string());
    expect(again && again->to_string() == response->to_string(), "a response survives a round trip");
    expect(tsp::digest_response_value(tsp::Md5{}, *response).size() == 32, "a response is 32 digits");
  }
}

}  // namespace

void digest_md5(Input input) {
  const auto text = text_of(input);
  parse(text);
  if (const auto decoded = tsp::base64_decode(text)) {
    expect(decoded->size() <= text.size(), "decoding does not grow");
    parse(*decoded);
  }
  expect(text.empty() || text.size() > 12000 || tsp::base64_decode(tsp::base64_encode(text)) == text,
         "base64 survives a round trip");

  if (const auto status = tsp::StatusLine::parse(text)) {
    expect(status->code >= 100 && status->code <= 9999, "a status is of three or four digits");
    expect(!tsp::explain_status(status->code, status->text).empty(), "a status can be explained");
  }
  if (const auto credentials = tsp::parse_plain(text)) {
    expect(!credentials->user.empty() && credentials->user.find('\0') == std::string_view::npos,
           "a user has a name without NUL");
  }
  if (const auto mechanism = tsp::parse_authenticate(text))
    expect(!mechanism->empty() && mechanism->size() <= 20, "a mechanism is of 1 to 20 characters");
  if (const auto version = tsp::parse_version(text))
    expect(!version->empty() && version->size() <= 16, "a version is short");
  if (const auto capabilities = tsp::Capabilities::parse(text))
    expect(capabilities->auths.size() + capabilities->tunnels.size() <= 64, "capabilities are bounded");
  const auto content = tsp::parse_content(text);
  if (content.state == tsp::Content::State::kComplete)
    expect(content.message_size <= text.size() && content.body.size() <= tsp::kLongestContent,
           "content lies within its message");
}

}  // namespace sixlink::fuzz

SIXLINK_FUZZ(digest_md5)
