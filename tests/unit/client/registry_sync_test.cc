// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/registry_sync.h"

#include <doctest/doctest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <boost/json.hpp>
#include <sstream>

#include "src/config/small_file.h"
#include "src/tsp/digest_md5.h"
#include "tests/unit/client/fake_registry.h"
#include "tests/unit/pki/mesh_certificates.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::client;
using std::chrono::hours;
using std::chrono::seconds;
using test::FakeRegistry;

namespace {

namespace json = boost::json;

const auto kStart = std::chrono::system_clock::now();

void put(const std::string& path, std::string_view text) {
  REQUIRE_FALSE(config::write_small_file(path, text, config::Existing::kReplace));
}

FakeRegistry::Answer nothing_new() {
  return {204, "", "Retry-After: 60\r\n", false};
}

// A node that joined, its registry, and what it hears of it.
struct Joined {
  explicit Joined(const pki::Validity& validity = {kStart - hours(24), kStart + hours(24 * 364)})
      : node(authority, "2001:db8:42:7::/64", 7, validity) {
    config.registry = registry.url();
    config.directory = directory.path();
    put(config.authority_path(), authority.certificate().to_pem());
    put(config.certificate_path(), node.certificate->to_pem());
    put(config.key_path(), node.key.to_pem().reveal());
    auto loaded = load_mesh_identity(config);
    CAPTURE(loaded.problem);
    REQUIRE(loaded.identity);
    log.sinks().push_back(std::make_shared<spdlog::sinks::ostream_sink_st>(text));
    RegistrySyncEvents events;
    events.on_identity = [this](const MeshIdentity& identity) { renewed = identity.certificate; };
    events.on_parameters = [this](auto der) { parameters.emplace_back(der.begin(), der.end()); };
    events.on_contact = [this](auto der) { contacts.emplace_back(der.begin(), der.end()); };
    events.on_introduction = [this](auto der) { introductions.emplace_back(der.begin(), der.end()); };
    events.on_observed = [this](const auto& address) { observed = address.to_string(); };
    sync.emplace(io, config, *loaded.identity, log, std::move(events));
  }

  template <typename Predicate>
  bool run_until(Predicate predicate) {
    const auto until = std::chrono::steady_clock::now() + seconds(10);
    io.restart();
    while (!predicate() && std::chrono::steady_clock::now() < until)
      io.run_one_for(std::chrono::milliseconds(50));
    return predicate();
  }
  // Whether the certificate was renewed meanwhile.
  bool run_for(std::chrono::milliseconds time) {
    io.restart();
    io.run_for(time);
    return renewed.has_value();
  }
  int asked(const std::string& what) const {
    int count = 0;
    for (const auto& request : registry.requests())
      count += request.method + " " + request.path == what ? 1 : 0;
    return count;
  }
  FakeRegistry::Answer issue(const char* prefix, const pki::Validity& validity) const {
    const auto fresh = authority.issue(test::request_of(node.key), *net::Prefix::parse(prefix), 8, validity);
    return {201, json::serialize(json::object{{"certificate", fresh->to_pem()}}), "", false};
  }

  pki::Authority authority = pki::Authority::create(test::kNetwork, "a mesh",
                                                    {kStart - hours(24 * 1000), kStart + hours(24 * 3650)});
  test::Node node;
  test::TemporaryDirectory directory;
  std::mutex mutex;  // of `answers`: the server has a thread of its own
  std::map<std::string, FakeRegistry::Answer> answers;
  FakeRegistry registry{authority, "127.0.0.1", [this](const FakeRegistry::Request& request) {
                          const std::lock_guard lock(mutex);
                          const auto path = request.path.substr(0, request.path.find('?'));
                          const auto found = answers.find(request.method + " " + path);
                          return found == answers.end() ? nothing_new() : found->second;
                        }};
  MeshConfig config;
  boost::asio::io_context io{1};
  std::ostringstream text;
  spdlog::logger log{"test"};
  std::optional<pki::Certificate> renewed;
  std::vector<SignedBytes> parameters, contacts, introductions;
  std::string observed;
  std::optional<RegistrySync> sync;
};

const pki::Validity kAlmostOver{kStart - hours(24 * 355), kStart + hours(24 * 10)};

}  // namespace

TEST_CASE("registry_sync: a certificate that is good for long is left alone") {
  Joined joined;
  joined.sync->start(3);
  CHECK(joined.run_until([&] { return joined.asked("GET /v1/parameters?newer_than=3&wait=50") == 1; }));
  CHECK(joined.asked("POST /v1/certificates/renew") == 0);
  CHECK(joined.run_until([&] { return joined.sync->state().is_reachable; }));
  CHECK(joined.sync->state().warning.empty());
  CHECK(joined.sync->state().last_error.empty());
}

TEST_CASE("registry_sync: renews 30 days before the end, with the same key and subject") {
  Joined joined(kAlmostOver);
  CHECK(joined.sync->state().warning.find("could not be renewed") != std::string::npos);
  joined.answers["POST /v1/certificates/renew"] =
      joined.issue("2001:db8:42:7::/64", {kStart - hours(1), kStart + hours(24 * 365)});
  joined.sync->start(0);
  REQUIRE(joined.run_until([&] { return joined.renewed.has_value(); }));
  CHECK(joined.renewed->serial() == "08");
  CHECK(test::content_of(joined.config.certificate_path()) == joined.renewed->to_pem());
  CHECK(joined.sync->state().warning.empty());
  CHECK(joined.sync->state().renewal > kStart + hours(24 * 300));
  for (const auto& request : joined.registry.requests()) {
    if (request.path != "/v1/certificates/renew") continue;
    CHECK(request.client_subject.find("a node") != std::string::npos);
    const auto sent = pki::CertificateRequest::parse_pem(
        std::string(json::parse(request.body).as_object().at("request").as_string()));
    REQUIRE(sent);
    CHECK(sent->subject() == joined.node.certificate->subject());
  }
  CHECK(joined.asked("POST /v1/certificates/renew") == 1);
}

TEST_CASE("registry_sync: what is no renewal is not taken, and told") {
  Joined joined(kAlmostOver);
  const auto before = test::content_of(joined.config.certificate_path());
  const auto other = pki::Authority::create(test::kNetwork, "other", test::kYear);
  FakeRegistry::Answer answer;
  std::string expected;
  SUBCASE("another prefix") {
    answer = joined.issue("2001:db8:42:8::/64", {kStart - hours(1), kStart + hours(24 * 365)});
    expected = "for 2001:db8:42:8::/64";
  }
  SUBCASE("it ends no later") {
    answer = joined.issue("2001:db8:42:7::/64", {kStart - hours(1), kStart + hours(24)});
    expected = "no later than the old one";
  }
  SUBCASE("of another authority") {
    const auto fresh = other.issue(test::request_of(joined.node.key),
                                   *net::Prefix::parse("2001:db8:42:7::/64"), 8, test::kYear);
    answer = {201, json::serialize(json::object{{"certificate", fresh->to_pem()}}), "", false};
    expected = "was not issued by this network's authority";
  }
  SUBCASE("a refusal") {
    answer = {403, R"({"error":{"code":"revoked","message":"it was revoked","hint":"ask"}})", "", false};
    expected = "it was revoked";
  }
  joined.answers["POST /v1/certificates/renew"] = answer;
  joined.sync->start(0);
  CHECK(joined.run_until([&] { return joined.sync->state().warning.find(expected) != std::string::npos; }));
  CHECK_FALSE(joined.renewed);
  CHECK(test::content_of(joined.config.certificate_path()) == before);
  CHECK(joined.text.str().find("cannot be renewed") != std::string::npos);
}

TEST_CASE("registry_sync: newer parameters and introductions are handed on") {
  Joined joined;
  joined.answers["GET /v1/parameters"] = {
      200, R"({"version":4,"parameters":"AQID","introductions":["BAU="]})", "Retry-After: 60\r\n", false};
  joined.sync->start(3);
  REQUIRE(joined.run_until([&] { return !joined.introductions.empty(); }));
  CHECK(joined.parameters == std::vector<SignedBytes>{{1, 2, 3}});
  CHECK(joined.introductions == std::vector<SignedBytes>{{4, 5}});
}

TEST_CASE("registry_sync: the contact is told, and told again when it changes") {
  Joined joined;
  joined.answers["PUT /v1/contact"] = {200, R"({"observed":"198.51.100.7"})", "", false};
  joined.sync->start(0);
  joined.sync->publish({1, 2, 3}, seconds(3600));
  CHECK(joined.run_until([&] { return joined.observed == "198.51.100.7"; }));
  joined.sync->publish({4, 5}, seconds(3600));
  joined.sync->publish({6}, seconds(3600));
  CHECK(joined.asked("PUT /v1/contact") == 1);
  CHECK(joined.run_until([&] { return joined.asked("PUT /v1/contact") == 2; }));
  CHECK(joined.registry.requests().back().body.find(tsp::base64_encode(std::string_view("\x06", 1))) !=
        std::string::npos);
}

TEST_CASE("registry_sync: contacts are asked for, by introduction where that can be") {
  Joined joined;
  const auto node = *net::Prefix::parse("2001:db8:42:9::/64");
  joined.answers["GET /v1/contacts"] = {200, R"({"contacts":["AQID"]})", "", false};
  joined.sync->ask_contacts(5);
  joined.sync->ask_contacts(5);
  REQUIRE(joined.run_until([&] { return !joined.contacts.empty(); }));
  CHECK(joined.asked("GET /v1/contacts?count=5") == 1);
  joined.answers["POST /v1/introductions"] = {
      409, R"({"error":{"code":"old_contact","message":"m","hint":"h"}})", "", false};
  joined.answers["GET /v1/contacts/2001:db8:42:9::%2F64"] = {200, R"({"contact":"BAU="})", "", false};
  joined.sync->ask_contact(node);
  joined.sync->ask_contact(node);
  REQUIRE(joined.run_until([&] { return joined.contacts.size() == 2; }));
  CHECK(joined.contacts.back() == SignedBytes{4, 5});
  CHECK(joined.asked("POST /v1/introductions") == 1);
}

TEST_CASE("registry_sync: the next authority is believed when the parameters name it") {
  Joined joined;
  const auto next =
      pki::Authority::create(test::kNetwork, "next", {kStart - hours(1), kStart + hours(24 * 3650)});
  mesh::NetworkParameters parameters;
  parameters.version = 2;
  parameters.network = test::kNetwork;
  parameters.authorities = {next.certificate()};
  joined.sync->use_parameters(parameters);
  const auto loaded = load_authorities(joined.config.authority_path());
  CHECK(loaded.authorities.size() == 2);
  // A registry that has moved on to it is the registry still.
  FakeRegistry moved(next, "127.0.0.1", [](const auto&) { return nothing_new(); });
  RegistryApiSettings settings;
  settings.url = moved.url();
  settings.ca_path = joined.config.authority_path();
  RegistryApi api(joined.io, settings);
  std::optional<bool> is_believed;
  api.address([&](const auto& result) { is_believed = result.error.kind != ApiFailure::kNotTrusted; });
  CHECK(joined.run_until([&] { return is_believed.has_value(); }));
  CHECK(is_believed == true);
}

TEST_CASE("registry_sync: asks for an IPv4 prefix where the network has IPv4 and the node none of it") {
  Joined joined;
  const auto own = net::PrefixV4::parse("203.0.113.16/28");
  joined.answers["POST /v1/certificates/renew"] = {
      201,
      json::serialize(
          json::object{{"certificate", joined.node.certificate->to_pem()}, {"prefix_v4", own->to_string()}}),
      "", false};
  joined.sync->start(0);
  mesh::NetworkParameters parameters;
  parameters.version = 2;
  parameters.network = test::kNetwork;
  joined.sync->use_parameters(parameters);
  CHECK_FALSE(joined.run_for(std::chrono::milliseconds(200)));
  CHECK(joined.asked("POST /v1/certificates/renew") == 0);
  parameters.version = 3;
  parameters.network_v4 = net::PrefixV4::parse("203.0.113.0/24");
  joined.sync->use_parameters(parameters);
  // Everybody is to have heard before the first one asks.
  CHECK_FALSE(joined.run_for(std::chrono::milliseconds(500)));
  CHECK(joined.asked("POST /v1/certificates/renew") == 0);
  REQUIRE(joined.run_until([&] { return joined.renewed.has_value(); }));
  CHECK(*joined.renewed == *joined.node.certificate);
  CHECK(load_mesh_identity(joined.config).identity->prefix_v4 == own);
  // It has one now.
  parameters.version = 4;
  joined.sync->use_parameters(parameters);
  joined.run_for(std::chrono::milliseconds(200));
  CHECK(joined.asked("POST /v1/certificates/renew") == 1);
  CHECK(joined.sync->state().last_error.empty());
}

TEST_CASE("registry_sync: a registry that is away is told of once, and goodbyes do not wait for it") {
  Joined joined;
  joined.registry.stop();
  joined.sync->start(0);
  CHECK(joined.run_until([&] { return !joined.sync->state().last_error.empty(); }));
  CHECK_FALSE(joined.sync->state().is_reachable);
  CHECK(joined.text.str().find("the mesh works without") != std::string::npos);
  bool is_done = false;
  joined.sync->withdraw(std::chrono::milliseconds(300), [&] { is_done = true; });
  CHECK(joined.run_until([&] { return is_done; }));
}

TEST_CASE("registry_sync: what failed is tried again soon when the reason why may be gone") {
  Joined joined;
  // To be asked again in a minute at the earliest.
  joined.answers["GET /v1/parameters"] = {503, "", "Retry-After: 60\r\n", false};
  joined.answers["PUT /v1/contact"] = {503, "", "Retry-After: 60\r\n", false};
  joined.sync->start(0);
  joined.sync->publish({1, 2, 3}, seconds(3600));
  const auto asked = [&](const std::string& what) {
    return std::ranges::count_if(joined.registry.requests(), [&](const auto& request) {
      return (request.method + " " + request.path).starts_with(what);
    });
  };
  REQUIRE(
      joined.run_until([&] { return asked("GET /v1/parameters") == 1 && asked("PUT /v1/contact") == 1; }));
  joined.run_for(std::chrono::milliseconds(500));
  REQUIRE(asked("GET /v1/parameters") == 1);
  REQUIRE(asked("PUT /v1/contact") == 1);
  {
    const std::lock_guard lock(joined.mutex);
    joined.answers.clear();
  }
  for (int i = 0; i < 3; ++i) joined.sync->retry_soon();
  CHECK(joined.run_until([&] { return asked("GET /v1/parameters") == 2 && asked("PUT /v1/contact") == 2; }));
  CHECK(joined.run_until([&] { return joined.sync->state().last_error.empty(); }));
  // Once, however often it was told.
  joined.run_for(std::chrono::milliseconds(2500));
  CHECK(asked("GET /v1/parameters") == 2);
  CHECK(asked("PUT /v1/contact") == 2);
}

TEST_CASE("registry_sync: says goodbye") {
  Joined joined;
  joined.sync->start(0);
  bool is_done = false;
  joined.sync->withdraw(seconds(5), [&] { is_done = true; });
  CHECK(joined.run_until([&] { return is_done; }));
  CHECK(joined.asked("DELETE /v1/contact") == 1);
}
