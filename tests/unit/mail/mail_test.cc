// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include "registry/mail/email_address.h"
#include "registry/mail/mailer.h"

using namespace sixlink::registry;

TEST_CASE("e-mail address: what can be sent to, and nothing that ends a header or a command") {
  for (const char* good : {"a@example.net", "a.b+c@mail.example.net", "o'brien@example.net", "x_y@localhost"})
    CHECK_MESSAGE(is_email_address(good), good);
  for (const char* bad : {"", "a", "@example.net", "a@", "a@@example.net", "a b@example.net",
                          "a@example.net\r\nBcc: b@example.net", "<a@example.net>", "\"a\"@example.net",
                          ".a@example.net", "a.@example.net", "a..b@example.net", "-a@example.net",
                          "a@-example.net", "a@example.net,b@example.net", "a@exa mple.net", "a@[192.0.2.1]"})
    CHECK_FALSE_MESSAGE(is_email_address(bad), bad);
  CHECK_FALSE(is_email_address(std::string(65, 'a') + "@example.net"));
}

TEST_CASE("mailer: the text that is sent") {
  const Mail mail{"a@example.net", "Your token", "one\ntwo\n"};
  CHECK(mail_text(mail, "registry@example.org", 1772366400, "id") ==
        "Date: Sun, 01 Mar 2026 12:00:00 +0000\r\nFrom: registry@example.org\r\nTo: a@example.net\r\n"
        "Subject: Your token\r\nMessage-ID: <id@example.org>\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\nAuto-Submitted: auto-generated\r\n\r\n"
        "one\r\ntwo\r\n");
}
