// SPDX-License-Identifier: BSD-3-Clause
#include "src/tsp/passdss.h"

#include <doctest/doctest.h>
#include <openssl/evp.h>

#include <random>

#include "tests/unit/tsp/mutation.h"
#include "tests/unit/tsp/recorded_tunnel.h"

using namespace sixlink;
using namespace sixlink::tsp;
using namespace sixlink::tsp::test;
using namespace std::string_literals;

namespace {

const DsaHostKey& host_key() {
  static const auto key = DsaHostKey::generate();
  REQUIRE(key);
  return *key;
}

// Oakley group 2 as RFC 2409 prints it.
const std::string& group() {
  static const std::string bytes = [] {
    const std::string hex =
        "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
        "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
        "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF";
    std::string result;
    for (std::size_t i = 0; i < hex.size(); i += 2)
      result += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    return result;
  }();
  return bytes;
}

// p - 1 and so on, of the group.
std::string group_plus(int difference) {
  auto bytes = group();
  bytes.back() = static_cast<char>(bytes.back() + difference);
  return bytes;
}

// What the recorded client sent in its n-th message from the third on, without RUDP's header.
std::string recorded_message(const RecordedTunnel& recorded, bool client, std::size_t index) {
  const auto message = recorded.sent_by(client).at(index);
  return recorded.profile.transport == Transport::kRudp ? message.substr(RudpHeader::kSize) : message;
}

std::string hello_of(std::string_view authorization, std::string_view user, std::string_view x) {
  std::string text;
  append_string(text, authorization);
  append_string(text, user);
  append_string(text, x);
  return base64_encode(text);
}

// A broker's message 3, by parts that a test may spoil. It is signed over what it says.
struct Challenge {
  std::string key = host_key().blob();
  std::string y;
  std::string layer = "\1\0\0\0"s;
  std::string type = "ssh-dss";
  std::string after_signature;
  std::string after_all;
  bool spoils_r = false;

  std::string make(std::string_view hello, const pki::Secret& exponent) {
    // The honest server's answer tells Y and how K is made; a spoilt part is put in afterwards.
    PassDssServer server(host_key(), exponent);
    const auto honest = server.on_hello(hello);
    REQUIRE(honest);
    const auto text = base64_decode(*honest);
    WireReader reader(*text);
    (void)reader.string(4096);
    const auto honest_y = std::string(reader.mpint(128).value());
    (void)reader.uint32();
    std::string head;
    append_string(head, key);
    append_string(head, y.empty() ? honest_y : y);
    head += layer;
    WireReader parts(reader.string(4096).value());
    (void)parts.string(7);
    DsaSignature pair{std::string(parts.mpint(32).value()), std::string(parts.mpint(32).value())};
    if (head != text->substr(0, head.size())) {
      // Sign what is sent, so that only the spoilt part is wrong.
      const auto hashed = *base64_decode(hello);
      WireReader client(hashed);
      (void)client.string(300);
      (void)client.string(300);
      const auto base = number_of(client.mpint(128).value());
      const auto power = make_number();
      const NumberContext context(BN_CTX_new());
      BN_mod_exp(power.get(), base.get(), number_of(exponent.reveal()).get(), number_of(group()).get(),
                 context.get());
      const PassDssKeys keys(*power, hashed + head);
      pair = host_key().sign(keys.hash()).value();
    }
    if (spoils_r) pair.r.back() = static_cast<char>(pair.r.back() ^ 1);
    std::string signature;
    append_string(signature, type);
    append_string(signature, pair.r);
    append_string(signature, pair.s);
    signature += after_signature;
    append_string(head, signature);
    return base64_encode(head + after_all) + "\r\n";
  }
};

}  // namespace

TEST_CASE("passdss: the recorded servers' answers and keys come out as recorded") {
  for (const auto& recorded : recorded_passdss_tunnels()) {
    CAPTURE(recorded.name);
    const RecordedHostKey key(recorded);
    PassDssServer server(key, pki::Secret(recorded_secret(recorded.name, "server DH private y")));
    const auto hello = recorded_message(recorded, true, 2);
    const bool is_rudp = recorded.profile.transport == Transport::kRudp;
    CHECK(server.on_hello(hello) == recorded_message(recorded, false, is_rudp ? 2 : 1));
    CHECK(server.user() == "alice");
    const auto answer = recorded_message(recorded, true, 3);
    const auto password = server.on_answer(answer);
    REQUIRE(password);
    CHECK(password->reveal() == "s3cret");
    // Any bit that changed on the way is noticed.
    const auto cipher = *base64_decode(answer);
    for (std::size_t bit = 0; bit < cipher.size() * 8; ++bit) {
      auto spoilt = cipher;
      spoilt[bit / 8] = static_cast<char>(spoilt[bit / 8] ^ (1 << bit % 8));
      const auto result = server.on_answer(base64_encode(spoilt));
      // The last block's padding may change into another valid one only if the MAC still fits.
      CHECK_FALSE(result);
    }
    for (std::size_t size = 0; size < cipher.size(); ++size)
      CHECK_FALSE(server.on_answer(base64_encode(cipher.substr(0, size))));
    CHECK_FALSE(server.on_answer(base64_encode(cipher + std::string(8, '\0'))));
  }
}

TEST_CASE("passdss: the messages' sizes are told from their starts, whatever follows") {
  for (const auto& recorded : recorded_passdss_tunnels()) {
    const RecordedHostKey key(recorded);
    PassDssServer server(key, pki::Secret(recorded_secret(recorded.name, "server DH private y")));
    const auto hello = recorded_message(recorded, true, 2);
    const auto answer = recorded_message(recorded, true, 3);
    using State = Extent::State;
    const auto check = [](const std::string& message, const auto& measure) {
      for (std::size_t size = 0; size < message.size(); ++size)
        CHECK(measure(message.substr(0, size)).state == State::kIncomplete);
      for (const auto* behind : {"", "\r\n", "AAAA", "=", "Content-length: 1\r\n"}) {
        const auto extent = measure(message + behind);
        CHECK(extent.state == State::kComplete);
        CHECK(extent.size == message.size());
      }
    };
    check(hello, [](std::string_view text) { return PassDssServer::measure_hello(text); });
    CHECK(server.measure_answer(answer).state == State::kBad);  // before the keys are known
    REQUIRE(server.on_hello(hello));
    check(answer, [&](std::string_view text) { return server.measure_answer(text); });
    CHECK(server.measure_answer("AAAAAAAAAAAAAAAA").state == State::kBad);
    CHECK(server.measure_answer("AAA\r\n").state == State::kBad);
    CHECK(PassDssServer::measure_hello("VERSION=2.0.2\r\n").state == State::kBad);
    CHECK(PassDssServer::measure_hello("AAAA\r\n").state == State::kBad);
    CHECK(PassDssServer::measure_hello("AAAB////").state == State::kBad);  // a user of 65,535 octets
  }
}

TEST_CASE("passdss: passwords of every length up to the bound arrive") {
  PassDssServer server(host_key(), random_exponent());
  PassDssClient client("alice", random_exponent());
  const auto challenge = server.on_hello(client.hello());
  REQUIRE(challenge);
  REQUIRE(client.on_challenge(*challenge) == "");
  CHECK(client.host_key() == host_key().blob());
  for (std::size_t size = 0; size <= kLongestPassword; size += size < 40 ? 1 : 123) {
    const std::string password(size, 'p');
    const auto answer = client.answer(password);
    CHECK(server.measure_answer(answer).size == answer.size());
    const auto given = server.on_answer(answer);
    REQUIRE(given);
    CHECK(given->reveal() == password);
    CHECK(answer.size() <= kLongestLine);
  }
  CHECK_FALSE(server.on_answer(client.answer(std::string(kLongestPassword + 1, 'p'))));
}

TEST_CASE("passdss: hundreds of exchanges agree, short numbers included") {
  for (int round = 0; round < 300; ++round) {
    PassDssServer server(host_key(), random_exponent());
    PassDssClient client("user" + std::to_string(round), random_exponent());
    const auto challenge = server.on_hello(client.hello());
    REQUIRE(challenge);
    REQUIRE(client.on_challenge(*challenge) == "");
    REQUIRE(server.on_answer(client.answer("pw"))->reveal() == "pw");
  }
  // 2 to the third is a single octet, and so is the secret's exponent.
  PassDssServer server(host_key(), pki::Secret("\3"));
  PassDssClient client("alice", pki::Secret("\5"));
  REQUIRE(client.on_challenge(server.on_hello(client.hello()).value()) == "");
  CHECK(server.on_answer(client.answer("pw")).has_value());
}

TEST_CASE("passdss: the server refuses public values that would make the secret a known one") {
  const auto is_taken = [](const std::string& hello) {
    return PassDssServer(host_key(), random_exponent()).on_hello(hello).has_value();
  };
  CHECK(is_taken(hello_of("", "alice", "\2")));
  CHECK(is_taken(hello_of("", "alice", group_plus(-2))));
  CHECK(is_taken(hello_of("alice", "alice", "\2")));
  for (const auto& x : {""s, "\0"s, "\1"s, group_plus(-1), group(), "\0\2"s, "\0"s + group_plus(-2),
                        std::string(129, '\1'), std::string(4096, '\1')}) {
    CAPTURE(x.size());
    CHECK_FALSE(is_taken(hello_of("", "alice", x)));
  }
  CHECK_FALSE(is_taken(hello_of("", "", "\2")));
  CHECK_FALSE(is_taken(hello_of("root", "alice", "\2")));
  CHECK_FALSE(is_taken(hello_of("", std::string(kLongestUser + 1, 'u'), "\2")));
  CHECK(is_taken(hello_of("", std::string(kLongestUser, 'u'), "\2")));
  const auto good = *base64_decode(hello_of("", "alice", group_plus(-2)));
  for (std::size_t size = 0; size < good.size(); ++size)
    CHECK_FALSE(is_taken(base64_encode(good.substr(0, size))));
  CHECK_FALSE(is_taken(base64_encode(good + "x")));
  CHECK_FALSE(is_taken(base64_encode(std::string(4, '\xff') + good)));
  CHECK_FALSE(is_taken("no base64"));
  CHECK_FALSE(is_taken(""));
}

TEST_CASE("passdss: the client refuses a challenge that is not wholly right") {
  const auto problem = [](const std::function<void(Challenge&)>& spoil) {
    Challenge challenge;
    spoil(challenge);
    PassDssClient client("alice", random_exponent());
    const auto exponent = random_exponent();
    return std::string(client.on_challenge(challenge.make(client.hello(), exponent)));
  };
  CHECK(problem([](Challenge&) {}) == "");
  CHECK(problem([&](Challenge& c) { c.layer = "\3\0\0\0"s; }) == "");  // offers a security layer, too
  CHECK(problem([&](Challenge& c) { c.layer = "\2\0\0\0"s; }).find("encrypted session") != std::string::npos);
  for (const auto& y : {"\1"s, group_plus(-1), group()})
    CHECK(problem([&](Challenge& c) { c.y = y; }).find("Diffie-Hellman") != std::string::npos);
  CHECK(problem([&](Challenge& c) { c.y = "\0"s; }) == "is malformed");
  CHECK(problem([&](Challenge& c) { c.y = "\0\2"s; }) == "is malformed");
  CHECK(problem([&](Challenge& c) { c.y = std::string(129, '\1'); }) == "is malformed");
  CHECK(problem([&](Challenge& c) { c.type = "ssh-rsa"; }) == "is malformed");
  CHECK(problem([&](Challenge& c) { c.after_signature = "x"; }) == "is malformed");
  CHECK(problem([&](Challenge& c) { c.after_all = "x"; }) == "is malformed");
  CHECK(problem([&](Challenge& c) { c.spoils_r = true; }).find("signature") != std::string::npos);
  const auto other = DsaHostKey::generate();
  REQUIRE(other);
  CHECK(problem([&](Challenge& c) { c.key = other->blob(); }).find("signature") != std::string::npos);
  CHECK(problem([&](Challenge& c) { c.key = host_key().blob() + "x"; }).find("host key") !=
        std::string::npos);
  CHECK(problem([&](Challenge& c) { c.key = "ssh-dss"; }).find("host key") != std::string::npos);
  CHECK(problem([&](Challenge& c) { c.key = std::string(4096, 'k'); }) == "is malformed");
}

TEST_CASE("passdss: every bit of the challenge is covered by the signature or checked") {
  PassDssServer server(host_key(), random_exponent());
  PassDssClient client("alice", random_exponent());
  const auto challenge = *base64_decode(server.on_hello(client.hello()).value());
  for (std::size_t bit = 0; bit < challenge.size() * 8; bit += 3) {
    auto spoilt = challenge;
    spoilt[bit / 8] = static_cast<char>(spoilt[bit / 8] ^ (1 << bit % 8));
    CHECK(client.on_challenge(base64_encode(spoilt)) != "");
  }
  for (std::size_t size = 0; size < challenge.size(); size += 5)
    CHECK(client.on_challenge(base64_encode(challenge.substr(0, size))) != "");
  CHECK(client.on_challenge(base64_encode(challenge)) == "");
}

TEST_CASE("host key: survives a round trip through PEM, and signs what others can verify") {
  const auto pem = host_key().to_pem();
  REQUIRE(pem.reveal().starts_with("-----BEGIN PRIVATE KEY-----"));
  const auto again = DsaHostKey::from_pem(pem.reveal());
  REQUIRE(again);
  CHECK(again->blob() == host_key().blob());
  Sha1 digest{};
  digest[0] = 1;
  const auto signature = again->sign(digest);
  REQUIRE(signature);
  CHECK(is_signed_by(host_key().blob(), digest, *signature));
  digest[19] ^= 1;
  CHECK_FALSE(is_signed_by(host_key().blob(), digest, *signature));
  digest[19] ^= 1;
  CHECK_FALSE(is_signed_by(host_key().blob(), digest, {"", signature->s}));
  CHECK_FALSE(is_signed_by(host_key().blob(), digest, {signature->r, ""}));
  CHECK_FALSE(is_signed_by(host_key().blob(), digest, {std::string(32, '\xff'), signature->s}));
  CHECK_FALSE(is_signed_by("", digest, *signature));
  CHECK(host_key_fingerprint(host_key().blob()).size() == 7 + 43);
  CHECK(host_key_fingerprint(host_key().blob()) == host_key_fingerprint(again->blob()));
}

TEST_CASE("host key: what is no usable key is refused") {
  for (const auto* text : {"", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"})
    CHECK_FALSE(DsaHostKey::from_pem(text));
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> other(
      EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"), &EVP_PKEY_free);
  REQUIRE(other);

  WireReader reader(host_key().blob());
  (void)reader.string(7);
  const std::string p(reader.mpint(384).value());
  const std::string q(reader.mpint(32).value());
  const std::string g(reader.mpint(384).value());
  const std::string y(reader.mpint(384).value());
  CHECK(p.size() == 128);
  CHECK(q.size() == 20);
  const auto blob = [](const std::string& type, const std::string& a, const std::string& b,
                       const std::string& c, const std::string& d) {
    std::string bytes;
    for (const auto& part : {type, a, b, c, d}) append_string(bytes, part);
    return bytes;
  };
  auto even_p = p;
  even_p.back() = static_cast<char>(even_p.back() & ~1);
  auto p_minus_one = p;
  p_minus_one.back() = static_cast<char>(p_minus_one.back() - 1);
  CHECK(is_host_key(blob("ssh-dss", p, q, g, y)));
  CHECK_FALSE(is_host_key(blob("ssh-rsa", p, q, g, y)));
  CHECK_FALSE(is_host_key(blob("ssh-dss", "\0"s + p, q, g, y)));
  CHECK_FALSE(is_host_key(blob("ssh-dss", even_p, q, g, y)));
  CHECK_FALSE(is_host_key(blob("ssh-dss", p.substr(1), q, g, y)));
  CHECK_FALSE(is_host_key(blob("ssh-dss", std::string(385, '\xff'), q, g, y)));
  CHECK_FALSE(is_host_key(blob("ssh-dss", std::string(100000, '\xff'), q, g, y)));
  CHECK_FALSE(is_host_key(blob("ssh-dss", p, q + "\1", g, y)));
  CHECK_FALSE(is_host_key(blob("ssh-dss", p, p, g, y)));
  for (const auto& bad : {""s, "\0"s, "\1"s, p, p_minus_one}) {
    CHECK_FALSE(is_host_key(blob("ssh-dss", p, q, g, bad)));
    if (bad != p_minus_one) CHECK_FALSE(is_host_key(blob("ssh-dss", p, q, bad, y)));
  }
  // Not of order q: 2 hardly ever is.
  CHECK_FALSE(is_host_key(blob("ssh-dss", p, q, g, "\2")));
  CHECK_FALSE(is_host_key(blob("ssh-dss", p, q, g, y) + "x"));
  const auto good = blob("ssh-dss", p, q, g, y);
  for (std::size_t size = 0; size < good.size(); ++size) CHECK_FALSE(is_host_key(good.substr(0, size)));
}

TEST_CASE("host key: the recorded brokers' key, with a q of 224 bits, is accepted") {
  for (const auto& recorded : recorded_passdss_tunnels()) {
    const RecordedHostKey key(recorded);
    CHECK(is_host_key(key.blob()));
    WireReader reader(key.blob());
    (void)reader.string(7);
    (void)reader.mpint(384);
    CHECK(reader.mpint(32).value().size() == 28);
  }
}

TEST_CASE("passdss: mutated messages never get past either side") {
  std::mt19937 random(0xD55);
  const auto exponent = random_exponent();
  PassDssClient client("alice", random_exponent());
  PassDssServer server(host_key(), exponent);
  const auto challenge = server.on_hello(client.hello()).value();
  PassDssClient honest("alice", random_exponent());
  for (int round = 0; round < 1000; ++round) {
    const auto spoilt = mutated(challenge, random);
    if (base64_decode(spoilt) != base64_decode(challenge)) CHECK(client.on_challenge(spoilt) != "");
    PassDssServer other(host_key(), exponent);
    (void)other.on_hello(mutated(client.hello(), random));
    (void)PassDssServer::measure_hello(mutated(client.hello(), random));
  }
  REQUIRE(client.on_challenge(challenge) == "");
  const auto answer = client.answer("s3cret");
  for (int round = 0; round < 1000; ++round) {
    const auto spoilt = mutated(answer, random);
    (void)server.measure_answer(spoilt);
    if (base64_decode(spoilt) != base64_decode(answer)) CHECK_FALSE(server.on_answer(spoilt));
  }
  CHECK(server.on_answer(answer).has_value());
}
