// SPDX-License-Identifier: Apache-2.0
#include "server/engine/sql_session.h"

#include <sqlite3.h>

#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/sql_functions.h"

namespace fletch {
namespace {

constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

SqlRowState& StateOf(sqlite3_context* context) {
  return *static_cast<SqlRowState*>(sqlite3_user_data(context));
}

// The result stays NULL.
void Overflow(sqlite3_context* context, sqlite3_value* column) {
  StateOf(context).overflows |= uint64_t{1} << sqlite3_value_int(column);
}

// `real` is set for integers too.
struct Number {
  bool null = false;
  bool integer = false;
  int64_t whole = 0;
  double real = 0;
};

Number NumberOf(sqlite3_value* value) {
  switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER: {
      const int64_t whole = sqlite3_value_int64(value);
      return {.integer = true, .whole = whole, .real = static_cast<double>(whole)};
    }
    case SQLITE_FLOAT:
      return {.real = sqlite3_value_double(value)};
    default:
      return {.null = true};
  }
}

constexpr Number kNullNumber = {.null = true};

// False: it does not fit.
bool FoldIntegers(char op, int64_t right, Number& left) {
  switch (op) {
    case '+':
      return !__builtin_add_overflow(left.whole, right, &left.whole);
    case '-':
      return !__builtin_sub_overflow(left.whole, right, &left.whole);
    case '*':
      return !__builtin_mul_overflow(left.whole, right, &left.whole);
    default:
      if (right == 0) {
        left = kNullNumber;
        return true;
      }
      if (right == -1) return !__builtin_sub_overflow(int64_t{0}, left.whole, &left.whole);
      left.whole /= right;
      return true;
  }
}

Number FoldReals(char op, double left, double right) {
  double result = 0;
  switch (op) {
    case '+':
      result = left + right;
      break;
    case '-':
      result = left - right;
      break;
    case '*':
      result = left * right;
      break;
    default:
      if (right == 0) return kNullNumber;
      result = left / right;
  }
  return {.null = std::isnan(result), .real = result};
}

// (column, operators, a, b, c …): a op b op c …, from the left.
void Fold(sqlite3_context* context, int count, sqlite3_value** values) {
  const unsigned char* const operators = sqlite3_value_text(values[1]);
  if (operators == nullptr) return sqlite3_result_error_nomem(context);
  Number left = NumberOf(values[2]);
  for (int i = 3; i < count && !left.null; ++i) {
    const Number right = NumberOf(values[i]);
    const char op = static_cast<char>(operators[i - 3]);
    if (right.null) {
      left = kNullNumber;
    } else if (left.integer && right.integer) {
      if (!FoldIntegers(op, right.whole, left)) return Overflow(context, values[0]);
      left.real = static_cast<double>(left.whole);
    } else {
      left = FoldReals(op, left.real, right.real);
    }
  }
  if (left.null) return;
  if (left.integer) return sqlite3_result_int64(context, left.whole);
  sqlite3_result_double(context, left.real);
}

// (column, x): 0 - x, which is how SQLite negates.
void Negative(sqlite3_context* context, int, sqlite3_value** values) {
  const Number value = NumberOf(values[1]);
  if (value.null) return;
  if (!value.integer) return sqlite3_result_double(context, 0 - value.real);
  if (value.whole == kLeast) return Overflow(context, values[0]);
  sqlite3_result_int64(context, -value.whole);
}

// (column, x): |x|.
void Absolute(sqlite3_context* context, int count, sqlite3_value** values) {
  const Number value = NumberOf(values[1]);
  if (value.null) return;
  if (value.integer && value.whole >= 0) return sqlite3_result_int64(context, value.whole);
  if (value.integer) return Negative(context, count, values);
  sqlite3_result_double(context, value.real < 0 ? -value.real : value.real);  // -0.0 stays
}

// True if the number that `text` begins with fits INT64. `read` is what SQLite makes of it, which
// is the nearest INT64 there is.
bool FitsInteger(std::string_view text, int64_t read) {
  if (read != kLeast && read != kMost) return true;
  size_t at = text.find_first_not_of(" \t\n\v\f\r");
  if (text[at] == '-' || text[at] == '+') ++at;
  at = text.find_first_not_of('0', at);
  const std::string_view digits = text.substr(at, text.find_first_not_of("0123456789", at) - at);
  return digits == (read == kMost ? "9223372036854775807" : "9223372036854775808");
}

// (column, x): CAST(x AS INTEGER).
void Integer(sqlite3_context* context, int, sqlite3_value** values) {
  const int type = sqlite3_value_type(values[1]);
  if (type == SQLITE_NULL) return;
  if (type == SQLITE_FLOAT) {
    const double real = sqlite3_value_double(values[1]);
    constexpr double kLimit = 9223372036854775808.0;
    if (!(real >= -kLimit && real < kLimit)) return Overflow(context, values[0]);
    return sqlite3_result_int64(context, static_cast<int64_t>(real));
  }
  if (type == SQLITE_TEXT) {
    const unsigned char* const text = sqlite3_value_text(values[1]);
    if (text == nullptr) return sqlite3_result_error_nomem(context);
    const std::string_view bytes(reinterpret_cast<const char*>(text),
                                 static_cast<size_t>(sqlite3_value_bytes(values[1])));
    if (!FitsInteger(bytes, sqlite3_value_int64(values[1]))) return Overflow(context, values[0]);
  }
  sqlite3_result_int64(context, sqlite3_value_int64(values[1]));
}

// AND (kDecides false) and OR (true), of values that are all evaluated.
template <bool kDecides>
void Logic(sqlite3_context* context, int count, sqlite3_value** values) {
  bool null = false;
  for (int i = 0; i < count; ++i) {
    const Number value = NumberOf(values[i]);
    if (value.null) {
      null = true;
    } else if ((value.real != 0) == kDecides) {
      return sqlite3_result_int(context, kDecides);
    }
  }
  if (!null) sqlite3_result_int(context, !kDecides);
}

void Same(sqlite3_context* context, int, sqlite3_value** values) {
  sqlite3_result_value(context, values[0]);
}

// What a function of SQLite is to search for, before it does: the one place in a row where time can
// go that SQLite does not interrupt.
void Needle(sqlite3_context* context, int, sqlite3_value** values) {
  SqlRowState& state = StateOf(context);
  const int bytes = sqlite3_value_bytes(values[0]);
  if (bytes > static_cast<int>(limits::kMaxExpressionNeedleBytes)) {
    state.failure =
        MakeError(absl::StatusCode::kResourceExhausted, "EXPRESSION_LIMIT",
                  StrCat("a pattern, or a text to search for, of ", bytes, " bytes; at most ",
                         limits::kMaxExpressionNeedleBytes, " are searched for"));
  } else if (state.call != nullptr) {
    state.failure = state.call->Check();
  }
  if (!state.failure.ok()) return sqlite3_result_error_code(context, SQLITE_INTERRUPT);
  sqlite3_result_value(context, values[0]);
}

struct Registered {
  const char* name;
  int arguments;
  void (*function)(sqlite3_context*, int, sqlite3_value**);
};
constexpr Registered kRegistered[] = {
    {"fletch_fold", -1, Fold},  {"fletch_negative", 2, Negative}, {"fletch_abs", 2, Absolute},
    {"fletch_int", 2, Integer}, {"fletch_and", -1, Logic<false>}, {"fletch_or", -1, Logic<true>},
    {"fletch_same", 1, Same},   {"fletch_needle", 1, Needle},
};

// A second wall behind the parser: no statement but SELECT, no table, no other function.
int Authorize(void*, int action, const char*, const char* name, const char*, const char*) {
  if (action == SQLITE_SELECT) return SQLITE_OK;
  if (action != SQLITE_FUNCTION || name == nullptr) return SQLITE_DENY;
  const std::string_view function(name);
  const bool allowed = function == "like" || function == "glob" ||
                       absl::StartsWith(name, "fletch_") || FindSqlFunction(function) != nullptr;
  return allowed ? SQLITE_OK : SQLITE_DENY;
}

absl::Status NoMemory() {
  return MakeError(absl::StatusCode::kResourceExhausted, "EXPRESSION_LIMIT",
                   "there is no memory left for it");
}

absl::Status TooLarge() {
  return MakeError(absl::StatusCode::kResourceExhausted, "EXPRESSION_LIMIT",
                   StrCat("a text or BLOB of more than ", limits::kMaxExpressionValueBytes,
                          " bytes is read or made"));
}

// SQLite takes a null pointer for NULL.
const char* BytesOf(std::string_view value) { return value.data() == nullptr ? "" : value.data(); }

}  // namespace

absl::StatusOr<std::unique_ptr<SqlSession>> SqlSession::Open(const std::string& columns) {
  std::unique_ptr<SqlSession> session(new SqlSession);
  RETURN_IF_ERROR(session->Prepare(columns));
  return session;
}

SqlSession::~SqlSession() {
  sqlite3_finalize(statement_);
  sqlite3_close(connection_);
}

absl::Status SqlSession::Prepare(const std::string& columns) {
  // Its statistics of memory cost a lock of the whole process at every allocation. Refused, and
  // then left as it is, once somebody else has started SQLite.
  [[maybe_unused]] static const int statistics = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  constexpr int kFlags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
  if (sqlite3_open_v2(":memory:", &connection_, kFlags, nullptr) != SQLITE_OK) return NoMemory();
  sqlite3_db_config(connection_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(connection_, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  sqlite3_limit(connection_, SQLITE_LIMIT_LIKE_PATTERN_LENGTH,
                static_cast<int>(limits::kMaxExpressionNeedleBytes));
  sqlite3_limit(connection_, SQLITE_LIMIT_COMPOUND_SELECT, 1);
  sqlite3_limit(connection_, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_limit(connection_, SQLITE_LIMIT_TRIGGER_DEPTH, 0);
  for (const Registered& one : kRegistered) {
    // Not SQLITE_DETERMINISTIC: they must run where they stand, not before.
    if (sqlite3_create_function(connection_, one.name, one.arguments, SQLITE_UTF8, &state_,
                                one.function, nullptr, nullptr) != SQLITE_OK) {
      return NoMemory();
    }
  }
  if (sqlite3_set_authorizer(connection_, Authorize, nullptr) != SQLITE_OK) return NoMemory();
  const std::string sql = "SELECT " + columns;
  const int code = sqlite3_prepare_v3(connection_, sql.c_str(), static_cast<int>(sql.size() + 1),
                                      SQLITE_PREPARE_PERSISTENT, &statement_, nullptr);
  if (code == SQLITE_NOMEM) return NoMemory();
  if (code != SQLITE_OK) {
    return OutOfRange(StrCat("SQLite cannot hold it: ", sqlite3_errmsg(connection_)));
  }
  // Bounds values, not the statement: that holds what the parser has let pass.
  sqlite3_limit(connection_, SQLITE_LIMIT_LENGTH,
                static_cast<int>(limits::kMaxExpressionValueBytes));
  return absl::OkStatus();
}

void SqlSession::BindNull(size_t parameter) {
  Bound(sqlite3_bind_null(statement_, static_cast<int>(parameter)));
}

void SqlSession::BindInteger(size_t parameter, int64_t value) {
  Bound(sqlite3_bind_int64(statement_, static_cast<int>(parameter), value));
}

void SqlSession::BindReal(size_t parameter, double value) {
  Bound(sqlite3_bind_double(statement_, static_cast<int>(parameter), value));
}

void SqlSession::BindText(size_t parameter, std::string_view value) {
  Bound(sqlite3_bind_text64(statement_, static_cast<int>(parameter), BytesOf(value), value.size(),
                            SQLITE_STATIC, SQLITE_UTF8));
}

void SqlSession::BindBlob(size_t parameter, std::string_view value) {
  Bound(sqlite3_bind_blob64(statement_, static_cast<int>(parameter), BytesOf(value), value.size(),
                            SQLITE_STATIC));
}

void SqlSession::Bound(int code) {
  if (code == SQLITE_OK) return;
  bound_ = code == SQLITE_TOOBIG ? TooLarge() : NoMemory();
}

absl::Status SqlSession::Step() {
  if (!bound_.ok()) return std::exchange(bound_, absl::OkStatus());
  state_.overflows = 0;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return absl::OkStatus();
  const std::string message = sqlite3_errmsg(connection_);
  EndRow();
  if (!state_.failure.ok()) return std::exchange(state_.failure, absl::OkStatus());
  if (code == SQLITE_NOMEM) return NoMemory();
  if (code == SQLITE_TOOBIG) return TooLarge();
  return MakeError(absl::StatusCode::kResourceExhausted, "EXPRESSION_LIMIT",
                   StrCat("SQLite stops: ", message));
}

// SQLite says once more what failed, and Step has said it.
void SqlSession::EndRow() { sqlite3_reset(statement_); }

SqlSession::Type SqlSession::ColumnType(size_t column) {
  switch (sqlite3_column_type(statement_, static_cast<int>(column))) {
    case SQLITE_INTEGER:
      return Type::kInteger;
    case SQLITE_FLOAT:
      return Type::kReal;
    case SQLITE_TEXT:
      return Type::kText;
    case SQLITE_BLOB:
      return Type::kBlob;
    default:
      return Type::kNull;
  }
}

int64_t SqlSession::Integer(size_t column) {
  return sqlite3_column_int64(statement_, static_cast<int>(column));
}

double SqlSession::Real(size_t column) {
  return sqlite3_column_double(statement_, static_cast<int>(column));
}

std::string_view SqlSession::Text(size_t column) {
  const void* const bytes = sqlite3_column_blob(statement_, static_cast<int>(column));
  const int size = sqlite3_column_bytes(statement_, static_cast<int>(column));
  if (bytes == nullptr) return {};
  return {static_cast<const char*>(bytes), static_cast<size_t>(size)};
}

std::string SqliteVersion() { return sqlite3_libversion(); }

}  // namespace fletch
