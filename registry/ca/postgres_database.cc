// SPDX-License-Identifier: BSD-3-Clause
// PostgreSQL (or what speaks its protocol) as the mesh's database, for several registries. libpq, not
// libpqxx: the little that is needed of it does not depend on which C++ a distribution built its library
// with.
#if __has_include(<libpq-fe.h>)
#include <libpq-fe.h>
#else
#include <postgresql/libpq-fe.h>
#endif

#include <charconv>
#include <chrono>

#include "registry/ca/database.h"

namespace sixlink::registry {
namespace {

// Types of columns, as PostgreSQL's catalogue numbers them.
constexpr Oid kInt8 = 20;
constexpr Oid kInt2 = 21;
constexpr Oid kInt4 = 23;

// A server that is not there must not hold the registry up for minutes, nor a transaction that hangs.
constexpr const char* kOurSettings =
    "SET statement_timeout = '10s'; SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '30s';"
    " SET client_min_messages = warning";
constexpr const char* kConnectSeconds = "5";
constexpr const char* kSilentMilliseconds = "10000";
constexpr std::chrono::seconds kPause{2};

// All writers of a mesh take it: "6LNM".
constexpr const char* kLock = "SELECT pg_advisory_xact_lock(909921869)";

struct Finish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct Clear {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, Clear>;

// libpq's texts end with a newline, and may have several lines.
std::string one_line(const char* message) {
  std::string text(message ? message : "");
  while (!text.empty() && text.back() == '\n') text.pop_back();
  for (char& c : text) {
    if (c == '\n' || c == '\t') c = ' ';
  }
  return text;
}

class PostgresDatabase final : public Database {
 public:
  explicit PostgresDatabase(std::string connection) : where_(std::move(connection)) {}

  bool connect() {
    // One that is away is not waited for at each request.
    if (std::chrono::steady_clock::now() < not_before_) return fail(nullptr);
    const char* const names[] = {"dbname", "connect_timeout", "application_name", "tcp_user_timeout",
                                 nullptr};
    const char* const values[] = {where_.c_str(), kConnectSeconds, "sixlink-registry", kSilentMilliseconds,
                                  nullptr};
    connection_.reset(PQconnectdbParams(names, values, 1));
    has_failed_ = false;
    is_open_ = false;
    if (PQstatus(connection_.get()) != CONNECTION_OK) {
      not_before_ = std::chrono::steady_clock::now() + kPause;
      return fail(PQerrorMessage(connection_.get()));
    }
    return execute(kOurSettings);
  }

  bool begin(Durability durability) override {
    if (!is_connected() && !connect()) return false;
    has_failed_ = false;
    if (!execute("BEGIN")) {
      // The connection may have died since the last time.
      if (!connect() || !execute("BEGIN")) return false;
    }
    is_open_ = true;
    if (durability == Durability::kRelaxed) execute("SET LOCAL synchronous_commit = off");
    if (!has_failed_) execute(kLock);
    if (!has_failed_) return true;
    rollback();
    return false;
  }

  bool commit() override {
    const bool was_good = is_open_ && !has_failed_;
    const bool is_done = was_good && execute("COMMIT");
    if (!is_done) rollback();
    is_open_ = false;
    return is_done;
  }

  void rollback() override {
    if (is_open_ && is_connected()) Result(PQexec(connection_.get(), "ROLLBACK"));
    is_open_ = false;
  }

  Rows run_values(std::string_view sql, const std::vector<Value>& values) override {
    if (is_open_) return has_failed_ ? Rows() : run_once(sql, values);
    has_failed_ = false;
    if (!is_connected() && !connect()) return {};
    auto rows = run_once(sql, values);
    // It may have died since the last time, which shows only now.
    if (!has_failed_ || is_connected() || !connect()) return rows;
    return run_once(sql, values);
  }

  std::size_t changed() const override { return changed_; }
  bool has_failed() const override { return has_failed_; }
  const std::string& problem() const override { return problem_; }

 private:
  Rows run_once(std::string_view sql, const std::vector<Value>& values) {
    const std::string text(sql);
    std::vector<std::string> texts(values.size());
    std::vector<const char*> pointers(values.size(), nullptr);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (const auto* number = std::get_if<std::int64_t>(&values[i])) texts[i] = std::to_string(*number);
      if (const auto* string = std::get_if<std::string>(&values[i])) texts[i] = *string;
      if (values[i].index() != 0) pointers[i] = texts[i].c_str();
    }
    const Result result(PQexecParams(connection_.get(), text.c_str(), static_cast<int>(values.size()),
                                     nullptr, pointers.data(), nullptr, nullptr, 0));
    const auto status = PQresultStatus(result.get());
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
      fail(PQresultErrorMessage(result.get()));
      return {};
    }
    changed_ = parse(PQcmdTuples(result.get()));
    return read(result.get());
  }

  bool is_connected() const { return connection_ && PQstatus(connection_.get()) == CONNECTION_OK; }

  // nullptr: as before.
  bool fail(const char* message) {
    has_failed_ = true;
    if (message) problem_ = one_line(message);
    if (problem_.empty()) problem_ = "the connection to PostgreSQL broke";
    return false;
  }

  bool execute(const char* sql) {
    const Result result(PQexec(connection_.get(), sql));
    const auto status = PQresultStatus(result.get());
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return true;
    return fail(PQerrorMessage(connection_.get()));
  }

  static std::size_t parse(std::string_view digits) {
    std::size_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
  }

  static Rows read(const PGresult* result) {
    Rows rows;
    const int count = PQntuples(result);
    const int columns = PQnfields(result);
    for (int row = 0; row < count; ++row) {
      std::vector<Value> values;
      for (int column = 0; column < columns; ++column) {
        if (PQgetisnull(result, row, column)) {
          values.emplace_back();
          continue;
        }
        const std::string_view text(PQgetvalue(result, row, column),
                                    static_cast<std::size_t>(PQgetlength(result, row, column)));
        const auto type = PQftype(result, column);
        if (type == kInt8 || type == kInt4 || type == kInt2) {
          std::int64_t number = 0;
          std::from_chars(text.data(), text.data() + text.size(), number);
          values.emplace_back(number);
        } else {
          values.emplace_back(std::string(text));
        }
      }
      rows.emplace_back(std::move(values));
    }
    return rows;
  }

  std::string where_;
  std::unique_ptr<PGconn, Finish> connection_;
  std::chrono::steady_clock::time_point not_before_{};
  std::size_t changed_ = 0;
  bool is_open_ = false;
  bool has_failed_ = false;
  std::string problem_;
};

}  // namespace

OpenedDatabase open_postgres(const std::string& connection) {
  auto database = std::make_unique<PostgresDatabase>(connection);
  if (!database->connect()) {
    // Without the password that may be in it.
    return {nullptr, "cannot open the PostgreSQL database of mesh_database=: " + database->problem()};
  }
  return {std::move(database), {}};
}

}  // namespace sixlink::registry
