// SPDX-License-Identifier: Apache-2.0
// SQLite: one connection without a database, one prepared SELECT of scalar expressions.
#ifndef FLETCH_SERVER_ENGINE_SQL_SESSION_H_
#define FLETCH_SERVER_ENGINE_SQL_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/call.h"

struct sqlite3;
struct sqlite3_stmt;

namespace fletch {

inline constexpr size_t kMaxSqlColumns = 64;  // one bit of SqlSession::overflows each

// What our functions tell the session about a row.
struct SqlRowState {
  uint64_t overflows = 0;
  const Call* call = nullptr;
  absl::Status failure;
};

// Not thread-safe. For each row: parameters ?1 … are bound (one keeps its value until it is bound
// again), Step evaluates, columns 0 … are read, EndRow.
class SqlSession {
 public:
  // Prepares "SELECT <columns>". RESOURCE_EXHAUSTED: no memory. OUT_OF_RANGE: SQLite cannot hold
  // it.
  static absl::StatusOr<std::unique_ptr<SqlSession>> Open(const std::string& columns);
  SqlSession(const SqlSession&) = delete;
  SqlSession& operator=(const SqlSession&) = delete;
  ~SqlSession();

  // Asked before long work inside of a row. REQUIRES: outlives the Steps to come.
  void SetCall(const Call* call) { state_.call = call; }

  void BindNull(size_t parameter);
  void BindInteger(size_t parameter, int64_t value);
  void BindReal(size_t parameter, double value);  // NaN is NULL
  // The bytes must stay until the parameter is bound again or there are no more Steps.
  void BindText(size_t parameter, std::string_view value);
  void BindBlob(size_t parameter, std::string_view value);

  // RESOURCE_EXHAUSTED: memory, or a value or a pattern that is too large, without saying where;
  // or the status of the call. Then the row has ended.
  absl::Status Step();
  void EndRow();

  // Bit i: an INT64 overflowed in column i.
  uint64_t overflows() const { return state_.overflows; }
  enum class Type { kNull, kInteger, kReal, kText, kBlob };
  Type ColumnType(size_t column);
  int64_t Integer(size_t column);
  double Real(size_t column);            // of INTEGER too
  std::string_view Text(size_t column);  // until EndRow

 private:
  SqlSession() = default;
  absl::Status Prepare(const std::string& columns);
  void Bound(int code);

  sqlite3* connection_ = nullptr;
  sqlite3_stmt* statement_ = nullptr;
  SqlRowState state_;
  absl::Status bound_;  // of the binds since the last Step
};

// "3.40.1".
std::string SqliteVersion();

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_SQL_SESSION_H_
