// SPDX-License-Identifier: BSD-3-Clause
#include "registry/ca/database.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "tests/unit/temporary_directory.h"

using namespace sixlink::registry;
using sixlink::test::TemporaryDirectory;

namespace {

using Values = std::vector<std::int64_t>;

Values numbers(Database& database) {
  Values all;
  for (const auto& row : database.run("SELECT n FROM t ORDER BY n")) all.push_back(row.number(0));
  return all;
}

void behaves(Database& database) {
  database.run("CREATE TABLE t (n BIGINT PRIMARY KEY, s TEXT)");
  REQUIRE_MESSAGE(!database.has_failed(), database.problem());
  REQUIRE(database.begin());
  database.run("INSERT INTO t (n, s) VALUES ($1, $2)", {1, "it's \"quoted\""});
  database.run("INSERT INTO t (n, s) VALUES ($2, $1)", {Database::Value(), std::int64_t{2} << 40});
  CHECK(database.changed() == 1);
  REQUIRE(database.commit());
  const auto rows = database.run("SELECT n, s FROM t ORDER BY n");
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].text(1) == "it's \"quoted\"");
  CHECK(rows[1].is_null(1));
  CHECK(rows[1].number(0) == std::int64_t{2} << 40);
  CHECK(rows[1].text(0).empty());
  // A failure takes the whole transaction with it.
  REQUIRE(database.begin());
  database.run("INSERT INTO t (n) VALUES ($1)", {3});
  database.run("INSERT INTO t (n) VALUES ($1)", {1});
  CHECK(database.has_failed());
  CHECK(database.run("SELECT n FROM t").empty());
  CHECK_FALSE(database.commit());
  CHECK_FALSE(database.problem().empty());
  CHECK(numbers(database) == Values{1, std::int64_t{2} << 40});
  CHECK_FALSE(database.has_failed());
  REQUIRE(database.begin(Database::Durability::kRelaxed));
  database.run("DELETE FROM t WHERE n > $1", {1});
  database.rollback();
  CHECK(numbers(database).size() == 2);
  REQUIRE(database.begin());
  database.run("UPDATE t SET s = $2 WHERE n = $1", {1, "x"});
  CHECK(database.changed() == 1);
  REQUIRE(database.commit());
  database.run("DROP TABLE t");
}

}  // namespace

TEST_CASE("mesh database: SQLite keeps or forgets whole transactions") {
  const TemporaryDirectory directory;
  const auto path = directory.file("mesh.db");
  {
    auto opened = open_database(path);
    REQUIRE_MESSAGE(opened.database, opened.problem);
    behaves(*opened.database);
    CHECK(upgrade_schema(*opened.database).empty());
    CHECK(upgrade_schema(*opened.database).empty());
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
  }
  auto again = open_database(path);
  REQUIRE(again.database);
  CHECK(upgrade_schema(*again.database).empty());
  again.database->run("UPDATE mesh_schema SET version = 99");
  CHECK(upgrade_schema(*again.database).find("newer") != std::string::npos);
}

TEST_CASE("mesh database: what is no database of ours is refused") {
  const TemporaryDirectory directory;
  std::ofstream(directory.file("text")) << "this is a text that is long enough to be looked at\n";
  CHECK_FALSE(open_database(directory.file("text")).database);
  CHECK_FALSE(open_database(directory.file("nowhere/mesh.db")).database);
  CHECK_FALSE(open_database(directory.file("")).database);
}

// The scenario that starts a PostgreSQL server runs this with it.
TEST_CASE("mesh database: PostgreSQL behaves alike" *
          doctest::skip(std::getenv("SIXLINK_TEST_POSTGRES") == nullptr)) {
  auto opened = open_database(std::getenv("SIXLINK_TEST_POSTGRES"));
  REQUIRE_MESSAGE(opened.database, opened.problem);
  behaves(*opened.database);
  CHECK(upgrade_schema(*opened.database).empty());
}

TEST_CASE("mesh database: a PostgreSQL server that is not there is told without its password") {
  const auto opened = open_database("postgresql://sixlink:secret@127.0.0.1:9/mesh");
  CHECK_FALSE(opened.database);
  CHECK(opened.problem.find("secret") == std::string::npos);
  CHECK(opened.problem.find("mesh_database") != std::string::npos);
}
