// SPDX-License-Identifier: BSD-3-Clause
// The users in the registry's database, from the command line.
#include "registry/users.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <iomanip>
#include <map>
#include <ostream>
#include <variant>
#include <vector>

#include "registry/config.h"
#include "registry/store/store.h"
#include "src/pki/secret.h"

namespace sixlink::registry {
namespace {

constexpr std::size_t kLongestName = 64;
constexpr std::size_t kLongestPassword = 256;

// A password, or what to tell the user.
using Asked = std::variant<pki::Secret, std::string>;

constexpr char kInterrupt = '\x03';  // Ctrl-C

// A terminal that does not show what is typed. Ctrl-C ends the line rather than the program, which would
// leave the echo off.
class SilentTerminal {
 public:
  explicit SilentTerminal(int terminal) : terminal_(terminal) {
    if (::tcgetattr(terminal, &before_) != 0) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO | ISIG);
    silent.c_lflag |= ICANON | ECHONL;
    silent.c_cc[VEOL] = kInterrupt;
    is_silent_ = ::tcsetattr(terminal, TCSAFLUSH, &silent) == 0;
  }
  ~SilentTerminal() {
    if (is_silent_) ::tcsetattr(terminal_, TCSAFLUSH, &before_);
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;
  bool is_silent() const { return is_silent_; }

 private:
  int terminal_;
  termios before_{};
  bool is_silent_ = false;
};

// Wipes itself; a std::string that grows would leave copies behind.
struct LineBuffer {
  // Room for a password, its end of line, and one byte more to see that it is too long.
  char bytes[kLongestPassword + 3] = {};
  std::size_t used = 0;
  LineBuffer() = default;
  LineBuffer(const LineBuffer&) = delete;
  LineBuffer& operator=(const LineBuffer&) = delete;
  ~LineBuffer() { OPENSSL_cleanse(bytes, sizeof bytes); }
};

// One line without its end. Byte by byte: what follows is the next question's answer.
Asked read_password_line(int input, const std::string& source, bool is_terminal = false) {
  LineBuffer line;
  bool is_ended = false;
  while (!is_ended && line.used < sizeof line.bytes) {
    const ssize_t count = ::read(input, line.bytes + line.used, 1);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return "cannot read the password from " + source + ": " + std::strerror(errno);
    if (count == 0) break;
    const char byte = line.bytes[line.used];
    if (is_terminal && byte == kInterrupt) return std::string("interrupted, nothing was changed");
    is_ended = byte == '\n';
    if (!is_ended) ++line.used;
  }
  if (line.used > 0 && line.bytes[line.used - 1] == '\r') --line.used;
  const std::string_view text(line.bytes, line.used);
  if (text.empty()) return "no password was given on " + source + ", nothing was changed";
  if (!is_password(text)) {
    return std::string(
        "the password must have 1 to 256 bytes without NUL and carriage return, nothing was changed");
  }
  return pki::Secret(text);
}

Asked ask_on_terminal(int terminal, const std::string& name, std::ostream& err) {
  const SilentTerminal silent(terminal);
  if (!silent.is_silent()) {
    return std::string("cannot turn off the terminal's echo: ") + std::strerror(errno) +
           "; use --password-file";
  }
  err << "Password for " << name << ": " << std::flush;
  auto first = read_password_line(terminal, "the terminal", true);
  if (std::holds_alternative<std::string>(first)) return first;
  err << "The same again: " << std::flush;
  const auto second = read_password_line(terminal, "the terminal", true);
  if (std::holds_alternative<std::string>(second)) return std::get<std::string>(second);
  if (!pki::equal_constant_time(std::get<pki::Secret>(first).reveal(),
                                std::get<pki::Secret>(second).reveal())) {
    return std::string("the two passwords differ, nothing was changed");
  }
  return first;
}

Asked get_password(const Options& options, int input, std::ostream& err) {
  if (options.password_file) {
    const int file = ::open(options.password_file->c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return "cannot open " + *options.password_file + ": " + std::strerror(errno);
    auto asked = read_password_line(file, *options.password_file);
    ::close(file);
    return asked;
  }
  if (::isatty(input) == 1) return ask_on_terminal(input, options.user_name, err);
  return read_password_line(input, "standard input");
}

std::string date(WallSeconds when) {
  const std::time_t seconds = static_cast<std::time_t>(when);
  std::tm parts{};
  char text[32];
  if (::gmtime_r(&seconds, &parts) == nullptr) return "-";
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts));
}

class UserCommand {
 public:
  UserCommand(const Options& options, const Config& config, Store& store, int input, std::ostream& out,
              std::ostream& err)
      : options_(options), config_(config), store_(store), input_(input), out_(out), err_(err) {}

  int run() {
    if (options_.command == Command::kUserList) return list();
    if (!is_user_name(options_.user_name)) {
      return complain(
          "\"" + options_.user_name +
              "\" is no user name: it has 1 to 64 ASCII letters, digits and signs, no blanks, no quotes, "
              "no backslash, no colon",
          kExitBadConfiguration);
    }
    switch (options_.command) {
      case Command::kUserAdd:
        return add();
      case Command::kUserPasswd:
        return change_password();
      case Command::kUserDel:
        return remove();
      default:
        return complain("not a user command", kExitBadConfiguration);
    }
  }

 private:
  int complain(const std::string& text, int code = kExitFailure) {
    err_ << "sixlink-registry: " << text << "\n";
    return code;
  }
  int store_failed(const boost::system::error_code& error) {
    std::string text = config_.database_path() + ": " + error.message();
    if (error.category() == store_category() && (error.value() & 0xff) == SQLITE_BUSY) {
      text += "; another program holds it, try again";
    }
    return complain(text);
  }

  // The hash, or nullopt after telling why not.
  std::optional<std::string> hash_password() {
    const auto asked = get_password(options_, input_, err_);
    if (const auto* message = std::get_if<std::string>(&asked)) {
      complain(*message);
      return std::nullopt;
    }
    const auto hash = password_hash(options_.user_name, config_.realm, std::get<pki::Secret>(asked).reveal());
    if (!hash) {
      complain("cannot hash the password: " + hash.error().message());
      return std::nullopt;
    }
    return *hash;
  }

  int add() {
    // Before asking for a password in vain.
    const auto known = store_.find_user(options_.user_name);
    if (!known) return store_failed(known.error());
    if (*known) return already_there();
    const auto hash = hash_password();
    if (!hash) return kExitFailure;
    const auto added = store_.add_user({options_.user_name, config_.realm, *hash, std::time(nullptr)});
    if (!added) return store_failed(added.error());
    if (!*added) return already_there();
    out_ << "user " << options_.user_name << " added\n";
    return kExitOk;
  }
  int already_there() {
    return complain("user " + options_.user_name +
                    " exists already; to change the password: sixlink-registry user passwd " +
                    options_.user_name);
  }

  int change_password() {
    const auto known = store_.find_user(options_.user_name);
    if (!known) return store_failed(known.error());
    if (!*known) return not_there();
    const auto hash = hash_password();
    if (!hash) return kExitFailure;
    const auto changed = store_.set_password(options_.user_name, config_.realm, *hash);
    if (!changed) return store_failed(changed.error());
    if (!*changed) return not_there();
    out_ << "password of user " << options_.user_name << " changed\n";
    return kExitOk;
  }
  int not_there() {
    return complain("there is no user " + options_.user_name + "; to see who is: sixlink-registry user list");
  }

  int remove() {
    const auto deleted = store_.delete_user(options_.user_name);
    if (!deleted) return store_failed(deleted.error());
    if (!*deleted) return not_there();
    out_ << "user " << options_.user_name
         << " deleted; a running server ends the tunnel at its next check, at once on SIGHUP\n";
    return kExitOk;
  }

  // A user's leases.
  struct Held {
    WallSeconds last_seen = 0;
    std::string text;
  };

  static std::string inner_text(const Lease& lease) {
    if (!is_v4_inside(lease.mode))
      return lease.address.to_string() + (lease.address_v4 ? " " + lease.address_v4->to_string() : "") +
             (lease.prefix ? " " + lease.prefix->to_string() : "");
    const auto address = net::unmapped(net::Prefix{lease.address, 128});
    const auto prefix = lease.prefix ? net::unmapped(*lease.prefix) : std::nullopt;
    return (address ? address->address.to_string() : lease.address.to_string()) +
           (prefix ? " " + prefix->to_string() : "");
  }

  int list() {
    const auto users = store_.list_users();
    if (!users) return store_failed(users.error());
    const auto leases = store_.load_leases();
    if (!leases) return store_failed(leases.error());
    if (users->empty()) {
      err_ << "there are no users yet; to add one: sixlink-registry user add NAME\n";
      return kExitOk;
    }
    std::map<std::string, Held> held;
    for (const Lease& lease : leases->leases) {
      auto& of_user = held[lease.user];
      of_user.last_seen = std::max(of_user.last_seen, lease.last_seen);
      of_user.text += (of_user.text.empty() ? "" : ", ") + inner_text(lease);
    }
    int width = 4;
    for (const User& user : *users) width = std::max(width, static_cast<int>(user.name.size()));
    out_ << std::left << std::setw(width) << "NAME"
         << "  CREATED               LAST SEEN             ADDRESS AND PREFIX\n";
    for (const User& user : *users) {
      const auto lease = held.find(user.name);
      const bool has_lease = lease != held.end();
      out_ << std::setw(width) << user.name << "  " << std::setw(20) << date(user.created) << "  "
           << std::setw(20) << (has_lease ? date(lease->second.last_seen) : "-") << "  "
           << (has_lease ? lease->second.text : "-");
      if (user.realm != config_.realm)
        out_ << "  (realm was \"" << user.realm << "\": set the password again)";
      out_ << "\n";
    }
    return kExitOk;
  }

  const Options& options_;
  const Config& config_;
  Store& store_;
  int input_;
  std::ostream& out_;
  std::ostream& err_;
};

}  // namespace

bool is_user_name(std::string_view name) {
  if (name.empty() || name.size() > kLongestName) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return c > ' ' && c <= '~' && std::string_view("\"'`\\:").find(c) == std::string_view::npos;
  });
}

bool is_password(std::string_view password) {
  return !password.empty() && password.size() <= kLongestPassword &&
         password.find_first_of(std::string_view("\0\r\n", 3)) == std::string_view::npos;
}

boost::system::result<std::string> password_hash(std::string_view name, std::string_view realm,
                                                 std::string_view password) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  const auto refused = boost::system::errc::make_error_code(boost::system::errc::not_supported);
  if (!context || EVP_DigestInit_ex(context.get(), EVP_md5(), nullptr) != 1) return refused;
  for (const std::string_view part : {name, std::string_view(":"), realm, std::string_view(":"), password}) {
    if (EVP_DigestUpdate(context.get(), part.data(), part.size()) != 1) return refused;
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_DigestFinal_ex(context.get(), digest, &size) != 1) return refused;
  std::string hash(digest, digest + size);
  OPENSSL_cleanse(digest, sizeof digest);
  return hash;
}

int run_user_command(const Options& options, int input, std::ostream& out, std::ostream& err) {
  const LoadedConfig loaded = load_config(options.config_file);
  for (const auto& problem : loaded.problems) err << config::to_string(options.config_file, problem) << "\n";
  if (!loaded.config) return kExitBadConfiguration;
  auto store = Store::open(loaded.config->database_path());
  if (!store) {
    err << "sixlink-registry: cannot open the database " << loaded.config->database_path() << ": "
        << store.error().message();
    if (store.error() == boost::system::errc::no_such_file_or_directory) {
      err << "; create " << loaded.config->state_dir << ", or correct state_dir in " << options.config_file;
    } else if (store.error() == boost::system::errc::permission_denied) {
      err << "; run as root";
    }
    err << "\n";
    return kExitFailure;
  }
  return UserCommand(options, *loaded.config, *store, input, out, err).run();
}

}  // namespace sixlink::registry
