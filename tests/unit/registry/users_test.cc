// SPDX-License-Identifier: BSD-3-Clause
#include "registry/users.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "registry/store/store.h"
#include "tests/unit/temporary_directory.h"

using namespace sixlink::registry;
using sixlink::test::TemporaryDirectory;

namespace {

std::string hex(const std::string& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

// A registry's configuration and database.
class Registry {
 public:
  Registry() {
    std::ofstream(config_) << "prefix=2001:db8:42::/48\nstate_dir=" << directory_.file("") << "\n";
  }

  Options options(Command command, const std::string& name = "") const {
    Options made;
    made.command = command;
    made.config_file = config_;
    made.user_name = name;
    return made;
  }
  // With `typed` on standard input.
  Outcome run(const Options& options, const std::string& typed = "") const {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    REQUIRE(::write(ends[1], typed.data(), typed.size()) == static_cast<ssize_t>(typed.size()));
    ::close(ends[1]);
    auto outcome = run_on(options, ends[0]);
    ::close(ends[0]);
    return outcome;
  }
  Outcome run(Command command, const std::string& name = "", const std::string& typed = "") const {
    return run(options(command, name), typed);
  }
  Outcome run_on(const Options& options, int input) const {
    std::ostringstream out;
    std::ostringstream err;
    const int code = run_user_command(options, input, out, err);
    return {code, out.str(), err.str()};
  }
  std::optional<User> find(const std::string& name) const {
    return Store::open(directory_.file("registry.db")).value().find_user(name).value();
  }
  std::string file(const std::string& name) const { return directory_.file(name); }
  const std::string& config() const { return config_; }

 private:
  TemporaryDirectory directory_;
  std::string config_ = directory_.file("registry.conf");
};

// A pair of pseudo-terminal ends: what the test types on one is what the program reads from the other.
class Terminal {
 public:
  Terminal() : keyboard_(::posix_openpt(O_RDWR | O_NOCTTY)) {
    REQUIRE(keyboard_ >= 0);
    REQUIRE(::grantpt(keyboard_) == 0);
    REQUIRE(::unlockpt(keyboard_) == 0);
    program_ = ::open(::ptsname(keyboard_), O_RDWR | O_NOCTTY);
    REQUIRE(program_ >= 0);
  }
  ~Terminal() {
    ::close(program_);
    ::close(keyboard_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  int program() const { return program_; }
  bool echoes() const {
    termios now{};
    REQUIRE(::tcgetattr(program_, &now) == 0);
    return (now.c_lflag & ECHO) != 0;
  }
  // As soon as the echo is off: what was typed before is thrown away.
  void type_when_silent(const std::string& text) const {
    for (int i = 0; i < 5000; ++i) {
      termios now{};
      if (::tcgetattr(program_, &now) == 0 && (now.c_lflag & ECHO) == 0) break;
      ::usleep(1000);
    }
    if (::write(keyboard_, text.data(), text.size()) < 0) return;
  }
  std::string shown() const {
    char buffer[4096];
    ::fcntl(keyboard_, F_SETFL, O_NONBLOCK);
    const ssize_t count = ::read(keyboard_, buffer, sizeof buffer);
    return count < 0 ? std::string() : std::string(buffer, static_cast<std::size_t>(count));
  }

 private:
  int keyboard_;
  int program_ = -1;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("users: the stored hash is RFC 2831's H(user, realm, password)") {
  // The values of RFC 2831 section 4's example, hashed with md5sum.
  CHECK(hex(password_hash("chris", "elwood.innosoft.com", "secret").value()) ==
        "eb5a750053e4d2c34aa84bbc9b0b6ee7");
  CHECK(hex(password_hash("alice", "sixlink", "s3cret").value()) == "607d58d2da7bb40945ebdff294354c73");
}

TEST_CASE("users: names and passwords that are allowed") {
  for (const char* good : {"a", "alice", "alice@example.net", "A-1_b.c+d", "-x", "{}"})
    CHECK(is_user_name(good));
  CHECK(is_user_name(std::string(64, 'a')));
  for (const char* bad : {"", "a b", "a:b", "a\"b", "a'b", "a\\b", "a\nb", "a\tb", "\x7f", "\xc3\xa9"}) {
    CHECK_FALSE(is_user_name(bad));
  }
  CHECK_FALSE(is_user_name(std::string(65, 'a')));
  CHECK_FALSE(is_user_name(std::string_view("a\0b", 3)));
  CHECK(is_password("x"));
  CHECK(is_password("with blanks: and \"all\" \xc3\xa9 \x03"));
  CHECK(is_password(std::string(256, 'x')));
  CHECK_FALSE(is_password(""));
  CHECK_FALSE(is_password(std::string(257, 'x')));
  CHECK_FALSE(is_password("a\rb"));
  CHECK_FALSE(is_password(std::string_view("a\0b", 3)));
}

TEST_CASE("users: add, list, change and delete with the password on standard input") {
  const Registry registry;
  auto outcome = registry.run(Command::kUserList);
  CHECK(outcome.code == 0);
  CHECK(contains(outcome.err, "no users yet"));

  outcome = registry.run(Command::kUserAdd, "alice", "s3cret\nignored\n");
  CHECK_MESSAGE(outcome.code == 0, outcome.err);
  CHECK(outcome.out == "user alice added\n");
  REQUIRE(registry.find("alice").has_value());
  CHECK(registry.find("alice")->ha1 == password_hash("alice", "sixlink", "s3cret").value());
  CHECK(registry.find("alice")->realm == "sixlink");

  outcome = registry.run(Command::kUserAdd, "alice", "other\n");
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.err,
                 "user alice exists already; to change the password: sixlink-registry user passwd alice"));

  CHECK(registry.run(Command::kUserPasswd, "alice", "last line without an end").code == 0);
  CHECK(registry.find("alice")->ha1 == password_hash("alice", "sixlink", "last line without an end").value());
  CHECK(registry.run(Command::kUserPasswd, "bob", "x\n").code == 1);

  CHECK(registry.run(Command::kUserAdd, "bob@example.net", "windows\r\n").code == 0);
  CHECK(registry.find("bob@example.net")->ha1 ==
        password_hash("bob@example.net", "sixlink", "windows").value());

  outcome = registry.run(Command::kUserList);
  CHECK(outcome.code == 0);
  CHECK(contains(outcome.out, "\nalice  "));
  CHECK(contains(outcome.out, "\nbob@example.net  "));
  CHECK_FALSE(contains(outcome.out, "realm"));

  CHECK(registry.run(Command::kUserDel, "alice").code == 0);
  CHECK_FALSE(registry.find("alice").has_value());
  outcome = registry.run(Command::kUserDel, "alice");
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.err, "there is no user alice"));
}

TEST_CASE("users: list shows what is held and who needs a new password") {
  const Registry registry;
  REQUIRE(registry.run(Command::kUserAdd, "alice", "s3cret\n").code == 0);
  {
    auto store = Store::open(registry.file("registry.db")).value();
    Lease lease;
    lease.id = 1;
    lease.user = "alice";
    lease.address = sixlink::net::parse_v6("2001:db8:42::2").value();
    lease.prefix = sixlink::net::Prefix::parse("2001:db8:42:100::/56");
    lease.last_seen = 1700000000;
    REQUIRE_FALSE(store.put_lease(lease));
    lease.id = 2;
    lease.mode = LeaseMode::kV4V6;
    lease.address = sixlink::net::parse_v6("::ffff:203.0.113.2").value();
    lease.prefix = sixlink::net::v4_mapped(sixlink::net::PrefixV4::parse("203.0.113.8/29").value());
    lease.last_seen = 1600000000;
    REQUIRE_FALSE(store.put_lease(lease));
  }
  std::ofstream(registry.config(), std::ios::app) << "realm=another\n";
  const auto outcome = registry.run(Command::kUserList);
  CHECK(contains(outcome.out, "2023-11-14T22:13:20Z"));
  CHECK(contains(outcome.out, "2001:db8:42::2 2001:db8:42:100::/56, 203.0.113.2 203.0.113.8/29"));
  CHECK(contains(outcome.out, "(realm was \"sixlink\": set the password again)"));
}

TEST_CASE("users: passwords that cannot be used change nothing") {
  const Registry registry;
  for (const std::string& typed : {std::string(), std::string("\n"), std::string(257, 'x') + "\n",
                                   std::string(5000, 'x'), std::string("a\0b\n", 4), std::string("a\rb\n")}) {
    const auto outcome = registry.run(Command::kUserAdd, "alice", typed);
    CHECK(outcome.code == 1);
    CHECK(contains(outcome.err, "nothing was changed"));
    CHECK_FALSE(registry.find("alice").has_value());
  }
  const auto outcome = registry.run(Command::kUserAdd, "al ice", "x\n");
  CHECK(outcome.code == 3);
  CHECK(contains(outcome.err, "is no user name"));
  CHECK(registry.run(Command::kUserAdd, "alice", std::string(256, 'x') + "\r\n").code == 0);
}

TEST_CASE("users: the password from a file") {
  const Registry registry;
  Options options = registry.options(Command::kUserAdd, "alice");
  options.password_file = registry.file("password");
  auto outcome = registry.run(options);
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.err, "cannot open " + registry.file("password") + ": No such file or directory"));
  std::ofstream(registry.file("password")) << "s3cret\n";
  CHECK(registry.run(options).code == 0);
  CHECK(registry.find("alice")->ha1 == password_hash("alice", "sixlink", "s3cret").value());
}

TEST_CASE("users: on a terminal the password is asked for twice and not shown") {
  const Registry registry;
  const Terminal terminal;
  const Options options = registry.options(Command::kUserAdd, "alice");
  const auto type = [&](const std::string& text) {
    std::thread typist([&] { terminal.type_when_silent(text); });
    auto outcome = registry.run_on(options, terminal.program());
    typist.join();
    CHECK(terminal.echoes());
    CHECK_FALSE(contains(terminal.shown(), "cret"));
    return outcome;
  };
  auto outcome = type("s3cret\nS3cret\n");
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.err, "Password for alice: The same again: "));
  CHECK(contains(outcome.err, "the two passwords differ, nothing was changed"));
  outcome = type("s3cret\x03");
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.err, "interrupted, nothing was changed"));
  CHECK_FALSE(registry.find("alice").has_value());
  outcome = type("s3cret\ns3cret\n");
  CHECK_MESSAGE(outcome.code == 0, outcome.err);
  CHECK(registry.find("alice")->ha1 == password_hash("alice", "sixlink", "s3cret").value());
}

TEST_CASE("users: a bad configuration or database is told") {
  const Registry registry;
  Options options = registry.options(Command::kUserList);
  options.config_file = registry.file("missing.conf");
  auto outcome = registry.run(options);
  CHECK(outcome.code == 3);
  CHECK(contains(outcome.err, "missing.conf: cannot read the configuration: No such file or directory"));

  std::ofstream(registry.config()) << "prefix=nonsense\nmtu=1\n";
  outcome = registry.run(Command::kUserList);
  CHECK(outcome.code == 3);
  CHECK(contains(outcome.err, ":1: prefix: "));
  CHECK(contains(outcome.err, ":2: mtu: "));

  std::ofstream(registry.config()) << "prefix=2001:db8:42::/48\nstate_dir=" << registry.file("missing")
                                   << "\n";
  outcome = registry.run(Command::kUserList);
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.err, "cannot open the database " + registry.file("missing/registry.db") +
                                  ": No such file or directory; create " + registry.file("missing")));

  std::ofstream(registry.config()) << "prefix=2001:db8:42::/48\nstate_dir=" << registry.file("") << "\n";
  std::ofstream(registry.file("registry.db")) << std::string(4096, 'x');
  outcome = registry.run(Command::kUserList);
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.err, "file is not a database"));
}
