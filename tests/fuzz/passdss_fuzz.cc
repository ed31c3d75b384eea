// SPDX-License-Identifier: BSD-3-Clause
// PASSDSS-3DES-1's messages on either side, base64 or plain, host keys, and the file of known ones.
#include "src/tsp/passdss.h"

#include "src/client/known_hosts.h"
#include "tests/fuzz/entry_points.h"
#include "tests/fuzz/fixture.h"

namespace sixlink::fuzz {
namespace {

void parse(std::string_view message) {
  static const RecordedKey key;
  static const pki::Secret exponent(tsp::test::recorded_secret("passdss-rudp", "server DH private y"));
  const auto extent = tsp::PassDssServer::measure_hello(message);
  if (extent.state == tsp::Extent::State::kComplete)
    expect(extent.size > 0 && extent.size <= message.size() && extent.size < tsp::kLongestLine,
           "a message's size is within what is there");
  tsp::PassDssServer server(key, exponent);
  expect(!server.on_answer(message), "nobody answers what was not asked");
  if (const auto challenge = server.on_hello(message)) {
    expect(!server.user().empty() && server.user().size() <= tsp::kLongestUser, "a user has a name");
    expect(challenge->size() < 4096, "a reply is smaller than deployed clients' buffer");
    expect(tsp::base64_decode(*challenge).has_value(), "a challenge is base64");
    const auto answer = server.measure_answer(message);
    expect(answer.state != tsp::Extent::State::kComplete || answer.size <= message.size(),
           "a message's size is within what is there");
    (void)server.on_answer(message);
  }
  // A session whose answer the seeds have.
  static tsp::PassDssServer asked = [] {
    tsp::PassDssServer made(key, exponent);
    const auto sessions = tsp::test::load_recording("passdss-rudp");
    for (const auto& entry : sessions.at(0)) {
      if (entry.is_from_client && made.on_hello(entry.bytes.substr(8))) break;
    }
    return made;
  }();
  if (const auto password = asked.on_answer(message))
    expect(password->reveal() == "s3cret", "only the client that has the key can say a password");
  (void)asked.measure_answer(message);
  static tsp::PassDssClient client("alice", pki::Secret(kClientExponent));
  expect(!client.on_challenge(message).empty(), "no forged challenge is sound");
}

}  // namespace

void passdss(Input input) {
  const auto text = text_of(input);
  parse(text);
  // As what stands in a message.
  if (text.size() <= 3000) parse(tsp::base64_encode(text));
  if (tsp::is_host_key(text)) expect(!tsp::host_key_fingerprint(text).empty(), "a key has a fingerprint");
  const auto lines = client::parse_known_hosts(text);
  for (const auto& entry : lines.entries)
    expect(tsp::is_host_key(entry.key) && !entry.server.empty(), "a line that is used has all it needs");
}

}  // namespace sixlink::fuzz

SIXLINK_FUZZ(passdss)
