// SPDX-License-Identifier: BSD-3-Clause
#include "src/tsp/digest_md5.h"

#include <doctest/doctest.h>

#include <random>

using namespace sixlink::tsp;
using namespace std::string_literals;

namespace {

DigestResponse example(const char* nonce, const char* cnonce, const char* uri) {
  DigestResponse fields;
  fields.user = "chris";
  fields.realm = "elwood.innosoft.com";
  fields.nonce = nonce;
  fields.cnonce = cnonce;
  fields.nonce_count = "00000001";
  fields.digest_uri = uri;
  return fields;
}

}  // namespace

TEST_CASE("digest: RFC 2831 section 4, the values of the IMAP and the ACAP example") {
  const auto ha1 = digest_ha1("chris", "elwood.innosoft.com", "secret");
  const auto imap = example("OA6MG9tEQGm2hh", "OA6MHXh6VqTrRk", "imap/elwood.innosoft.com");
  CHECK(digest_response_value(ha1, imap) == "d388dad90d4bbd760a152321f2143af7");
  CHECK(digest_rspauth_value(ha1, imap) == "ea40f60335c427b5527b84dbabcdfffd");
  const auto acap = example("OA9BSXrbuRhWay", "OA9BSuZWMSpW8m", "acap/elwood.innosoft.com");
  CHECK(digest_response_value(ha1, acap) == "6084c6db3fede7352c551284490fd0fc");
  CHECK(digest_rspauth_value(ha1, acap) == "2f0b3d7c3c2e486600ef710726aa2eae");
}

TEST_CASE("digest: RFC 2831 section 4, the messages of the IMAP example are understood") {
  const auto challenge = DigestChallenge::parse(
      "realm=\"elwood.innosoft.com\",nonce=\"OA6MG9tEQGm2hh\",qop=\"auth\",algorithm=md5-sess,charset=utf-8");
  REQUIRE(challenge);
  CHECK(challenge->nonce == "OA6MG9tEQGm2hh");
  CHECK(answer_challenge(*challenge, "chris", "secret", "imap/elwood.innosoft.com", "OA6MHXh6VqTrRk")
            .response == "d388dad90d4bbd760a152321f2143af7");
  const auto response = DigestResponse::parse(
      "charset=utf-8,username=\"chris\",realm=\"elwood.innosoft.com\",nonce=\"OA6MG9tEQGm2hh\",nc=00000001,"
      "cnonce=\"OA6MHXh6VqTrRk\","
      "digest-uri=\"imap/elwood.innosoft.com\",response=d388dad90d4bbd760a152321f2143af7,qop=auth");
  REQUIRE(response);
  CHECK(response->user == "chris");
  CHECK(digest_response_value(digest_ha1("chris", "elwood.innosoft.com", "secret"), *response) ==
        response->response);
}

TEST_CASE("digest: the recorded session's values") {
  const DigestChallenge challenge{"peertest", "ef0d2c81222a9b6f"};
  CHECK(challenge.to_string() ==
        "realm=\"peertest\",nonce=\"ef0d2c81222a9b6f\",qop=\"auth\",algorithm=md5-sess,charset=utf-8");
  const auto response = answer_challenge(challenge, "alice", "s3cret", "tsp/10.99.0.1", "1795323005");
  CHECK(response.to_string() ==
        "charset=utf-8,username=\"alice\",realm=\"peertest\",nonce=\"ef0d2c81222a9b6f\",nc=00000001,cnonce="
        "\"1795323005\","
        "digest-uri=\"tsp/10.99.0.1\",response=a5bab9a6a06f8fedb50e37cb52667993,qop=auth");
  CHECK(digest_rspauth_value(digest_ha1("alice", "peertest", "s3cret"), response) ==
        "5afc62a02c04b528e268f29c471a963d");
}

TEST_CASE("digest: challenges that cannot be answered are refused") {
  for (const char* text :
       {"", "nonce=\"n\"", "realm=\"r\",algorithm=md5-sess", "nonce=\"\",algorithm=md5-sess",
        "nonce=\"n\",algorithm=md5", "nonce=\"n\",algorithm=md5-sess,qop=\"auth-int\"",
        "nonce=\"n\",algorithm=md5-sess,qop=\"auth-conf\"", "nonce=\"n\",nonce=\"m\",algorithm=md5-sess",
        "nonce=\"n\",algorithm=md5-sess,algorithm=md5-sess", "nonce=\"n,algorithm=md5-sess", "nonce=\"n\\",
        "nonce", "=x", "nonce=\"n\" algorithm=md5-sess"}) {
    CAPTURE(text);
    CHECK_FALSE(DigestChallenge::parse(text));
  }
  CHECK_FALSE(DigestChallenge::parse("nonce=\"n\0m\",algorithm=md5-sess"s));
  CHECK_FALSE(DigestChallenge::parse("nonce=\"" + std::string(600, 'n') + "\",algorithm=md5-sess"));
}

TEST_CASE("digest: spaces, other orders and unknown directives in a challenge are accepted") {
  const auto challenge = DigestChallenge::parse(
      " algorithm=md5-sess , maxbuf=65536, stale=false,, qop=\"auth,auth-int\" , nonce=\"n\\\"q\", "
      "realm=\"a\", realm=\"b\" \r\n");
  REQUIRE(challenge);
  CHECK(challenge->realm == "a");
  CHECK(challenge->nonce == "n\"q");
  CHECK(DigestChallenge::parse("nonce=\"n\",algorithm=md5-sess,qop=\"auth-int, auth\""));
}

TEST_CASE("digest: malformed responses are refused") {
  const auto good = answer_challenge({"peertest", "n"}, "alice", "s3cret", "tsp/h", "1").to_string();
  REQUIRE(DigestResponse::parse(good));
  for (std::size_t size = 0; size < good.size(); ++size) {
    const auto cut = DigestResponse::parse(good.substr(0, size));
    // Only qop, the last directive, may be missing.
    if (cut) CHECK(size >= good.find(",qop"));
  }
  for (const auto& [from, to] :
       {std::pair("nc=00000001", "nc=1"), std::pair("nc=00000001", "nc=0000000g"),
        std::pair("qop=auth", "qop=auth-int"), std::pair("cnonce=\"1\"", "cnonce=\"\""),
        std::pair("response=", "response=x"), std::pair("username=", "username=\"bob\",username=")}) {
    auto bad = good;
    bad.replace(bad.find(from), std::string(from).size(), to);
    CAPTURE(bad);
    CHECK_FALSE(DigestResponse::parse(bad));
  }
}

TEST_CASE("digest: names with quotes and backslashes survive the round trip") {
  const auto sent = answer_challenge({"r\\e\"alm", "n"}, "al\"ice\\", "s3cret", "tsp/h", "1");
  const auto read = DigestResponse::parse(sent.to_string());
  REQUIRE(read);
  CHECK(read->user == "al\"ice\\");
  CHECK(read->realm == "r\\e\"alm");
  CHECK(read->response == sent.response);
}

TEST_CASE("base64: RFC 4648 section 10, both ways") {
  for (const auto& [plain, coded] :
       {std::pair("f", "Zg=="), std::pair("fo", "Zm8="), std::pair("foo", "Zm9v"),
        std::pair("foob", "Zm9vYg=="), std::pair("fooba", "Zm9vYmE="), std::pair("foobar", "Zm9vYmFy")}) {
    CHECK(base64_encode(plain) == coded);
    CHECK(base64_decode(coded) == plain);
    CHECK(base64_decode(std::string(coded) + "\r\n\0"s) == plain);
  }
  CHECK(base64_encode("") == "");
}

TEST_CASE("base64: what is not base64 is refused") {
  for (const auto& text : {""s, "\r\n"s, "Zg"s, "Zg="s, "Zg==Zg=="s, "Z==="s, "===="s, "Zm 9"s, "Zm9\n"s,
                           "Zm9v\r\nZm9v"s, "Zm9\0"s, "Zm9-"s, "Zg==x"s, "%%%%"s, std::string(16388, 'A')}) {
    CAPTURE(text);
    CHECK_FALSE(base64_decode(text));
  }
}

TEST_CASE("base64: any bytes survive the round trip") {
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes(1 + random() % 100, '\0');
    for (auto& c : bytes) c = static_cast<char>(random());
    REQUIRE(base64_decode(base64_encode(bytes)) == bytes);
  }
}
