// SPDX-License-Identifier: BSD-3-Clause
// Requests to the mesh's HTTPS API, by everybody, as nodes and administrators, over a network that has both.
// A record is a byte (what happens, and who asks) and what is asked. In what is asked, "@0" to "@7" stand for
// things that nobody guesses: requests, tokens, contacts.
#include "registry/api/mesh_api.h"

#include <spdlog/sinks/null_sink.h>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/json.hpp>

#include "src/mesh/signed_contact.h"
#include "src/pki/cms.h"
#include "src/tsp/digest_md5.h"
#include "tests/fuzz/entry_points.h"
#include "tests/unit/temporary_directory.h"

namespace sixlink::fuzz {
namespace {

using namespace registry;
using namespace std::chrono_literals;
namespace http = boost::beast::http;
namespace json = boost::json;

const WallTime kWall(1772366400s);

template <typename T>
T value_of(Answer<T> answer) {
  expect(bool(answer), "the network is made");
  return std::move(*answer);
}

struct Member {
  pki::PrivateKey key = pki::PrivateKey::generate();
  std::optional<pki::Certificate> certificate;
  std::vector<std::uint8_t> der;
};

std::string base64(std::span<const std::uint8_t> bytes) {
  return tsp::base64_encode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

// In JSON's string.
std::string quoted_inside(const std::string& text) {
  const auto quoted = json::serialize(json::value(text));
  return quoted.substr(1, quoted.size() - 2);
}

// Made once: what is written to the database during a run is taken back after it.
struct Network {
  test::TemporaryDirectory directory;
  RegistrarSettings settings;
  std::unique_ptr<Database> database;
  std::unique_ptr<Registrar> registrar;
  Member one;
  Member two;
  Member revoked;
  std::vector<std::uint8_t> administrator;
  std::vector<std::string> pieces;
  std::int64_t revision = 1000000;
  static constexpr const char* kTables[] = {"mesh_network", "mesh_nodes", "mesh_certificates", "mesh_tokens",
                                            "mesh_contacts"};

  Network() {
    settings.network = *net::Prefix::parse("2001:db8:42::/48");
    settings.network_v4 = NetworkV4{*net::PrefixV4::parse("203.0.113.0/24"), 30};
    settings.key_directory = directory.file("ca");
    settings.urls = {"https://registry.example.net/"};
    settings.hosts = {"registry.example.net"};
    settings.anonymous = true;
    database = open_sqlite(":memory:").database;
    registrar = std::make_unique<Registrar>(*database, settings);
    expect(registrar->open(kWall).empty(), "the network is made");
    for (auto* member : {&one, &two, &revoked}) {
      member->certificate =
          value_of(registrar->enrol(request(member->key, "CN", "a node"), "", kWall)).certificate;
      member->der = member->certificate->to_der();
    }
    value_of(registrar->revoke(revoked.certificate->serial(), kWall));
    const auto made = value_of(registrar->make_administrator("operator", 24h, kWall));
    administrator = der_of(made.identity->certificate_pem);
    const auto token = [&](int length) {
      return value_of(registrar->make_token({length, 0s, ""}, kWall)).token;
    };
    const auto key = pki::PrivateKey::generate();
    pieces = {quoted_inside(request(key, "CN", "newcomer").to_pem()),
              quoted_inside(request(one.key, "CN", "a node").to_pem()),
              token(64),
              token(56),
              contact(one, 1),
              contact(one, 2),
              contact(two, 1),
              std::to_string(registrar->parameters().version)};
    for (const char* table : kTables)
      run("CREATE TEMP TABLE was_" + std::string(table) + " AS SELECT * FROM " + table);
  }

  void run(const std::string& sql) {
    database->run(sql);
    expect(!database->has_failed(), sql.c_str());
  }

  // As it was made. What the prefix book remembers is made old.
  void restore() {
    expect(database->begin(), "the network is restored");
    for (const char* table : kTables) {
      run("DELETE FROM " + std::string(table));
      run("INSERT INTO " + std::string(table) + " SELECT * FROM was_" + table);
    }
    run("UPDATE mesh_network SET revision = " + std::to_string(++revision));
    std::string problem;
    expect(database->commit(), "the network is restored");
    registrar->refresh(problem);
    expect(problem.empty(), "the network is read again");
  }

  static pki::CertificateRequest request(const pki::PrivateKey& key, const std::string& field,
                                         const std::string& value) {
    std::string problem;
    auto request = pki::CertificateRequest::make(key, {{field, value}}, problem);
    if (!request) request = pki::CertificateRequest::make(key, {{"CN", "x"}}, problem);
    expect(request.has_value(), "a request is made");
    return *std::move(request);
  }

  static std::vector<std::uint8_t> der_of(const std::string& pem) {
    std::string text;
    for (std::size_t at = pem.find('\n') + 1; pem[at] != '-'; ++at) {
      if (pem[at] != '\n') text += pem[at];
    }
    const auto bytes = tsp::base64_decode(text);
    return {bytes->begin(), bytes->end()};
  }

  static std::string contact(const Member& member, std::uint64_t sequence) {
    mesh::Contact contact;
    contact.prefix = member.certificate->prefix();
    contact.key.bytes.fill(1);
    contact.sequence = sequence;
    contact.expires = kWall + 1h;
    contact.software = "a fuzzer";
    contact.endpoints = {{boost::asio::ip::make_address("198.51.100.1"), 3653, mesh::Transport::kUdp,
                          mesh::EndpointKind::kPublic}};
    return base64(mesh::sign_contact(contact, *member.certificate, member.key).der);
  }
};

class Run {
 public:
  explicit Run(Network& network)
      : network_(network),
        contacts_(*network.registrar),
        log_("fuzz", std::make_shared<spdlog::sinks::null_sink_st>()),
        api_(*network.registrar, contacts_, {50, 200, true, 2}, log_,
             {[this] { return times_; },
              [this](const std::string& to, const std::string& line) {
                const bool is_one_line = (to + line).find_first_of("\r\n") == std::string::npos;
                expect(is_one_line, "nobody writes headers into an e-mail");
                return ++mails_ % 4 != 0;
              }}) {}

  ~Run() {
    times_.now += 120s;
    api_.tick();
    expect(asked_ == answered_, "every request is answered once");
    prefixes();
    network_.restore();
  }

  void step(unsigned what, Input bytes) {
    const unsigned who = what >> 4;
    const auto text = filled(text_of(bytes));
    switch (what & 7) {
      case 0:
      case 1:
      case 2: {
        // "GET /v1/node", the body from the next line on.
        const auto line = text.substr(0, text.find('\n'));
        const auto space = std::min(line.find(' '), line.size());
        const auto target = line.substr(std::min(space + 1, line.size()));
        ask(who, line.substr(0, space), target, text.substr(std::min(line.size() + 1, text.size())));
        break;
      }
      case 3:
        wire(who, text);
        break;
      case 4: {
        const auto name = std::string(text_of(bytes));
        const auto field = (who & 1) ? "CN" : "O";
        const auto pem = Network::request(network_.two.key, field, name).to_pem();
        ask(who, "POST", (who & 2) ? "/v1/certificates" : "/v1/certificates/renew",
            json::serialize(json::object{{"request", pem}, {"anonymous", true}}));
        break;
      }
      case 5: {
        const auto& member = (who & 1) ? network_.one : network_.two;
        const auto der = pki::sign(text, *member.certificate, member.key);
        ask(who, "PUT", "/v1/contact", "{\"contact\":\"" + base64(der) + "\"}");
        break;
      }
      case 6:
        // A certificate that nobody knows, or what is none.
        send(std::make_shared<HttpRequest>(
            HttpRequest{"GET", (who & 1) ? "/v1/node" : "/v1/admin/nodes", "", address(who), 4000,
                        std::vector<std::uint8_t>(bytes.begin(), bytes.end())}));
        break;
      default:
        times_.now += std::chrono::seconds(bytes.size() * (who + 1));
        times_.wall += std::chrono::seconds(bytes.size() * (who + 1));
        api_.tick();
        expect(contacts_.flush(times_.wall).empty(), "who was seen is noted");
        if (who == 7) expect(network_.registrar->maintain(times_.wall).empty(), "maintenance is done");
    }
    expect(api_.held() <= 2, "held requests are bounded");
  }

  // Whatever was asked before.
  void serves_others() {
    const auto before = answered_;
    send(std::make_shared<HttpRequest>(
        HttpRequest{"GET", "/v1/ca", "", boost::asio::ip::make_address("192.0.2.99"), 1, {}}));
    expect(answered_ == before + 1 && last_.status == 200, "the next good request is served");
  }

 private:
  std::string filled(std::string_view text) const {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto index = static_cast<std::size_t>(i + 1 < text.size() ? text[i + 1] - '0' : -1);
      if (text[i] == '@' && index < network_.pieces.size()) {
        result += network_.pieces[index];
        ++i;
      } else {
        result += text[i];
      }
    }
    return result;
  }

  static boost::asio::ip::address address(unsigned who) {
    return boost::asio::ip::make_address((who & 8) ? "2001:db8:1::7" : "192.0.2.7");
  }

  std::vector<std::uint8_t> certificate(unsigned who) const {
    switch (who & 7) {
      case 1:
      case 2:
        return network_.one.der;
      case 3:
        return network_.two.der;
      case 4:
      case 5:
        return network_.administrator;
      case 6:
        return network_.revoked.der;
      default:
        return {};
    }
  }

  void ask(unsigned who, const std::string& method, const std::string& target, const std::string& body) {
    send(std::make_shared<HttpRequest>(
        HttpRequest{method, target, body, address(who), 4000, certificate(who)}));
  }

  // As it comes out of TLS, with the server's limits.
  void wire(unsigned who, const std::string& bytes) {
    http::request_parser<http::string_body> parser;
    parser.header_limit(8192);
    parser.body_limit(65536);
    parser.eager(true);
    boost::system::error_code error;
    parser.put(boost::asio::buffer(bytes), error);
    if (error || !parser.is_done()) return;
    auto message = parser.release();
    ask(who, std::string(message.method_string()), std::string(message.target()), message.body());
  }

  void send(const std::shared_ptr<const HttpRequest>& request) {
    ++asked_;
    const auto is_answered = std::make_shared<bool>(false);
    api_.handle(request, [this, is_answered](const HttpResponse& response) {
      expect(!*is_answered, "a request is answered once");
      *is_answered = true;
      ++answered_;
      check(response);
      last_ = response;
    });
  }

  static void check(const HttpResponse& response) {
    expect(response.status >= 200 && response.status < 600, "the status is one of HTTP's");
    expect(response.status != 500, "nobody makes the registry run into an error of its own");
    expect(response.body.size() < 1 << 20, "answers are bounded");
    if (response.status == 204) expect(response.body.empty(), "204 has no body");
    if (response.status == 429 || response.status == 503)
      expect(response.retry_after.count() > 0, "who is to come back is told when");
    if (response.body.empty() || response.content_type != "application/json") return;
    boost::system::error_code error;
    const auto value = json::parse(response.body, error);
    expect(!error && value.is_object(), "answers are JSON");
    if (response.status < 400) return;
    for (const char* key : {"code", "message", "hint"})
      expect(!value.at("error").at(key).get_string().empty(), "a refusal says what, why, and what to do");
  }

  void prefixes() {
    std::vector<net::Prefix> taken{{network_.settings.network.address, PrefixBook::kLongest}};
    for (const auto& row : network_.database->run("SELECT prefix FROM mesh_nodes")) {
      const auto prefix = net::Prefix::parse(row.text(0));
      expect(prefix && network_.settings.network.contains(prefix->address), "nodes are in the network");
      for (const auto& other : taken)
        expect(!other.contains(prefix->address) && !prefix->contains(other.address),
               "no prefix is given twice");
      taken.push_back(*prefix);
    }
  }

  Network& network_;
  ContactDirectory contacts_;
  spdlog::logger log_;
  MeshApi::Times times_{MeshApi::TimePoint(1000h), kWall};
  std::size_t mails_ = 0;
  std::size_t asked_ = 0;
  std::size_t answered_ = 0;
  HttpResponse last_;
  MeshApi api_;
};

}  // namespace

void mesh_api(Input input) {
  static Network network;
  Run run(network);
  Records records(input);
  for (int i = 0; i < 60 && !records.is_empty(); ++i) {
    const unsigned what = records.byte();
    run.step(what, records.next());
  }
  run.serves_others();
}

}  // namespace sixlink::fuzz

SIXLINK_FUZZ(mesh_api)
