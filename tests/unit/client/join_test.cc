// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/join.h"

#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <filesystem>

#include "src/client/exit_code.h"
#include "src/client/mesh_identity.h"
#include "src/tsp/digest_md5.h"
#include "tests/unit/client/fake_registry.h"
#include "tests/unit/pki/mesh_certificates.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::client;
using std::chrono::hours;
using test::FakeRegistry;

namespace {

namespace json = boost::json;

// A registry with one token, "T", that is good for one key.
struct Mesh {
  FakeRegistry::Answer answer(const FakeRegistry::Request& request) {
    const auto refuse = [](int status, const char* code) {
      return FakeRegistry::Answer{
          status,
          json::serialize(json::object{{"error", {{"code", code}, {"message", code}, {"hint", "h"}}}}), "",
          false};
    };
    if (request.path == "/v1/ca")
      return {200,
              json::serialize(json::object{{"authorities", json::array{authority.certificate().to_pem()}},
                                           {"anonymous", false},
                                           {"email", false}}),
              "", false};
    if (request.path.starts_with("/v1/parameters"))
      return is_revoked ? refuse(403, "revoked") : FakeRegistry::Answer{204, "", "", false};
    if (request.path != "/v1/certificates") return refuse(404, "not_found");
    const auto body = json::parse(request.body).as_object();
    if (!body.contains("token") || body.at("token") != "T") return refuse(403, "token_unknown");
    const auto asked = pki::CertificateRequest::parse_pem(std::string(body.at("request").as_string()));
    if (!asked) return refuse(400, "bad_certificate_request");
    ++enrolments;
    if (loses_answers) return {200, "", "", true};
    mesh::NetworkParameters parameters;
    parameters.version = 5;
    parameters.network = test::kNetwork;
    const auto document = mesh::sign_parameters(parameters, has_foreign_parameters ? foreign : authority);
    return {
        201,
        json::serialize(json::object{
            {"certificate",
             authority.issue(*asked, *net::Prefix::parse("2001:db8:42:7::/64"), 7, FakeRegistry::validity())
                 ->to_pem()},
            {"parameters",
             tsp::base64_encode({reinterpret_cast<const char*>(document.data()), document.size()})}}),
        "", false};
  }

  int join(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"join", registry.url(), "-f", file});
    const auto options = parse_options(arguments);
    CAPTURE(options.error);
    REQUIRE(options.options);
    auto config = parse_config(file, "state_dir=" + directory.file("state") + "\n", &*options.options);
    REQUIRE(config.config);
    // Not a terminal, whatever the tests run on.
    const int saved = ::dup(STDIN_FILENO);
    REQUIRE(std::freopen("/dev/null", "r", stdin));
    const int status = run_join(*config.config, *options.options);
    ::dup2(saved, STDIN_FILENO);
    ::close(saved);
    mesh = config.config->mesh;
    mesh.registry = registry.url();
    return status;
  }
  std::string fingerprint() const { return authority.certificate().fingerprint(); }
  bool has_joined() const { return load_mesh_identity(mesh).identity.has_value(); }

  pki::Authority authority = pki::Authority::create(test::kNetwork, "a mesh", FakeRegistry::validity());
  pki::Authority foreign = pki::Authority::create(test::kNetwork, "other", FakeRegistry::validity());
  test::TemporaryDirectory directory;
  std::string file = directory.file("mesh.conf");
  std::atomic<int> enrolments = 0;
  std::atomic<bool> loses_answers = false, is_revoked = false, has_foreign_parameters = false;
  MeshConfig mesh;
  FakeRegistry registry{authority, "127.0.0.1", [this](const auto& request) { return answer(request); }};
};

}  // namespace

TEST_CASE("join: with token and fingerprint a machine becomes a node") {
  Mesh mesh;
  REQUIRE(mesh.join({"--token", "T", "--fingerprint", mesh.fingerprint(), "--req", "CN=router 7"}) ==
          kExitOk);
  const auto loaded = load_mesh_identity(mesh.mesh);
  REQUIRE(loaded.identity);
  CHECK(loaded.identity->certificate.subject() == "CN=router 7");
  CHECK_FALSE(loaded.identity->parameters.empty());
  CHECK(test::content_of(mesh.file).find("registry=" + mesh.registry.url() + "\n") != std::string::npos);
  const auto config = load_config(mesh.file);
  CHECK(config.problems.empty());
  CHECK(std::filesystem::status(mesh.mesh.key_path()).permissions() ==
        (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
}

TEST_CASE("join: done again it changes nothing, and shows no token") {
  Mesh mesh;
  REQUIRE(mesh.join({"--token", "T", "-y"}) == kExitOk);
  const auto key = test::content_of(mesh.mesh.key_path());
  const auto certificate = test::content_of(mesh.mesh.certificate_path());
  CHECK(mesh.join({"--token", "T"}) == kExitOk);
  CHECK(mesh.join({}) == kExitOk);
  CHECK(mesh.enrolments == 1);
  CHECK(test::content_of(mesh.mesh.key_path()) == key);
  CHECK(test::content_of(mesh.mesh.certificate_path()) == certificate);
  // Not when the certificate is of no use any more.
  mesh.is_revoked = true;
  CHECK(mesh.join({}) == kExitAuthentication);
  CHECK(mesh.join({"--token", "T"}) == kExitOk);
  CHECK(mesh.enrolments == 2);
  CHECK(test::content_of(mesh.mesh.key_path()) == key);
  // Nor does a registry that is away change anything.
  mesh.registry.stop();
  CHECK(mesh.join({}) == kExitOk);
}

TEST_CASE("join: an unknown registry is believed only when somebody says so") {
  Mesh mesh;
  CHECK(mesh.join({"--token", "T"}) == kExitAuthentication);
  CHECK(mesh.registry.requests().size() == 1);
  CHECK_FALSE(std::filesystem::exists(mesh.mesh.authority_path()));
  CHECK(mesh.join({"--token", "T", "--fingerprint", mesh.foreign.certificate().fingerprint()}) ==
        kExitAuthentication);
  CHECK(mesh.registry.requests().size() == 1);
  CHECK(mesh.enrolments == 0);
  CHECK_FALSE(mesh.has_joined());
  CHECK(mesh.join({"--ca-only", "-y"}) == kExitOk);
  CHECK(std::filesystem::exists(mesh.mesh.authority_path()));
  CHECK_FALSE(std::filesystem::exists(mesh.file));
  CHECK(mesh.join({"--token", "T"}) == kExitOk);
}

TEST_CASE("join: neither key nor token is lost when an answer is") {
  Mesh mesh;
  mesh.loses_answers = true;
  CHECK(mesh.join({"--token", "T", "-y"}) == kExitCannotConnect);
  const auto key = test::content_of(mesh.mesh.key_path());
  CHECK_FALSE(key.empty());
  CHECK_FALSE(mesh.has_joined());
  mesh.loses_answers = false;
  CHECK(mesh.join({"--token", "T"}) == kExitOk);
  CHECK(test::content_of(mesh.mesh.key_path()) == key);
}

TEST_CASE("join: what the registry refuses, or sends and is not good") {
  Mesh mesh;
  CHECK(mesh.join({"--token", "wrong", "-y"}) == kExitAuthentication);
  CHECK(mesh.join({"--anonymous"}) == kExitAuthentication);
  CHECK(mesh.join({}) == kExitAuthentication);
  CHECK(mesh.join({"--email", "a@example.net"}) == kExitAuthentication);
  CHECK(mesh.join({"--token", "T", "--req", "nonsense=1"}) == kExitBadConfiguration);
  CHECK(mesh.enrolments == 0);
  mesh.has_foreign_parameters = true;
  CHECK(mesh.join({"--token", "T"}) == kExitTspError);
  CHECK_FALSE(mesh.has_joined());
  mesh.has_foreign_parameters = false;
  CHECK(mesh.join({"--token", "T"}) == kExitOk);
  CHECK(mesh.has_joined());
}

TEST_CASE("join: another mesh's authority is not taken over what is there") {
  Mesh mesh;
  REQUIRE(mesh.join({"--token", "T", "-y"}) == kExitOk);
  const auto before = mesh.registry.requests().size();
  CHECK(mesh.join({"--token", "T", "--fingerprint", mesh.foreign.certificate().fingerprint()}) ==
        kExitAuthentication);
  CHECK(mesh.registry.requests().size() == before);
  Mesh other;
  const auto url = other.registry.url();
  const auto options = parse_options({"join", url, "--token", "T", "-f", mesh.file});
  REQUIRE(options.options);
  const auto config = load_config(mesh.file, &*options.options);
  REQUIRE(config.config);
  auto elsewhere =
      *parse_config(mesh.file, "state_dir=" + mesh.directory.file("state") + "\n", &*options.options).config;
  CHECK(run_join(elsewhere, *options.options) == kExitAuthentication);
  CHECK(other.enrolments == 0);
  CHECK(mesh.has_joined());
}

TEST_CASE("join: --is-needed tells, and changes nothing") {
  Mesh mesh;
  CHECK(mesh.join({"--is-needed"}) == 0);
  CHECK_FALSE(std::filesystem::exists(mesh.mesh.directory));
  CHECK_FALSE(std::filesystem::exists(mesh.file));
  REQUIRE(mesh.join({"--token", "T", "-y"}) == kExitOk);
  CHECK(mesh.join({"--is-needed"}) == 1);
}

TEST_CASE("join: a tunnel client's configuration is left alone, before anything is asked") {
  Mesh mesh;
  std::ofstream(mesh.file) << "server=broker.example.org\n";
  CHECK(mesh.join({"--token", "T", "-y"}) == kExitBadConfiguration);
  CHECK(mesh.registry.requests().empty());
  CHECK(test::content_of(mesh.file) == "server=broker.example.org\n");
}
