// SPDX-License-Identifier: BSD-3-Clause
// The mesh's registry without its network: who may join, which prefix each has, who was revoked, what the
// network's parameters are. All of it is in the database; several of these, in other processes or on other
// machines, may work on the same one at the same time.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "registry/ca/authorities.h"
#include "registry/ca/database.h"
#include "registry/ca/prefix_book.h"
#include "registry/ca/refusal.h"
#include "registry/ca/tls_certificate.h"
#include "src/mesh/parameters.h"
#include "src/pki/certificate_request.h"

namespace sixlink::registry {

struct RegistrarSettings {
  net::Prefix network;
  std::optional<NetworkV4> network_v4;
  std::string key_directory;
  std::string name = "sixlink mesh";  // of the first authority
  std::vector<std::string> urls;      // https://host:port/; the first is the one that is told
  std::vector<std::string> hosts;     // of the urls: no node's name
  bool anonymous = false;             // whoever asks may join
  int prefix_length = 64;             // of nodes, unless their token says otherwise
  int shortest_prefix = 48;           // that a token may say
  std::chrono::seconds certificate_lifetime{std::chrono::hours(24 * 365)};
  std::chrono::seconds prefix_grace{std::chrono::hours(24 * 100)};  // after expiry it is still kept
  std::chrono::seconds token_lifetime{std::chrono::hours(24 * 7)};
  // Of the parameters that are signed: hello_interval, client_count, tunnel_refresh.
  mesh::NetworkParameters parameters;
};

struct Issued {
  pki::Certificate certificate;
  net::Prefix prefix;
  std::optional<net::PrefixV4> prefix_v4;
  WallTime renew_after;
  bool is_new = false;  // this call signed it
};

struct SignedParameters {
  std::uint64_t version = 0;
  std::string document;  // base64 of the DER
};

struct TokenRequest {
  int prefix_length = 0;             // 0: as configured
  std::chrono::seconds lifetime{0};  // 0: as configured
  std::string email;                 // empty: nobody's
};
struct Token {
  std::string id;
  std::string token;  // only of a new one
  int prefix_length = 64;
  std::string email;
  std::int64_t created = 0;
  std::int64_t expires = 0;
};

struct Revoked {
  net::Prefix node;
  std::vector<std::string> serials;
  std::uint64_t version = 0;  // of the parameters that say so
};

struct Administrator {
  std::string name;
  std::string fingerprint;  // SHA-256 of the certificate's DER, 64 digits
  std::int64_t created = 0;
  std::int64_t expires = 0;
  bool is_revoked = false;
  std::optional<TlsIdentity> identity;  // only of a new one: the key is kept nowhere
};

// Who asks with a certificate.
struct Asker {
  net::Prefix prefix;
  pki::Certificate certificate;
};

class Registrar {
 public:
  // `database` outlives it.
  Registrar(Database& database, RegistrarSettings settings);

  // Tables, network, authorities and parameters are there and agree with the settings; those of a new network
  // are made. Empty: they are; else what is wrong, and what to do.
  std::string open(WallTime now);

  // `token` empty: anonymous. A key that has a prefix keeps it.
  Answer<Issued> enrol(const pki::CertificateRequest& request, const std::string& token, WallTime now);
  // Of a node that identify() knows.
  Answer<Issued> renew(const Asker& node, const pki::CertificateRequest& request, WallTime now);

  enum class Expired { kRefused, kAllowed };
  // A node's certificate, which the asker has shown to have the key of.
  Answer<Asker> identify(const pki::Certificate& certificate, WallTime now,
                         Expired expired = Expired::kRefused);

  Answer<Token> make_token(const TokenRequest& request, WallTime now);
  Answer<std::vector<Token>> tokens(WallTime now);
  Answer<Token> delete_token(std::string_view id, WallTime now);
  // The command to paste.
  std::string join_line(const std::string& token, WallTime now) const;

  // A node by prefix, address or name (its CN or whole subject), with all its certificates; or one
  // certificate by its serial number.
  Answer<Revoked> revoke(std::string_view who, WallTime now);

  // The next authority, which issues nothing before `issues_from`.
  Answer<pki::Certificate> roll(const std::string& name, WallTime issues_from, WallTime now);
  Answer<std::string> retire(const std::string& fingerprint, WallTime now);

  Answer<Administrator> make_administrator(const std::string& name, std::chrono::seconds lifetime,
                                           WallTime now);
  Answer<std::vector<Administrator>> administrators();
  // Whose certificate this DER is. The asker has shown to have its key.
  Answer<std::string> identify_administrator(std::string_view der, WallTime now);
  // By name or fingerprint.
  Answer<std::size_t> revoke_administrator(const std::string& who, WallTime now);

  const SignedParameters& parameters() const { return parameters_; }
  // Takes what others have written since: authorities, parameters. True: the parameters are other ones.
  // On a failure `problem` says why, and all is as before.
  bool refresh(std::string& problem);
  // Ends what is over: prefixes after their grace, tokens, contacts. Signs the parameters anew where they are
  // to say something else. Empty: done.
  std::string maintain(WallTime now);

  const Authorities& authorities() const { return authorities_; }
  const RegistrarSettings& settings() const { return settings_; }
  Database& database() { return database_; }
  // The database's failure, as an answer; the words go to `last_problem()`, not to whoever asked.
  Refusal failure();
  const std::string& last_problem() const { return last_problem_; }

 private:
  struct NodeRow;
  template <typename T>
  Answer<T> transact(const std::function<Answer<T>()>& body);
  std::string create_network();
  std::string create_authority(WallTime now);

  std::optional<NodeRow> find_node(const char* sql, const std::string& value);
  std::optional<Refusal> check_token(const std::string& hash, const std::string& key, WallTime now,
                                     int& prefix_length, std::string& email);
  std::optional<Refusal> check_names(const pki::CertificateRequest& request) const;
  Answer<Issued> issue_new(const pki::CertificateRequest& request, const std::string& key, int prefix_length,
                           const std::string& email, WallTime now);
  Answer<Issued> issue_again(const NodeRow& node, const pki::CertificateRequest& request,
                             const std::string& key, WallTime now);
  // The node's IPv4 prefix as the network is now: another one where it has none of it. In a transaction.
  std::optional<net::PrefixV4> current_v4(const NodeRow& node, WallTime now);
  std::optional<pki::Certificate> sign(const pki::CertificateRequest& request, const net::Prefix& prefix,
                                       WallTime now);
  void record(const pki::Certificate& certificate);
  static Issued issued(const pki::Certificate& certificate, const std::optional<net::PrefixV4>& prefix_v4,
                       bool is_new);

  // Prefixes of those that are not revoked.
  std::vector<std::string> nodes_named(std::string_view name);
  // What the parameters are to say; in a transaction.
  mesh::NetworkParameters wanted_parameters(WallTime now);
  // Signs and stores them when they differ from what is stored, or always. False: that failed.
  bool publish_parameters(WallTime now);

  Database& database_;
  RegistrarSettings settings_;
  Authorities authorities_;
  PrefixBook prefixes_;
  SignedParameters parameters_;
  std::string last_problem_;
};

}  // namespace sixlink::registry
