// SPDX-License-Identifier: BSD-3-Clause
#include "registry/dns/nsupdate.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/unit/temporary_directory.h"

using namespace sixlink;
using namespace sixlink::registry::dns;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

// The outputs are those of nsupdate 9.18.
TEST_CASE("nsupdate: success") {
  const auto result = interpret_nsupdate(0, "");
  CHECK(result.has_succeeded);
  CHECK(result.problem.empty());
}

TEST_CASE("nsupdate: nobody answers") {
  const auto result = interpret_nsupdate(2, "; Communication with 192.0.2.1#53 failed: operation canceled\n");
  CHECK_FALSE(result.has_succeeded);
  CHECK_FALSE(result.was_answered);
  CHECK(result.failure == UpdateQueue::Failure::kZone);
  CHECK(result.problem == "Communication with 192.0.2.1#53 failed: operation canceled");
}

TEST_CASE("nsupdate: the server's name cannot be looked up") {
  const auto result = interpret_nsupdate(1, "couldn't get address for 'ns.example': failure\nsyntax error\n");
  CHECK_FALSE(result.was_answered);
  CHECK(result.failure == UpdateQueue::Failure::kZone);
  CHECK(result.problem == "couldn't get address for 'ns.example': failure");
}

TEST_CASE("nsupdate: a key that the server does not accept is about the zone") {
  for (const char* code : {"BADKEY", "BADSIG", "BADTIME"}) {
    const auto result = interpret_nsupdate(2, std::string("; TSIG error with server: tsig indicates error\n"
                                                          "update failed: NOTAUTH(") +
                                                  code + ")\n");
    CHECK(result.was_answered);
    CHECK(result.failure == UpdateQueue::Failure::kZone);
    CHECK(contains(result.problem, code));
    CHECK(contains(result.problem, "dns_update_key"));
  }
  const auto result = interpret_nsupdate(2, "update failed: NOTAUTH\n");
  CHECK(result.failure == UpdateQueue::Failure::kZone);
  CHECK(contains(result.problem, "not the primary"));
}

TEST_CASE("nsupdate: a refusal may be about one name") {
  auto result = interpret_nsupdate(2, "update failed: REFUSED\n");
  CHECK(result.was_answered);
  CHECK(result.failure == UpdateQueue::Failure::kRefused);
  CHECK(contains(result.problem, "allow-update"));
  result = interpret_nsupdate(1, "check-names failed: bad name 'n_s.example.org'\nsyntax error\n");
  CHECK(result.failure == UpdateQueue::Failure::kRefused);
  CHECK(result.problem == "check-names failed: bad name 'n_s.example.org'");
}

TEST_CASE("nsupdate: what it says is fit for a log") {
  const auto result = interpret_nsupdate(2, "\x1b[31mupdate failed: " + std::string(2000, 'x') + "\n");
  CHECK(result.problem.size() < 1000);
  CHECK_FALSE(contains(result.problem, "\x1b"));
  CHECK(interpret_nsupdate(9, "").problem == "nsupdate failed (exit 9)");
}

TEST_CASE("nsupdate: a key that others may read is told") {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("key");
  CHECK(contains(key_file_problem(path), "No such file"));
  std::ofstream(path) << "key";
  for (const unsigned good : {0600U, 0640U, 0400U, 0440U}) {
    REQUIRE(::chmod(path.c_str(), good) == 0);
    CHECK(key_file_problem(path).empty());
  }
  for (const unsigned bad : {0644U, 0604U, 0660U, 0602U, 0666U}) {
    REQUIRE(::chmod(path.c_str(), bad) == 0);
    CHECK(contains(key_file_problem(path), "chmod 640"));
  }
}
