// SPDX-License-Identifier: BSD-3-Clause
// SQLite as the mesh's database.
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>

#include "registry/ca/database.h"

namespace sixlink::registry {
namespace {

// Commands and the server write for milliseconds; a backup may hold it longer.
constexpr int kBusyMilliseconds = 5000;

// "6LNM": tells our file from another program's database.
constexpr std::int64_t kApplicationId = 0x364c4e4d;

struct Close {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
struct Reset {
  void operator()(sqlite3_stmt* statement) const {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
  }
};

class SqliteDatabase final : public Database {
 public:
  explicit SqliteDatabase(sqlite3* database) : database_(database) {}

  // Empty: it is ours now.
  std::string prepare() {
    sqlite3_busy_timeout(database_.get(), kBusyMilliseconds);
    const auto application = pragma("PRAGMA application_id");
    const auto tables = pragma("SELECT count(*) FROM sqlite_master");
    if (has_failed_) return problem_;
    if (application != kApplicationId && (application != 0 || tables != 0))
      return "the file is an SQLite database, but not one of a mesh's";
    run_values("PRAGMA journal_mode = WAL", {});
    run_values("PRAGMA synchronous = FULL", {});
    if (application == 0) run_values("PRAGMA application_id = " + std::to_string(kApplicationId), {});
    return has_failed_ ? problem_ : std::string();
  }

  bool begin(Durability durability) override {
    has_failed_ = false;
    is_relaxed_ = durability == Durability::kRelaxed;
    if (is_relaxed_) run_values("PRAGMA synchronous = NORMAL", {});
    run_values("BEGIN IMMEDIATE", {});
    is_open_ = !has_failed_;
    if (!is_open_) restore();
    return is_open_;
  }

  bool commit() override {
    const bool was_good = is_open_ && !has_failed_;
    if (was_good) run_values("COMMIT", {});
    const bool is_done = was_good && !has_failed_;
    if (!is_done) roll_back();
    is_open_ = false;
    restore();
    return is_done;
  }

  void rollback() override {
    roll_back();
    is_open_ = false;
    restore();
  }

  Rows run_values(std::string_view sql, const std::vector<Value>& values) override {
    if (is_open_ && has_failed_) return {};
    has_failed_ = false;
    const std::unique_ptr<sqlite3_stmt, Reset> statement(prepared(sql));
    if (!statement) return {};
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto name = "$" + std::to_string(i + 1);
      bind(statement.get(), sqlite3_bind_parameter_index(statement.get(), name.c_str()), values[i]);
    }
    Rows rows;
    int code = 0;
    while ((code = sqlite3_step(statement.get())) == SQLITE_ROW) rows.push_back(read(statement.get()));
    if (code != SQLITE_DONE) {
      fail();
      return {};
    }
    changed_ = static_cast<std::size_t>(sqlite3_changes(database_.get()));
    return rows;
  }

  std::size_t changed() const override { return changed_; }
  bool has_failed() const override { return has_failed_; }
  const std::string& problem() const override { return problem_; }

 private:
  void fail() {
    has_failed_ = true;
    problem_ = sqlite3_errmsg(database_.get());
  }

  void roll_back() {
    // Some errors (disk full, I/O) have rolled back by themselves.
    if (sqlite3_get_autocommit(database_.get()) == 0)
      sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  }

  void restore() {
    if (is_relaxed_) sqlite3_exec(database_.get(), "PRAGMA synchronous = FULL", nullptr, nullptr, nullptr);
    is_relaxed_ = false;
  }

  std::int64_t pragma(std::string_view sql) {
    const auto rows = run_values(sql, {});
    return rows.empty() ? 0 : rows.front().number(0);
  }

  sqlite3_stmt* prepared(std::string_view sql) {
    auto found = statements_.find(sql);
    if (found == statements_.end()) {
      sqlite3_stmt* made = nullptr;
      if (sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()),
                             SQLITE_PREPARE_PERSISTENT, &made, nullptr) != SQLITE_OK) {
        fail();
        return nullptr;
      }
      found = statements_.emplace(std::string(sql), made).first;
    }
    return found->second.get();
  }

  static void bind(sqlite3_stmt* statement, int index, const Value& value) {
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      sqlite3_bind_int64(statement, index, *number);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      // The caller's values live until the statement is reset.
      sqlite3_bind_text64(statement, index, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8);
    }
  }

  static Row read(sqlite3_stmt* statement) {
    std::vector<Value> values;
    const int count = sqlite3_column_count(statement);
    for (int column = 0; column < count; ++column) {
      switch (sqlite3_column_type(statement, column)) {
        case SQLITE_NULL:
          values.emplace_back();
          break;
        case SQLITE_INTEGER:
          values.emplace_back(std::int64_t{sqlite3_column_int64(statement, column)});
          break;
        default: {
          const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, column));
          const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
          values.emplace_back(std::string(bytes ? bytes : "", bytes ? size : 0));
        }
      }
    }
    return Row(std::move(values));
  }

  std::unique_ptr<sqlite3, Close> database_;
  std::map<std::string, std::unique_ptr<sqlite3_stmt, Finalize>, std::less<>> statements_;  // goes first
  std::size_t changed_ = 0;
  bool is_open_ = false;
  bool is_relaxed_ = false;
  bool has_failed_ = false;
  std::string problem_;
};

// SQLite would make it with the umask's mode.
std::string make_private_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file >= 0) {
    ::close(file);
    return {};
  }
  if (errno != EEXIST) return std::strerror(errno);
  return ::chmod(path.c_str(), 0600) == 0 ? std::string() : std::string(std::strerror(errno));
}

}  // namespace

std::int64_t Database::Row::number(std::size_t column) const {
  const auto* value = std::get_if<std::int64_t>(&values_.at(column));
  return value ? *value : 0;
}

const std::string& Database::Row::text(std::size_t column) const {
  static const std::string empty;
  const auto* value = std::get_if<std::string>(&values_.at(column));
  return value ? *value : empty;
}

OpenedDatabase open_sqlite(const std::string& path) {
  const auto cannot = [&](const std::string& why) {
    return OpenedDatabase{nullptr, "cannot open the database " + path + ": " + why};
  };
  if (path != ":memory:") {
    if (const auto problem = make_private_file(path); !problem.empty()) return cannot(problem);
  }
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE, nullptr);
  auto database = std::make_unique<SqliteDatabase>(handle);
  if (code != SQLITE_OK) return cannot(sqlite3_errstr(code));
  if (sqlite3_db_readonly(handle, "main") == 1) return cannot("it may not be written to");
  if (const auto problem = database->prepare(); !problem.empty()) return cannot(problem);
  return {std::move(database), {}};
}

bool is_postgres(std::string_view where) {
  return where.starts_with("postgresql://") || where.starts_with("postgres://");
}

OpenedDatabase open_database(const std::string& where) {
  return is_postgres(where) ? open_postgres(where) : open_sqlite(where);
}

}  // namespace sixlink::registry
