// SPDX-License-Identifier: Apache-2.0
#include "server/engine/catalog_spec.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/field_word.h"
#include "server/engine/proto_column.h"
#include "storage/row_codec.h"

namespace fletch {
namespace {

using KeyFields = google::protobuf::RepeatedPtrField<v1::KeyField>;

constexpr int64_t kMicrosPerSecond = 1'000'000;
// Longer than from the first to the last instant there is.
constexpr int64_t kMaxTtlMicros = limits::kMaxTimeMicros - limits::kMinTimeMicros;

// `taken` maps names that are used already to what they are.
absl::Status CheckKeyFields(const KeyFields& keys, std::string_view path,
                            std::set<std::string>* taken, std::string_view taken_by) {
  RETURN_IF_ERROR(CheckListSize(keys.size(), limits::kMaxKeyFields, "keys", path));
  for (int i = 0; i < keys.size(); ++i) {
    const v1::KeyField& key = keys[i];
    const std::string key_path = StrCat(path, "[", i, "]");
    RETURN_IF_ERROR(CheckName(key.name(), StrCat(key_path, ".name")));
    if (!taken->insert(key.name()).second) {
      return InvalidArgument(
          StrCat("\"", key.name(), "\" is the name of ", taken_by, " already; choose another"),
          StrCat(key_path, ".name"));
    }
    if (key.type() != v1::INT64 && key.type() != v1::STRING) {
      return InvalidArgument("a key's type is INT64 or STRING", StrCat(key_path, ".type"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<DataType> ReadType(const v1::Field& field, std::string_view path) {
  if (field.type() == v1::VALUE_TYPE_UNSPECIFIED || !v1::ValueType_IsValid(field.type())) {
    return InvalidArgument(
        "is missing or unknown; say one of BOOL, INT32, INT64, FLOAT, DOUBLE, STRING, BYTES, "
        "TIMESTAMP, JSON, "
        "FLOAT_VECTOR",
        StrCat(path, ".type"));
  }
  const auto type = static_cast<ValueType>(field.type());
  const bool vector = type == ValueType::kFloatVector;
  if (field.array() && (vector || type == ValueType::kJson)) {
    return InvalidArgument(StrCat("there are no arrays of ", ValueTypeName(type),
                                  "; use scalars of BOOL to TIMESTAMP"),
                           StrCat(path, ".array"));
  }
  if (!vector && field.dimension() != 0) {
    return InvalidArgument(
        StrCat("only a FLOAT_VECTOR has a dimension; leave it out of a ", ValueTypeName(type)),
        StrCat(path, ".dimension"));
  }
  if (vector && (field.dimension() < 1 || field.dimension() > limits::kMaxDimension)) {
    return OutOfRange(StrCat("is ", field.dimension(), "; a FLOAT_VECTOR has a dimension of 1 to ",
                             limits::kMaxDimension),
                      StrCat(path, ".dimension"));
  }
  return DataType{type, field.array(), static_cast<uint32_t>(field.dimension())};
}

// 0 stands for the default.
absl::StatusOr<IndexParameters> ReadIndexParameters(const v1::VectorIndex& index,
                                                    std::string_view path) {
  IndexParameters parameters;
  if (index.m() != 0) {
    if (index.m() < limits::kMinGraphLinks || index.m() > limits::kMaxGraphLinks) {
      return OutOfRange(StrCat("is ", index.m(), "; a node has ", limits::kMinGraphLinks, " to ",
                               limits::kMaxGraphLinks, " links, or 0 for ", parameters.m),
                        StrCat(path, ".m"));
    }
    parameters.m = static_cast<uint32_t>(index.m());
  }
  if (index.ef_construction() != 0) {
    if (index.ef_construction() < parameters.m ||
        index.ef_construction() > limits::kMaxEfConstruction) {
      return OutOfRange(
          StrCat("is ", index.ef_construction(), "; building keeps m (", parameters.m, ") to ",
                 limits::kMaxEfConstruction, " candidates, or 0 for ", parameters.ef_construction),
          StrCat(path, ".ef_construction"));
    }
    parameters.ef_construction = static_cast<uint32_t>(index.ef_construction());
  }
  const double recall = index.target_recall();
  if (recall != 0) {
    if (!(recall >= limits::kMinTargetRecall && recall <= limits::kMaxTargetRecall)) {
      return OutOfRange(StrCat("is ", recall, "; say ", limits::kMinTargetRecall, " to ",
                               limits::kMaxTargetRecall, ", or 0 for ", parameters.target_recall),
                        StrCat(path, ".target_recall"));
    }
    parameters.target_recall = recall;
  }
  return parameters;
}

struct VectorIndexSpec {
  std::optional<Metric> metric;
  IndexParameters parameters;
};

absl::StatusOr<VectorIndexSpec> ReadIndex(const v1::Field& field, std::string_view path) {
  if (!field.has_index()) return VectorIndexSpec();
  if (field.type() != v1::FLOAT_VECTOR) {
    return InvalidArgument("only a FLOAT_VECTOR can have an index; remove it",
                           StrCat(path, ".index"));
  }
  const v1::Metric metric = field.index().metric();
  if (metric == v1::METRIC_UNSPECIFIED || !v1::Metric_IsValid(metric)) {
    return InvalidArgument("is missing or unknown; say COSINE, DOT or L2",
                           StrCat(path, ".index.metric"));
  }
  ASSIGN_OR_RETURN(const IndexParameters parameters,
                   ReadIndexParameters(field.index(), StrCat(path, ".index")));
  return VectorIndexSpec{static_cast<Metric>(metric), parameters};
}

absl::StatusOr<Column> ReadDefault(const v1::DefaultValue& value, const FieldSchema& schema,
                                   std::string_view path) {
  if (schema.type.is_vector())
    return InvalidArgument("a FLOAT_VECTOR has no default; remove it", path);
  const std::string value_path = StrCat(path, ".value");
  if (value.value().null_rows_size() > 0) {
    return InvalidArgument("a default is not null; leave it out and the field reads as null",
                           value_path);
  }
  ASSIGN_OR_RETURN(Column column, FromProto(value.value(), 1, value_path));
  CoerceColumn(schema.type, &column);
  RETURN_IF_ERROR(CheckFieldColumn(schema, column, 1, value_path));
  return column;
}

absl::StatusOr<FieldSchema> ReadField(const v1::Field& field, std::string_view path) {
  RETURN_IF_ERROR(CheckName(field.name(), StrCat(path, ".name")));
  RETURN_IF_ERROR(CheckDescription(field.description(), path));
  FieldSchema schema;
  schema.name = field.name();
  ASSIGN_OR_RETURN(schema.type, ReadType(field, path));
  ASSIGN_OR_RETURN(const VectorIndexSpec index, ReadIndex(field, path));
  schema.index_metric = index.metric;
  schema.index = index.parameters;
  if (field.forbid_nan() && schema.type.type != ValueType::kFloat &&
      schema.type.type != ValueType::kDouble) {
    return InvalidArgument(StrCat("a ", DataTypeName(schema.type),
                                  " holds no NaN anyway; only FLOAT and DOUBLE forbid it"),
                           StrCat(path, ".forbid_nan"));
  }
  schema.forbid_nan = field.forbid_nan();
  if (field.indexed() && !IsIndexable(schema.type)) {
    return InvalidArgument(
        StrCat("a ", DataTypeName(schema.type),
               " cannot be indexed; scalars other than BYTES and JSON can",
               schema.type.is_vector() ? " (index: {metric: …} is for vectors)" : ""),
        StrCat(path, ".indexed"));
  }
  schema.indexed = field.indexed();
  if (field.has_default_value()) {
    ASSIGN_OR_RETURN(schema.default_value,
                     ReadDefault(field.default_value(), schema, StrCat(path, ".default_value")));
  }
  return schema;
}

}  // namespace

absl::Status CheckDescription(std::string_view description, std::string_view path) {
  if (description.size() <= limits::kMaxDescriptionBytes) return absl::OkStatus();
  return OutOfRange(StrCat("has ", description.size(), " bytes; at most ",
                           limits::kMaxDescriptionBytes, " are allowed"),
                    StrCat(path, ".description"));
}

absl::Status CheckListSize(size_t size, size_t max, std::string_view what, std::string_view path) {
  if (size <= max) return absl::OkStatus();
  return OutOfRange(StrCat("has ", size, " ", what, "; at most ", max, " are allowed"), path);
}

absl::StatusOr<int64_t> ReadDuration(const google::protobuf::Duration& duration, int64_t max_micros,
                                     std::string_view path) {
  const int64_t seconds = duration.seconds();
  const int32_t nanos = duration.nanos();
  if (seconds < 0 || nanos < 0) return InvalidArgument("is negative; say 0 or more", path);
  if (nanos >= 1'000'000'000)
    return InvalidArgument("has nanos of a second or more; put them into seconds", path);
  if (nanos % 1000 != 0)
    return InvalidArgument("is finer than a microsecond; say whole microseconds", path);
  if (seconds > max_micros / kMicrosPerSecond ||
      seconds * kMicrosPerSecond + nanos / 1000 > max_micros) {
    return OutOfRange(
        StrCat("is ", seconds, " s; at most ", max_micros / kMicrosPerSecond, " s are allowed"),
        path);
  }
  return seconds * kMicrosPerSecond + nanos / 1000;
}

std::string DescribeDuration(int64_t micros) {
  constexpr int64_t kHour = 3600 * kMicrosPerSecond;
  if (micros % (24 * kHour) == 0) return StrCat(micros / (24 * kHour), " d");
  if (micros % kHour == 0) return StrCat(micros / kHour, " h");
  if (micros % kMicrosPerSecond == 0) return StrCat(micros / kMicrosPerSecond, " s");
  return StrCat(micros, " µs");
}

absl::Status CheckName(std::string_view name, std::string_view path) {
  const auto is_lower = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto is_rest = [&](char c) { return is_lower(c) || (c >= '0' && c <= '9') || c == '_'; };
  if (!name.empty() && name.size() <= limits::kMaxNameBytes && is_lower(name[0]) &&
      std::all_of(name.begin(), name.end(), is_rest)) {
    return absl::OkStatus();
  }
  if (name.empty()) return InvalidArgument("a name is missing", path);
  return InvalidArgument(
      StrCat("\"", name.substr(0, limits::kMaxNameBytes),
             "\" is no name: use a small letter, then small letters, digits and _, at most ",
             limits::kMaxNameBytes, " in all"),
      path);
}

std::vector<KeyFieldSchema> MakeKeySchemas(const KeyFields& keys) {
  std::vector<KeyFieldSchema> schemas;
  for (const v1::KeyField& key : keys)
    schemas.push_back({key.name(), static_cast<ValueType>(key.type())});
  return schemas;
}

absl::Status CheckProjectSpec(const v1::Project& spec, std::string_view path) {
  RETURN_IF_ERROR(CheckName(spec.name(), StrCat(path, ".name")));
  return CheckDescription(spec.description(), path);
}

absl::Status CheckEntitySpec(const v1::Entity& spec, std::string_view path) {
  RETURN_IF_ERROR(CheckName(spec.name(), StrCat(path, ".name")));
  RETURN_IF_ERROR(CheckDescription(spec.description(), path));
  const std::string keys_path = StrCat(path, ".join_keys");
  if (spec.join_keys().empty())
    return InvalidArgument("is empty; an entity has 1 to 8 join keys", keys_path);
  std::set<std::string> taken;
  return CheckKeyFields(spec.join_keys(), keys_path, &taken, "a join key");
}

absl::Status CheckServiceSpec(const v1::FeatureService& spec, std::string_view path) {
  RETURN_IF_ERROR(CheckName(spec.name(), StrCat(path, ".name")));
  return CheckDescription(spec.description(), path);
}

std::string DescribeKeys(const KeyFields& keys) {
  std::string text = "(";
  for (const v1::KeyField& key : keys) {
    text += StrCat(text.size() > 1 ? ", " : "", key.name(), " ", v1::ValueType_Name(key.type()));
  }
  return text + ")";
}

bool SameKeys(const KeyFields& a, const KeyFields& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const v1::KeyField& x, const v1::KeyField& y) {
                      return x.name() == y.name() && x.type() == y.type();
                    });
}

absl::StatusOr<ViewSchema> MakeViewSchema(const v1::FeatureView& spec, const v1::Entity& entity,
                                          std::string_view path) {
  RETURN_IF_ERROR(CheckName(spec.name(), StrCat(path, ".name")));
  RETURN_IF_ERROR(CheckDescription(spec.description(), path));
  ViewSchema schema;
  schema.name = spec.name();
  schema.entity = entity.name();
  schema.join_keys = MakeKeySchemas(entity.join_keys());
  std::set<std::string> taken;
  for (const v1::KeyField& key : entity.join_keys()) taken.insert(key.name());
  RETURN_IF_ERROR(CheckKeyFields(spec.event_key(), StrCat(path, ".event_key"), &taken,
                                 "a join key or an earlier event key"));
  schema.event_keys = MakeKeySchemas(spec.event_key());

  const std::string fields_path = StrCat(path, ".fields");
  if (spec.fields().empty())
    return InvalidArgument("is empty; a view has at least one field", fields_path);
  RETURN_IF_ERROR(
      CheckListSize(spec.fields_size(), limits::kMaxFieldsPerView, "fields", fields_path));
  for (int i = 0; i < spec.fields_size(); ++i) {
    const std::string field_path = StrCat(fields_path, "[", i, "]");
    ASSIGN_OR_RETURN(FieldSchema field, ReadField(spec.fields(i), field_path));
    if (!taken.insert(field.name).second) {
      return InvalidArgument(
          StrCat("\"", field.name,
                 "\" is the name of a join key, an event key or an earlier field; choose another"),
          StrCat(field_path, ".name"));
    }
    schema.fields.push_back(std::move(field));
  }
  const auto indexed = std::count_if(schema.fields.begin(), schema.fields.end(),
                                     [](const FieldSchema& field) { return field.indexed; });
  RETURN_IF_ERROR(CheckListSize(static_cast<size_t>(indexed), limits::kMaxIndexedFields,
                                "indexed fields", fields_path));
  ASSIGN_OR_RETURN(schema.ttl_micros,
                   ReadDuration(spec.ttl(), kMaxTtlMicros, StrCat(path, ".ttl")));
  schema.max_future_skew_micros = limits::kDefaultMaxFutureSkewMicros;
  if (spec.has_max_future_skew()) {
    ASSIGN_OR_RETURN(schema.max_future_skew_micros,
                     ReadDuration(spec.max_future_skew(), limits::kMaxFutureSkewMicros,
                                  StrCat(path, ".max_future_skew")));
  }
  const std::string retention_path = StrCat(path, ".retention");
  ASSIGN_OR_RETURN(schema.retention_micros,
                   ReadDuration(spec.retention(), kMaxTtlMicros, retention_path));
  if (schema.retention_micros != 0 && schema.retention_micros < limits::kMinRetentionMicros) {
    return InvalidArgument(StrCat("is ", DescribeDuration(schema.retention_micros),
                                  "; keep at least 1 s, or say 0 to keep all history"),
                           retention_path);
  }
  return schema;
}

}  // namespace fletch
