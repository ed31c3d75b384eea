// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/registry_api.h"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>

#include "src/config/small_file.h"
#include "src/tsp/digest_md5.h"
#include "tests/unit/client/fake_registry.h"
#include "tests/unit/pki/mesh_certificates.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::client;
using test::FakeRegistry;

namespace {

namespace json = boost::json;

pki::Authority make_authority(const char* network = "2001:db8:42::/48") {
  return pki::Authority::create(*net::Prefix::parse(network), "a mesh", FakeRegistry::validity());
}

void put(const std::string& path, std::string_view text) {
  REQUIRE_FALSE(config::write_small_file(path, text, config::Existing::kReplace));
}

std::string ca_answer(const pki::Authority& authority) {
  return json::serialize(json::object{
      {"authorities", json::array{authority.certificate().to_pem()}}, {"anonymous", true}, {"email", false}});
}

// Runs one call to its end.
template <typename T, typename Start>
ApiResult<T> call(boost::asio::io_context& io, Start start) {
  std::optional<ApiResult<T>> answer;
  start([&](ApiResult<T> result) { answer = std::move(result); });
  io.restart();
  while (!answer && io.run_one_for(std::chrono::seconds(10)) > 0) {
  }
  REQUIRE(answer);
  return *std::move(answer);
}

struct Setting {
  test::TemporaryDirectory directory;
  pki::Authority authority = make_authority();
  boost::asio::io_context io{1};

  RegistryApiSettings settings(const FakeRegistry& registry) const {
    RegistryApiSettings settings;
    settings.url = registry.url();
    settings.connect_limit = std::chrono::seconds(3);
    settings.answer_limit = std::chrono::seconds(5);
    return settings;
  }
  RegistryApiSettings pinned(const FakeRegistry& registry) const {
    auto made = settings(registry);
    made.ca_path = directory.file("ca.pem");
    put(made.ca_path, authority.certificate().to_pem());
    return made;
  }
  ApiResult<RegistryIntroduction> ca(RegistryApiSettings with) {
    RegistryApi api(io, std::move(with));
    return call<RegistryIntroduction>(io, [&](auto handler) { api.ca(std::move(handler)); });
  }
};

}  // namespace

TEST_CASE("registry_api: the authority's certificate is fetched, whoever answers, where nothing is known") {
  Setting test;
  FakeRegistry registry(test.authority, "127.0.0.1", [&](const auto&) {
    return FakeRegistry::Answer{200, ca_answer(test.authority), "", false};
  });
  const auto result = test.ca(test.settings(registry));
  REQUIRE(result);
  CHECK(result.value->authorities.front() == test.authority.certificate());
  CHECK(result.value->allows_anonymous);
  CHECK_FALSE(result.value->sends_email);
  CHECK(registry.requests().at(0).path == "/v1/ca");
}

TEST_CASE("registry_api: with a fingerprint nothing is sent to another") {
  Setting test;
  FakeRegistry registry(test.authority, "127.0.0.1", [&](const auto&) {
    return FakeRegistry::Answer{200, ca_answer(test.authority), "", false};
  });
  auto settings = test.settings(registry);
  settings.fingerprint = make_authority().certificate().fingerprint();
  const auto refused = test.ca(settings);
  CHECK_FALSE(refused);
  CHECK(refused.error.kind == ApiFailure::kNotTrusted);
  CHECK(refused.error.text.find("Nothing was sent") != std::string::npos);
  CHECK(refused.error.text.find(test.authority.certificate().fingerprint()) != std::string::npos);
  CHECK(registry.connections() == 1);
  CHECK(registry.requests().empty());
  settings.fingerprint = test.authority.certificate().fingerprint();
  CHECK(test.ca(settings));
  CHECK(registry.requests().size() == 1);
}

TEST_CASE("registry_api: the server must be the authority's, for the host of the URL") {
  Setting test;
  const auto answer = [&](const auto&) {
    return FakeRegistry::Answer{200, ca_answer(test.authority), "", false};
  };
  {
    FakeRegistry registry(test.authority, "127.0.0.1", answer);
    CHECK(test.ca(test.pinned(registry)));
  }
  {
    const auto foreign = make_authority();
    FakeRegistry registry(foreign, "127.0.0.1", answer);
    const auto refused = test.ca(test.pinned(registry));
    CHECK(refused.error.kind == ApiFailure::kNotTrusted);
    CHECK(refused.error.text.find("is not this mesh's registry") != std::string::npos);
    CHECK(registry.requests().empty());
  }
  {
    FakeRegistry registry(test.authority, "other.example.net", answer);
    const auto refused = test.ca(test.pinned(registry));
    CHECK(refused.error.kind == ApiFailure::kNotTrusted);
    CHECK(refused.error.text.find("not for the name 127.0.0.1") != std::string::npos);
    CHECK(registry.requests().empty());
  }
}

TEST_CASE("registry_api: a node cannot answer in the registry's place") {
  Setting test;
  // The subject is the node's own choice.
  auto key = pki::PrivateKey::generate();
  const auto certificate =
      test.authority.issue(test::request_of(key, "127.0.0.1"), *net::Prefix::parse("2001:db8:42:7::/64"), 7,
                           FakeRegistry::validity());
  REQUIRE(certificate);
  FakeRegistry registry({certificate->to_pem(), key.to_pem(), {}, {}}, test.authority.certificate(),
                        [&](const auto&) {
                          return FakeRegistry::Answer{200, ca_answer(test.authority), "", false};
                        });
  auto settings = test.pinned(registry);
  CHECK(test.ca(settings).error.kind == ApiFailure::kNotTrusted);
  settings.ca_path.clear();
  settings.fingerprint = test.authority.certificate().fingerprint();
  CHECK(test.ca(settings).error.kind == ApiFailure::kNotTrusted);
  CHECK(registry.requests().empty());
}

TEST_CASE("registry_api: an expired server is told with this machine's clock") {
  Setting test;
  const auto now = std::chrono::system_clock::now();
  const auto old = pki::Authority::create(*net::Prefix::parse("2001:db8:42::/48"), "old",
                                          {now - std::chrono::hours(100), now - std::chrono::hours(1)});
  FakeRegistry registry(registry::make_server_identity(
                            old, {"127.0.0.1"}, {now - std::chrono::hours(99), now - std::chrono::hours(2)}),
                        old.certificate(), [](const auto&) { return FakeRegistry::Answer{}; });
  auto settings = test.settings(registry);
  settings.fingerprint = old.certificate().fingerprint();
  const auto refused = test.ca(settings);
  CHECK(refused.error.kind == ApiFailure::kNotTrusted);
  CHECK(refused.error.text.find("has expired, by this machine's clock") != std::string::npos);
}

TEST_CASE("registry_api: enrolment sends token and request, and takes what is well formed") {
  Setting test;
  auto key = pki::PrivateKey::generate();
  const auto request = test::request_of(key);
  const auto certificate =
      test.authority.issue(request, *net::Prefix::parse("2001:db8:42:7::/64"), 7, FakeRegistry::validity());
  json::object answer{{"certificate", certificate->to_pem()},
                      {"prefix_v4", "203.0.113.16/28"},
                      {"parameters", tsp::base64_encode("signed")}};
  FakeRegistry registry(test.authority, "127.0.0.1", [&](const FakeRegistry::Request&) {
    return FakeRegistry::Answer{201, json::serialize(answer), "", false};
  });
  RegistryApi api(test.io, test.pinned(registry));
  const auto enrol = [&] {
    Enrolment enrolment;
    enrolment.request_pem = request.to_pem();
    enrolment.token = pki::Secret("s3cret");
    return call<Enrolled>(test.io,
                          [&](auto handler) { api.enrol(std::move(enrolment), std::move(handler)); });
  };
  const auto result = enrol();
  REQUIRE(result);
  CHECK(result.value->certificate == *certificate);
  CHECK(result.value->prefix_v4 == net::PrefixV4::parse("203.0.113.16/28"));
  CHECK(std::string(result.value->parameters.begin(), result.value->parameters.end()) == "signed");
  const auto sent = registry.requests().at(0);
  CHECK(sent.method == "POST");
  CHECK(sent.path == "/v1/certificates");
  const auto body = json::parse(sent.body).as_object();
  CHECK(body.at("token") == "s3cret");
  CHECK(body.at("request").as_string() == request.to_pem());
  CHECK_FALSE(body.contains("anonymous"));

  for (const auto& [field, value] :
       {std::pair{"certificate", "no certificate"}, std::pair{"prefix_v4", "203.0.113.17/28"},
        std::pair{"parameters", "?"}}) {
    CAPTURE(field);
    const auto before = answer;
    answer[field] = value;
    const auto refused = enrol();
    CHECK_FALSE(refused);
    CHECK(refused.error.kind == ApiFailure::kBadAnswer);
    answer = before;
  }
  CHECK(enrol());
}

TEST_CASE("registry_api: refusals are told in the registry's words, made fit for a terminal") {
  Setting test;
  FakeRegistry::Answer answer;
  FakeRegistry registry(test.authority, "127.0.0.1", [&](const auto&) { return answer; });
  const auto ask = [&] { return test.ca(test.pinned(registry)); };
  answer = {
      409,
      R"({"error":{"code":"token_used","message":"the token was\u001b[2J used","hint":"ask for another"}})",
      "", false};
  auto result = ask();
  CHECK(result.error.kind == ApiFailure::kRefused);
  CHECK(result.error.status == 409);
  CHECK(result.error.code == "token_used");
  CHECK(result.error.text.find("ask for another") != std::string::npos);
  CHECK(result.error.text.find('\033') == std::string::npos);
  answer = {429, R"({"error":{"code":"too_many_requests","message":"m","hint":"h"}})", "Retry-After: 17\r\n",
            false};
  result = ask();
  CHECK(result.error.kind == ApiFailure::kLater);
  CHECK(result.error.retry_after == std::chrono::seconds(17));
  answer = {503, "no JSON", "", false};
  CHECK(ask().error.kind == ApiFailure::kLater);
  answer = {404, "", "", false};
  CHECK(ask().error.text.find("is it the registry's URL") != std::string::npos);
  // Not followed: it would lead to where nobody was asked whether he is believed.
  answer = {302, "", "Location: https://127.0.0.1:1/\r\n", false};
  CHECK(ask().error.kind == ApiFailure::kRefused);
}

TEST_CASE("registry_api: hostile answers are survived, and the next good one is taken") {
  Setting test;
  FakeRegistry::Answer answer;
  FakeRegistry registry(test.authority, "127.0.0.1", [&](const auto&) { return answer; });
  RegistryApi api(test.io, test.pinned(registry));
  const auto ask = [&] {
    return call<RegistryIntroduction>(test.io, [&](auto handler) { api.ca(std::move(handler)); });
  };
  const std::string nested = std::string(100000, '[');
  for (const auto& body :
       {std::string(), std::string("[]"), std::string("null"), nested, std::string("{\"authorities\":7}"),
        std::string("{\"authorities\":[7]}"), std::string("{\"authorities\":[]}"),
        std::string("{\"authorities\":[\"\"]}"), std::string(2 << 20, 'x')}) {
    CAPTURE(body.substr(0, 40));
    answer = {200, body, "", false};
    const auto result = ask();
    CHECK_FALSE(result);
    CHECK(result.error.kind == ApiFailure::kBadAnswer);
  }
  answer = {200, "", "", true};
  CHECK(ask().error.kind == ApiFailure::kUnreachable);
  answer = {200, ca_answer(test.authority), "", false};
  CHECK(ask());
}

TEST_CASE("registry_api: nobody there") {
  Setting test;
  std::string url;
  {
    FakeRegistry registry(test.authority, "127.0.0.1", [](const auto&) { return FakeRegistry::Answer{}; });
    url = registry.url();
  }
  RegistryApiSettings settings;
  settings.url = url;
  const auto result = test.ca(settings);
  CHECK(result.error.kind == ApiFailure::kUnreachable);
  CHECK(result.error.status == 0);
  CHECK(result.error.text.find("no connection to " + url) != std::string::npos);
}

TEST_CASE("registry_api: a node shows its certificate, and what it asks and tells is as described") {
  Setting test;
  const test::Node node(test.authority, "2001:db8:42:7::/64", 7, FakeRegistry::validity());
  FakeRegistry::Answer answer;
  FakeRegistry registry(test.authority, "127.0.0.1", [&](const auto&) { return answer; });
  auto settings = test.pinned(registry);
  settings.certificate_path = test.directory.file("node.pem");
  settings.key_path = test.directory.file("node.key");
  put(settings.certificate_path, node.certificate->to_pem());
  put(settings.key_path, node.key.to_pem().reveal());
  RegistryApi api(test.io, settings);
  const auto last = [&] { return registry.requests().back(); };

  answer = {204, "", "", false};
  auto none = call<FetchedParameters>(
      test.io, [&](auto handler) { api.parameters(17, std::chrono::seconds(5), std::move(handler)); });
  REQUIRE(none);
  CHECK(none.value->document.empty());
  CHECK(last().path == "/v1/parameters?newer_than=17&wait=5");
  CHECK(last().client_subject.find("a node") != std::string::npos);

  answer = {200, R"({"version":18,"parameters":"AQID","introductions":["BAU="]})", "", false};
  const auto newer = call<FetchedParameters>(
      test.io, [&](auto handler) { api.parameters(17, std::chrono::seconds(5), std::move(handler)); });
  REQUIRE(newer);
  CHECK(newer.value->document == SignedBytes{1, 2, 3});
  CHECK(newer.value->introductions == std::vector<SignedBytes>{{4, 5}});

  answer = {200, R"({"contacts":["AQID","BAU="]})", "", false};
  const auto contacts =
      call<std::vector<SignedBytes>>(test.io, [&](auto handler) { api.contacts(500, std::move(handler)); });
  REQUIRE(contacts);
  CHECK(contacts.value->size() == 2);
  CHECK(last().path == "/v1/contacts?count=64");

  const auto other = *net::Prefix::parse("2001:db8:42:9::/64");
  answer = {404, R"({"error":{"code":"not_found","message":"m","hint":"h"}})", "", false};
  const auto unknown =
      call<SignedBytes>(test.io, [&](auto handler) { api.contact(other, std::move(handler)); });
  REQUIRE(unknown);
  CHECK(unknown.value->empty());
  CHECK(last().path == "/v1/contacts/2001:db8:42:9::%2F64");

  answer = {200, R"({"observed":"198.51.100.7"})", "", false};
  const std::vector<ApiNeighbour> neighbours{{other, std::chrono::microseconds(1500), mesh::Transport::kTcp}};
  const SignedBytes own{1, 2, 3};
  const auto published =
      call<ApiPublished>(test.io, [&](auto handler) { api.publish(own, neighbours, std::move(handler)); });
  REQUIRE(published);
  CHECK(published.value->observed->to_string() == "198.51.100.7");
  CHECK(last().method == "PUT");
  const auto told = json::parse(last().body).as_object();
  CHECK(told.at("contact") == "AQID");
  CHECK(told.at("neighbours").at(0).at("rtt_us") == 1500);
  CHECK(told.at("neighbours").at(0).at("transport") == "tcp");

  answer = {204, "", "", false};
  CHECK(call<ApiNothing>(test.io, [&](auto handler) { api.withdraw(std::move(handler)); }));
  CHECK(last().method == "DELETE");

  answer = {200, R"({"address":"198.51.100.7","port":40000})", "Date: Sun, 22 Nov 2026 18:00:00 GMT\r\n",
            false};
  const auto seen = call<SeenAddress>(test.io, [&](auto handler) { api.address(std::move(handler)); });
  REQUIRE(seen);
  CHECK(seen.value->port == 40000);
  CHECK(std::chrono::system_clock::to_time_t(*seen.value->date) == 1795370400);
  CHECK(last().client_subject.empty());
}

TEST_CASE("registry_api: handlers are not called after the end, and too many requests fail") {
  Setting test;
  FakeRegistry registry(test.authority, "127.0.0.1", [&](const auto&) {
    return FakeRegistry::Answer{200, ca_answer(test.authority), "", false};
  });
  int calls = 0;
  int refused = 0;
  {
    RegistryApi api(test.io, test.pinned(registry));
    for (std::size_t i = 0; i < RegistryApi::kMostRequests + 3; ++i) {
      api.ca([&](const ApiResult<RegistryIntroduction>& result) {
        ++calls;
        if (!result && result.error.kind == ApiFailure::kLater) ++refused;
      });
    }
    test.io.restart();
    test.io.run_for(std::chrono::milliseconds(20));
    CHECK(refused == 3);
  }
  const int before = calls;
  test.io.restart();
  test.io.run_for(std::chrono::milliseconds(200));
  CHECK(calls == before);
}
