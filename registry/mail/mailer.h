// SPDX-License-Identifier: BSD-3-Clause
// Sends tokens by e-mail: SMTP (RFC 5321) with STARTTLS (RFC 3207) or TLS from the start, and login, over
// libcurl, in a thread of its own.
#pragma once

#include <spdlog/logger.h>

#include <cstdint>
#include <memory>
#include <string>

#include "src/pki/secret.h"

namespace sixlink::registry {

enum class SmtpSecurity { kStartTls, kTls, kNone };

struct MailSettings {
  static constexpr std::uint16_t kSubmission = 587;     // RFC 6409
  static constexpr std::uint16_t kSubmissionTls = 465;  // RFC 8314
  std::string host;                                     // smtp_server=; empty: no e-mail is sent
  std::uint16_t port = 0;                               // 0: as smtp_security says
  SmtpSecurity security = SmtpSecurity::kStartTls;      // smtp_security=
  std::string user;                                     // smtp_user=; empty: no login
  std::shared_ptr<const pki::Secret> password;          // smtp_password=
  std::string from;                                     // smtp_from=
  std::string authorities;                              // smtp_ca_file=; empty: the system's

  bool is_on() const { return !host.empty(); }
};

struct Mail {
  std::string to;
  std::string subject;  // ASCII
  std::string body;     // lines end with \n
};

class Mailer {
 public:
  static constexpr std::size_t kMostWaiting = 64;

  // `log` outlives it.
  Mailer(MailSettings settings, spdlog::logger& log);
  // Gives up what is not sent yet, within a second.
  ~Mailer();
  Mailer(const Mailer&) = delete;
  Mailer& operator=(const Mailer&) = delete;

  // False: too many wait. What cannot be sent is tried again, three times in all, and then told in the log.
  bool send(Mail mail);

 private:
  class Worker;
  std::unique_ptr<Worker> worker_;
};

// As it is sent (RFC 5322). `now`: seconds since 1970.
std::string mail_text(const Mail& mail, const std::string& from, std::int64_t now, const std::string& id);

}  // namespace sixlink::registry
