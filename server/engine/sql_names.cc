// SPDX-License-Identifier: Apache-2.0
#include "server/engine/sql_names.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "base/status.h"
#include "base/strings.h"

namespace fletch {
namespace {

constexpr size_t kNamesShown = 20;

constexpr std::pair<std::string_view, SqlType> kCastTypes[] = {
    {"INTEGER", SqlType::kInteger}, {"INT", SqlType::kInteger}, {"BIGINT", SqlType::kInteger},
    {"REAL", SqlType::kReal},       {"DOUBLE", SqlType::kReal}, {"FLOAT", SqlType::kReal},
    {"NUMERIC", SqlType::kNumeric}, {"TEXT", SqlType::kText},   {"BLOB", SqlType::kBlob}};

std::string Qualified(const ExpressionInput& input) { return StrCat(input.view, ".", input.name); }

absl::Status Unknown(absl::Span<const ExpressionInput> inputs, std::string_view view,
                     std::string_view name) {
  std::string message = StrCat("there is no field '", view, view.empty() ? "" : ".", name,
                               "' to read; there ", inputs.size() == 1 ? "is " : "are ");
  if (inputs.empty()) message += "none";
  for (size_t i = 0; i < inputs.size() && i < kNamesShown; ++i) {
    message += StrCat(i == 0 ? "" : ", ", Qualified(inputs[i]));
  }
  if (inputs.size() > kNamesShown) {
    message += StrCat(" and ", inputs.size() - kNamesShown, " more");
  }
  return InvalidArgument(message + ". A text is written '…'");
}

}  // namespace

absl::StatusOr<size_t> ResolveSqlName(absl::Span<const ExpressionInput> inputs,
                                      std::string_view view, std::string_view name) {
  std::vector<size_t> found;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].name == name && (view.empty() || inputs[i].view == view)) found.push_back(i);
  }
  if (found.empty()) return Unknown(inputs, view, name);
  if (found.size() > 1) {
    return InvalidArgument(StrCat("'", name, "' could be ", Qualified(inputs[found[0]]), " or ",
                                  Qualified(inputs[found[1]]), "; write one of them"));
  }
  const DataType& type = inputs[found[0]].type;
  if (type.array || type.is_vector()) {
    return InvalidArgument(StrCat(Qualified(inputs[found[0]]), " is ", DataTypeName(type),
                                  "; expressions read scalars only"));
  }
  return found[0];
}

const SqlType* FindSqlCastType(std::string_view name) {
  for (const auto& [known, type] : kCastTypes) {
    if (absl::EqualsIgnoreCase(ToAbsl(known), ToAbsl(name))) return &type;
  }
  return nullptr;
}

SqlType SqlTypeOf(const DataType& type) {
  switch (type.type) {
    case ValueType::kBool:
    case ValueType::kInt32:
    case ValueType::kInt64:
    case ValueType::kTimestamp:
      return SqlType::kInteger;
    case ValueType::kFloat:
    case ValueType::kDouble:
      return SqlType::kReal;
    case ValueType::kString:
    case ValueType::kJson:
      return SqlType::kText;
    case ValueType::kBytes:
    case ValueType::kFloatVector:
      break;
  }
  return SqlType::kBlob;
}

const char* SqlTypeName(SqlType type) {
  constexpr const char* kNames[] = {"NULL", "INTEGER", "REAL", "NUMERIC", "TEXT", "BLOB"};
  return kNames[static_cast<size_t>(type)];
}

}  // namespace fletch
