// SPDX-License-Identifier: Apache-2.0
#include "server/flight/ipc_types.h"

#include "base/strings.h"

namespace fletch {
namespace {

ArrowType ScalarOf(ValueType type) {
  switch (type) {
    case ValueType::kBool:
      return {.kind = ArrowKind::kBool};
    case ValueType::kInt32:
      return {.kind = ArrowKind::kInt, .bits = 32};
    case ValueType::kInt64:
      return {.kind = ArrowKind::kInt, .bits = 64};
    case ValueType::kFloat:
    case ValueType::kFloatVector:
      return {.kind = ArrowKind::kFloat, .bits = 32};
    case ValueType::kDouble:
      return {.kind = ArrowKind::kFloat, .bits = 64};
    case ValueType::kString:
    case ValueType::kJson:
      return {.kind = ArrowKind::kUtf8};
    case ValueType::kBytes:
      return {.kind = ArrowKind::kBinary};
    case ValueType::kTimestamp:
      return {.kind = ArrowKind::kTimestamp, .unit = TimeUnit::kMicro, .timezone = "UTC"};
  }
  return {};
}

std::string ScalarName(const ArrowType& type) {
  const char* const large = type.large ? "large_" : "";
  const char* const view = type.view ? "_view" : "";
  static constexpr const char* kUnits[] = {"s", "ms", "us", "ns"};
  switch (type.kind) {
    case ArrowKind::kBool:
      return "bool";
    case ArrowKind::kInt:
      return StrCat(type.is_signed ? "int" : "uint", type.bits);
    case ArrowKind::kFloat:
      return type.bits == 32 ? "float" : "double";
    case ArrowKind::kUtf8:
      return StrCat(large, "string", view);
    case ArrowKind::kBinary:
      return StrCat(large, "binary", view);
    case ArrowKind::kTimestamp:
      return StrCat("timestamp[", kUnits[static_cast<int>(type.unit)],
                    type.timezone.empty() ? "" : ", tz=", type.timezone, "]");
    case ArrowKind::kDate:
      return type.bits == 32 ? "date32[day]" : "date64[ms]";
    default:
      return "null";
  }
}

}  // namespace

ArrowField ArrowFieldOf(std::string name, const DataType& type) {
  ArrowField field{.name = std::move(name), .metadata = {{"fletch.type", DataTypeName(type)}}};
  const ArrowType scalar = ScalarOf(type.type);
  if (type.is_vector()) {
    field.type = {.kind = ArrowKind::kFixedSizeList, .list_size = type.dimension};
    field.element = scalar;
  } else if (type.array) {
    field.type = {.kind = ArrowKind::kList};
    field.element = scalar;
  } else {
    field.type = scalar;
  }
  return field;
}

std::string ArrowTypeName(const ArrowField& field) {
  std::string name;
  if (field.type.kind == ArrowKind::kList) {
    name = StrCat(field.type.large ? "large_list<" : "list<", ScalarName(field.element), ">");
  } else if (field.type.kind == ArrowKind::kFixedSizeList) {
    name = StrCat("fixed_size_list<", ScalarName(field.element), ">[", field.type.list_size, "]");
  } else {
    name = ScalarName(field.type);
  }
  if (!field.dictionary.has_value()) return name;
  return StrCat("dictionary<", ScalarName(field.index), ", ", name, ">");
}

}  // namespace fletch
