// SPDX-License-Identifier: Apache-2.0
#include "storage/value.h"

namespace fletch {

std::string_view ValueTypeName(ValueType type) {
  switch (type) {
    case ValueType::kBool:
      return "BOOL";
    case ValueType::kInt32:
      return "INT32";
    case ValueType::kInt64:
      return "INT64";
    case ValueType::kFloat:
      return "FLOAT";
    case ValueType::kDouble:
      return "DOUBLE";
    case ValueType::kString:
      return "STRING";
    case ValueType::kBytes:
      return "BYTES";
    case ValueType::kTimestamp:
      return "TIMESTAMP";
    case ValueType::kJson:
      return "JSON";
    case ValueType::kFloatVector:
      return "FLOAT_VECTOR";
  }
  return "UNKNOWN";
}

std::string DataTypeName(const DataType& type) {
  std::string name(ValueTypeName(type.type));
  if (type.is_vector()) name += "(" + std::to_string(type.dimension) + ")";
  if (type.array) name += "[]";
  return name;
}

}  // namespace fletch
