// SPDX-License-Identifier: BSD-3-Clause
// What the mesh's registry keeps: SQLite where one registry is enough, PostgreSQL where several share it. The
// same SQL for both, with $1, $2, ... for values.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sixlink::registry {

// One thread's.
//
// A statement that fails spoils its transaction: what follows is not run and has no rows, and commit() says
// no. So a transaction's body needs to look at failures only where it would act on rows that are not there,
// and nothing that it worked out may be used before commit() has said yes.
class Database {
 public:
  using Value = std::variant<std::monostate, std::int64_t, std::string>;  // monostate: NULL
  class Row {
   public:
    explicit Row(std::vector<Value> values) : values_(std::move(values)) {}
    bool is_null(std::size_t column) const { return values_.at(column).index() == 0; }
    // 0 and "" where the column is NULL or of the other type.
    std::int64_t number(std::size_t column) const;
    const std::string& text(std::size_t column) const;

   private:
    std::vector<Value> values_;
  };
  using Rows = std::vector<Row>;

  enum class Durability {
    kSynced,   // on the disk when commit() returns
    kRelaxed,  // a power cut may take it back, whole
  };

  virtual ~Database() = default;

  // Transactions that may write are one after the other, also of other processes and machines. False: the
  // database cannot be reached, or is not ours: problem().
  virtual bool begin(Durability durability = Durability::kSynced) = 0;
  // False: nothing of it was done.
  virtual bool commit() = 0;
  virtual void rollback() = 0;

  // Outside of a transaction a statement is one of its own, and a failure is forgotten with the next.
  Rows run(std::string_view sql, std::initializer_list<Value> values = {}) {
    return run_values(sql, {values.begin(), values.end()});
  }
  virtual Rows run_values(std::string_view sql, const std::vector<Value>& values) = 0;
  // Rows that the last INSERT, UPDATE or DELETE changed.
  virtual std::size_t changed() const = 0;

  virtual bool has_failed() const = 0;
  // Of the last failure, for the log.
  virtual const std::string& problem() const = 0;
};

struct OpenedDatabase {
  std::unique_ptr<Database> database;  // or
  std::string problem;
};
// A file, made (0600) where there is none.
OpenedDatabase open_sqlite(const std::string& path);
// libpq's connection URI or string (postgresql://user@host/name). Connects again by itself.
OpenedDatabase open_postgres(const std::string& connection);
// By the look of it: "postgresql://" and "postgres://" are PostgreSQL's, everything else is a file.
OpenedDatabase open_database(const std::string& where);
bool is_postgres(std::string_view where);

// Makes the tables, or brings older ones up to date. Empty: done.
std::string upgrade_schema(Database& database);

}  // namespace sixlink::registry
