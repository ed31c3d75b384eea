// SPDX-License-Identifier: BSD-3-Clause
// The network's authorities: which there are (the database says), and their keys (files of this machine).
//
// One after the other, each valid for a while together with the one before:
//   root    the oldest: nodes joined with it, so it signs the parameters and the HTTPS server's certificate
//   issuer  the newest whose time has come: nodes' certificates are its
// Usually these are one. `ca roll` makes the next one, which the parameters announce before it issues
// anything.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "registry/ca/database.h"
#include "src/pki/authority.h"
#include "src/pki/trust_anchor.h"

namespace sixlink::registry {

using WallTime = pki::WallTime;

std::int64_t seconds_of(WallTime time);
WallTime time_of(std::int64_t seconds);

struct AuthorityRecord {
  pki::Certificate certificate;
  std::int64_t issues_from = 0;
  bool is_retired = false;
  bool has_key = false;  // on this machine
};

class Authorities {
 public:
  // `directory`: where the keys are, FINGERPRINT's first 16 digits.key and .pem.
  explicit Authorities(std::string directory) : directory_(std::move(directory)) {}

  // Keys are there, whatever the database says.
  bool has_files() const;
  // As the database has them now. Empty: done; else what is wrong, and what to do.
  std::string load(Database& database);

  // A new one, on the disk; in the database when the transaction that is open commits. Throws
  // std::runtime_error where OpenSSL cannot.
  // `problem`: why there is none.
  std::optional<pki::Certificate> add(Database& database, const net::Prefix& network, const std::string& name,
                                      WallTime now, WallTime issues_from, std::string& problem);
  // False: there is no such one, or it is the only one left.
  bool retire(Database& database, const std::string& fingerprint, WallTime now);

  // Of those that are not retired and have not expired. nullptr: none, or its key is not on this machine.
  const pki::Authority* root(WallTime now) const;
  const pki::Authority* issuer(WallTime now) const;
  // Not retired; the root first, then by age.
  std::vector<pki::Certificate> certificates(WallTime now) const;
  pki::TrustAnchor anchor(WallTime now) const;
  const std::vector<AuthorityRecord>& all() const { return records_; }

 private:
  struct Usable {
    pki::Authority authority;
    std::int64_t issues_from;
  };
  std::string path_of(const pki::Certificate& certificate, const char* suffix) const;

  std::string directory_;
  std::vector<AuthorityRecord> records_;  // by age
  std::vector<Usable> usable_;            // with keys, not retired; by age
};

}  // namespace sixlink::registry
