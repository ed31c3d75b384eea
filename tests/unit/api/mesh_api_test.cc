// SPDX-License-Identifier: BSD-3-Clause
#include "registry/api/mesh_api.h"

#include <doctest/doctest.h>
#include <spdlog/sinks/null_sink.h>

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <set>

#include "src/mesh/signed_contact.h"
#include "src/tsp/digest_md5.h"
#include "tests/unit/ca/registrar.h"

using namespace sixlink;
using namespace sixlink::registry;
using namespace sixlink::test;
using std::chrono::seconds;

namespace {

std::string base64(const std::vector<std::uint8_t>& bytes) {
  return tsp::base64_encode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

struct Api {
  RegistrarParts parts;
  ContactDirectory contacts{*parts.registrar};
  spdlog::logger log{"test", std::make_shared<spdlog::sinks::null_sink_mt>()};
  MeshApi::TimePoint now{std::chrono::hours(1000)};
  std::vector<std::string> mails;
  bool takes_mail = true;
  MeshApi api;
  boost::asio::ip::address from = boost::asio::ip::make_address("192.0.2.1");

  explicit Api(MeshApiSettings settings = {50, 200, true, 3})
      : api(*parts.registrar, contacts, settings, log,
            {[this] {
               return MeshApi::Times{now, kNow + (now - MeshApi::TimePoint(std::chrono::hours(1000)))};
             },
             [this](const std::string& to, const std::string& line) {
               if (takes_mail) mails.push_back(to + " " + line);
               return takes_mail;
             }}) {}

  // The answer, if it came at once.
  std::shared_ptr<std::optional<HttpResponse>> begin(const std::string& method, const std::string& target,
                                                     const std::string& body = "",
                                                     const std::vector<std::uint8_t>& certificate = {}) {
    auto answer = std::make_shared<std::optional<HttpResponse>>();
    api.handle(std::make_shared<HttpRequest>(HttpRequest{method, target, body, from, 4000, certificate}),
               [answer](HttpResponse response) {
                 REQUIRE_FALSE(*answer);
                 *answer = std::move(response);
               });
    return answer;
  }
  HttpResponse ask(const std::string& method, const std::string& target, const std::string& body = "",
                   const std::vector<std::uint8_t>& certificate = {}) {
    const auto answer = begin(method, target, body, certificate);
    REQUIRE(*answer);
    return **answer;
  }
  std::string join_body(const pki::PrivateKey& key, const std::string& token) {
    return boost::json::serialize(
        boost::json::object{{"request", request_of(key).to_pem()}, {"token", token}});
  }
};

struct JoinedNode {
  pki::PrivateKey key = pki::PrivateKey::generate();
  Issued issued;
  std::vector<std::uint8_t> der;

  explicit JoinedNode(Api& api) : issued(api.parts.join(key)), der(issued.certificate.to_der()) {}

  std::string contact_body(std::uint64_t sequence = 1) const {
    mesh::Contact contact;
    contact.prefix = issued.prefix;
    contact.key.bytes[0] = 1;
    contact.sequence = sequence;
    contact.expires = kNow + std::chrono::hours(1);
    contact.software = "test 1";
    const auto document = mesh::sign_contact(contact, issued.certificate, key).der;
    return "{\"contact\":\"" + base64(document) + "\"}";
  }
};

std::string code_of(const HttpResponse& response) {
  const auto value = boost::json::parse(response.body);
  return std::string(value.at("error").at("code").get_string());
}

}  // namespace

TEST_CASE("mesh api: joins with a token, once, and says why not otherwise") {
  Api api;
  const auto key = pki::PrivateKey::generate();
  const auto token = api.parts.token();
  const auto answer = api.ask("POST", "/v1/certificates", api.join_body(key, token));
  CHECK(answer.status == 201);
  const auto value = boost::json::parse(answer.body);
  CHECK(value.at("prefix").get_string() == "2001:db8:42:1::/64");
  CHECK(pki::Certificate::parse_pem(value.at("certificate").get_string()));
  CHECK_FALSE(value.at("parameters").get_string().empty());
  CHECK(api.ask("POST", "/v1/certificates", api.join_body(key, token)).body == answer.body);
  CHECK(code_of(api.ask("POST", "/v1/certificates", api.join_body(pki::PrivateKey::generate(), token))) ==
        "token_used");
  CHECK(code_of(api.ask("POST", "/v1/certificates", "{\"request\":\"nonsense\",\"token\":\"x\"}")) ==
        "bad_certificate_request");
  for (const char* body : {"", "[]", "{", "null", "{\"request\":5}"})
    CHECK(api.ask("POST", "/v1/certificates", body).status >= 400);
}

TEST_CASE("mesh api: paths, methods and who may") {
  Api api;
  const JoinedNode node(api);
  CHECK(api.ask("GET", "/").status == 404);
  CHECK(api.ask("GET", "/v1/contacts/").status == 404);
  // Nothing that is no UTF-8, nor a line's end, comes into an answer or the log.
  for (const char* path : {"/v1/admin/tokens/%ff", "/v1/contacts/a%0ab", "/%00"})
    CHECK(code_of(api.ask("DELETE", path)) == "bad_request");
  CHECK(code_of(api.ask("\xff", "/v1/ca")) == "unsupported_method");
  CHECK(api.ask("DELETE", "/v1/ca").status == 405);
  CHECK(api.ask("GET", "/v1/ca").status == 200);
  CHECK(boost::json::parse(api.ask("GET", "/v1/address").body).at("address").get_string() == "192.0.2.1");
  for (const char* path : {"/v1/parameters", "/v1/contacts", "/v1/node", "/v1/admin/nodes"})
    CHECK(code_of(api.ask("GET", path)) == "certificate_missing");
  CHECK(code_of(api.ask("GET", "/v1/node", "", {1, 2, 3})) == "certificate_refused");
  CHECK(api.ask("GET", "/v1/node", "", node.der).status == 200);
  CHECK(code_of(api.ask("GET", "/v1/admin/nodes", "", node.der)) == "certificate_refused");
}

TEST_CASE("mesh api: openapi.yaml describes what there is, and nothing else") {
  std::ifstream file("registry/api/openapi.yaml");
  std::set<std::string> described;
  std::string path;
  bool is_in_paths = false;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(' ')) is_in_paths = line == "paths:";
    const auto text = line.substr(std::min(line.size(), line.find_first_not_of(' ')));
    const auto indent = line.size() - text.size();
    if (!is_in_paths || !text.ends_with(':')) continue;
    if (indent == 2) path = text.substr(0, std::min(text.find('{'), text.size() - 1));
    if (indent == 2 && text.find('{') != std::string::npos) path += '*';
    if (indent != 4) continue;
    auto method = text.substr(0, text.size() - 1);
    std::ranges::transform(method, method.begin(), [](char c) { return static_cast<char>(c - 'a' + 'A'); });
    described.insert(method + " " + path);
  }
  const auto requests = MeshApi::requests();
  CHECK(requests.size() == 20);
  CHECK(described == std::set<std::string>(requests.begin(), requests.end()));
}

TEST_CASE("mesh api: contacts are the node's own, newer ones, of nodes that live") {
  Api api;
  const JoinedNode one(api);
  const JoinedNode two(api);
  CHECK(api.ask("PUT", "/v1/contact", one.contact_body(5), one.der).status == 200);
  CHECK(code_of(api.ask("PUT", "/v1/contact", one.contact_body(4), one.der)) == "old_contact");
  CHECK(code_of(api.ask("PUT", "/v1/contact", one.contact_body(6), two.der)) == "bad_request");
  CHECK(code_of(api.ask("PUT", "/v1/contact", "{\"contact\":\"AAAA\"}", one.der)) == "bad_request");
  const auto contacts = [&](const JoinedNode& node) {
    return boost::json::parse(api.ask("GET", "/v1/contacts?count=9", "", node.der).body)
        .at("contacts")
        .get_array()
        .size();
  };
  CHECK(contacts(one) == 0);
  CHECK(contacts(two) == 1);
  const auto path = "/v1/contacts/" + one.issued.prefix.to_string();
  CHECK(api.ask("GET", path, "", two.der).status == 200);
  CHECK(api.ask("GET", "/v1/contacts/2001:db8:42:1::%2f64", "", two.der).status == 200);
  CHECK(api.ask("GET", "/v1/contacts/2001:db8:42:9::/64", "", two.der).status == 404);
  CHECK(api.ask("GET", "/v1/contacts/nonsense", "", two.der).status == 400);
  // Silent for an hour, though its contact has not expired.
  api.now += std::chrono::minutes(59);
  CHECK(contacts(two) == 1);
  CHECK(api.contacts.flush(kNow + std::chrono::minutes(59)).empty());
  api.now += std::chrono::minutes(1);
  CHECK(contacts(two) == 0);
  CHECK(api.ask("DELETE", "/v1/contact", "", one.der).status == 204);
  CHECK(api.ask("GET", path, "", two.der).status == 404);
}

TEST_CASE("mesh api: whoever waits for newer parameters is told of a revocation at once") {
  Api api;
  const JoinedNode one(api);
  const JoinedNode two(api);
  const auto version = std::to_string(api.parts.registrar->parameters().version);
  const auto target = "/v1/parameters?newer_than=" + version;
  CHECK(api.ask("GET", "/v1/parameters", "", one.der).status == 200);
  CHECK(api.ask("GET", "/v1/parameters?newer_than=1", "", one.der).status == 200);
  CHECK(api.ask("GET", target + "&wait=0", "", one.der).status == 204);
  const auto first = api.begin("GET", target, "", one.der);
  const auto second = api.begin("GET", target, "", one.der);
  // A node has one such request; the older one ends.
  REQUIRE(*first);
  CHECK((*first)->status == 204);
  CHECK_FALSE(*second);
  CHECK(api.api.held() == 1);
  const auto third = api.begin("GET", target + "&wait=5", "", two.der);
  api.now += seconds(6);
  api.api.tick();
  REQUIRE(*third);
  CHECK((*third)->status == 204);
  CHECK_FALSE(*second);
  REQUIRE(api.parts.registrar->revoke(two.issued.prefix.to_string(), kNow));
  api.api.on_parameters();
  REQUIRE(*second);
  CHECK((*second)->status == 200);
  CHECK(boost::json::parse((*second)->body).at("version").to_number<std::uint64_t>() ==
        api.parts.registrar->parameters().version);
  CHECK(code_of(api.ask("GET", "/v1/parameters", "", two.der)) == "revoked");
}

TEST_CASE("mesh api: not more requests are held than it may hold") {
  Api api;
  const auto target =
      "/v1/parameters?newer_than=" + std::to_string(api.parts.registrar->parameters().version);
  std::vector<std::shared_ptr<std::optional<HttpResponse>>> waiting;
  for (int i = 0; i < 3; ++i) waiting.push_back(api.begin("GET", target, "", JoinedNode(api).der));
  for (const auto& one : waiting) CHECK_FALSE(*one);
  const auto refused = api.ask("GET", target, "", JoinedNode(api).der);
  CHECK(refused.status == 204);
  CHECK(refused.retry_after > seconds(0));
}

TEST_CASE("mesh api: introduces a node to one that waits") {
  Api api;
  const JoinedNode one(api);
  const JoinedNode two(api);
  const auto body = "{\"prefix\":\"" + two.issued.prefix.to_string() + "\"}";
  CHECK(code_of(api.ask("POST", "/v1/introductions", body, one.der)) == "old_contact");
  api.ask("PUT", "/v1/contact", one.contact_body(), one.der);
  CHECK(code_of(api.ask("POST", "/v1/introductions", body, one.der)) == "not_found");
  api.ask("PUT", "/v1/contact", two.contact_body(), two.der);
  CHECK_FALSE(
      boost::json::parse(api.ask("POST", "/v1/introductions", body, one.der).body).at("told").get_bool());
  const auto waiting = api.begin(
      "GET", "/v1/parameters?newer_than=" + std::to_string(api.parts.registrar->parameters().version), "",
      two.der);
  CHECK_FALSE(*waiting);
  CHECK(boost::json::parse(api.ask("POST", "/v1/introductions", body, one.der).body).at("told").get_bool());
  REQUIRE(*waiting);
  CHECK(boost::json::parse((*waiting)->body).at("introductions").get_array().size() == 1);
}

TEST_CASE("mesh api: guessing is slow, floods are refused, and others are served") {
  Api api;
  const auto key = pki::PrivateKey::generate();
  const auto guess = api.join_body(key, std::string(32, 'a'));
  for (unsigned i = 0; i <= FailureBackoff::kFree; ++i)
    CHECK(code_of(api.ask("POST", "/v1/certificates", guess)) == "token_unknown");
  const auto refused = api.ask("POST", "/v1/certificates", api.join_body(key, api.parts.token()));
  CHECK(refused.status == 429);
  CHECK(refused.retry_after > seconds(0));
  api.from = boost::asio::ip::make_address("192.0.2.2");
  CHECK(api.ask("POST", "/v1/certificates", api.join_body(key, api.parts.token())).status == 201);
  int served = 0;
  for (int i = 0; i < 3000; ++i) served += api.ask("GET", "/v1/address").status == 200 ? 1 : 0;
  CHECK(served >= 900);
  CHECK(served <= 1000);
  api.from = boost::asio::ip::make_address("192.0.2.3");
  CHECK(api.ask("GET", "/v1/address").status == 200);
}

TEST_CASE("mesh api: whoever finds the network full does not wait as one who guesses") {
  Api api;
  api.parts.join(pki::PrivateKey::generate(), 49);
  const auto key = pki::PrivateKey::generate();
  for (unsigned i = 0; i < FailureBackoff::kFree + 3; ++i)
    CHECK(code_of(api.ask("POST", "/v1/certificates", api.join_body(key, api.parts.token(49)))) ==
          "no_prefix_left");
  CHECK(api.ask("POST", "/v1/certificates", api.join_body(key, api.parts.token())).status == 201);
}

TEST_CASE("mesh api: sends tokens by e-mail, not too many") {
  Api api;
  CHECK(code_of(api.ask("POST", "/v1/tokens/email", R"({"email":"a@example.net\r\nBcc: b@example.net"})")) ==
        "bad_request");
  CHECK(api.ask("POST", "/v1/tokens/email", R"({"email":"a@example.net"})").status == 202);
  REQUIRE(api.mails.size() == 1);
  CHECK(api.mails[0].starts_with("a@example.net sixlink join https://registry.example.net/ --token "));
  // The same mailbox again: the answer does not tell, and nothing is sent.
  CHECK(api.ask("POST", "/v1/tokens/email", R"({"email":"A@Example.net"})").status == 202);
  CHECK(api.mails.size() == 1);
  int sent = 0;
  for (int i = 0; i < 10; ++i)
    sent += api.ask("POST", "/v1/tokens/email", "{\"email\":\"a" + std::to_string(i) + "@example.net\"}")
                .status == 202;
  CHECK(sent == 3);
  Api without({50, 200, false, 3});
  CHECK(code_of(without.ask("POST", "/v1/tokens/email", R"({"email":"a@example.net"})")) == "not_allowed");
}

TEST_CASE("mesh api: administrators make tokens and revoke") {
  Api api;
  const JoinedNode node(api);
  const auto made = api.parts.registrar->make_administrator("operator", std::chrono::hours(24 * 365), kNow);
  REQUIRE(made);
  // DER of the PEM, as the TLS handshake gives it.
  const auto& pem = made->identity->certificate_pem;
  std::string text;
  for (std::size_t at = pem.find('\n') + 1; pem[at] != '-'; ++at) {
    if (pem[at] != '\n') text += pem[at];
  }
  const auto bytes = tsp::base64_decode(text);
  REQUIRE(bytes);
  const std::vector<std::uint8_t> der(bytes->begin(), bytes->end());
  CHECK(boost::json::parse(api.ask("GET", "/v1/admin/nodes", "", der).body).at("nodes").get_array().size() ==
        1);
  const auto token = api.ask("POST", "/v1/admin/tokens", R"({"prefix_length":60,"expires_in":60})", der);
  CHECK(token.status == 201);
  const auto id = std::string(boost::json::parse(token.body).at("id").get_string());
  CHECK(api.ask("DELETE", "/v1/admin/tokens/" + id, "", der).status == 200);
  CHECK(api.ask("DELETE", "/v1/admin/tokens/" + id, "", der).status == 404);
  CHECK(api.ask("POST", "/v1/admin/tokens", R"({"prefix_length":4})", der).status == 400);
  CHECK(api.ask("POST", "/v1/admin/tokens", R"({"expires_in":99999999999})", der).status == 400);
  CHECK(api.ask("GET", "/v1/admin/addresses?who=a%20node", "", der).body.find("2001:db8:42:1::1") !=
        std::string::npos);
  CHECK(api.ask("GET", "/v1/admin/topology?format=dot", "", der).body.starts_with("graph mesh {"));
  const auto revoked = api.ask("POST", "/v1/admin/revocations", R"({"who":"2001:db8:42:1::/64"})", der);
  CHECK(revoked.status == 200);
  CHECK(code_of(api.ask("GET", "/v1/node", "", node.der)) == "revoked");
}
