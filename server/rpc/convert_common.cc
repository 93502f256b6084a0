// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/convert_common.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/proto_column.h"

namespace fletch {
namespace {

// A map has no order of its own; errors and stored bytes must not depend on chance.
template <class Map>
std::vector<const typename Map::value_type*> Sorted(const Map& columns) {
  std::vector<const typename Map::value_type*> sorted;
  sorted.reserve(columns.size());
  for (const auto& entry : columns) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(),
            [](const auto* a, const auto* b) { return a->first < b->first; });
  return sorted;
}

}  // namespace

absl::Status CheckGiven(std::string_view value, std::string_view field) {
  if (!value.empty()) return absl::OkStatus();
  return InvalidArgument(StrCat(field, " is required"), field);
}

absl::Status CheckAtMost(uint64_t count, size_t limit, std::string_view limit_name,
                         std::string_view field) {
  if (count <= limit) return absl::OkStatus();
  return OutOfRange(StrCat(field, " is ", count, "; the limit ", limit_name, " is ", limit), field);
}

absl::Status CheckCount(uint64_t count, size_t limit, std::string_view limit_name,
                        std::string_view field) {
  if (count == 0) {
    return InvalidArgument(StrCat(field, " is 0; give 1 to ", limit), field);
  }
  return CheckAtMost(count, limit, limit_name, field);
}

absl::StatusOr<std::vector<NamedColumn>> ToColumns(
    const google::protobuf::Map<std::string, v1::Column>& columns, size_t row_count,
    std::string_view path) {
  std::vector<NamedColumn> out;
  out.reserve(columns.size());
  for (const auto* entry : Sorted(columns)) {
    ASSIGN_OR_RETURN(Column values,
                     FromProto(entry->second, row_count, StrCat(path, ".", entry->first)));
    out.push_back({entry->first, std::move(values)});
  }
  return out;
}

absl::StatusOr<std::vector<NamedColumn>> ToContext(
    const google::protobuf::Map<std::string, v1::Column>& columns, size_t row_count) {
  std::vector<NamedColumn> out;
  for (const auto* entry : Sorted(columns)) {
    const std::string path = StrCat("request_context.", entry->first);
    absl::StatusOr<Column> values = FromProto(entry->second, row_count, path);
    if (!values.ok() && row_count > 1) {
      if (absl::StatusOr<Column> one = FromProto(entry->second, 1, path); one.ok()) {
        values = std::move(one);
      }
    }
    RETURN_IF_ERROR(values.status());
    out.push_back({entry->first, *std::move(values)});
  }
  return out;
}

absl::StatusOr<int64_t> ToInstant(const v1::TimestampColumn& time, std::string_view field) {
  if (time.micros_size() + time.rfc3339_size() != 1) {
    return InvalidArgument(StrCat(field, " has ", time.micros_size() + time.rfc3339_size(),
                                  " entries; give one time, in micros or in rfc3339"),
                           field);
  }
  ASSIGN_OR_RETURN(std::vector<int64_t> times, TimesFromProto(time, 1, field));
  return times[0];
}

absl::StatusOr<std::optional<int64_t>> ToOptionalInstant(bool has, const v1::TimestampColumn& time,
                                                         std::string_view field) {
  if (!has) return std::nullopt;
  ASSIGN_OR_RETURN(const int64_t micros, ToInstant(time, field));
  return micros;
}

absl::StatusOr<std::optional<KnownAt>> ToKnownAt(bool has, const v1::KnownAt& known_at) {
  if (!has) return std::nullopt;
  KnownAt out;
  switch (known_at.moment_case()) {
    case v1::KnownAt::kCommitSeq:
      out.commit_seq = known_at.commit_seq();
      return out;
    case v1::KnownAt::kTime: {
      ASSIGN_OR_RETURN(out.time, ToInstant(known_at.time(), "known_at.time"));
      out.by_time = true;
      return out;
    }
    case v1::KnownAt::MOMENT_NOT_SET:
      break;
  }
  return InvalidArgument("known_at is given but empty; give commit_seq or time, or leave it out",
                         "known_at");
}

absl::Status CheckSelection(const Selection& selection, bool optional) {
  const bool by_service = !selection.feature_service.empty();
  if (by_service && !selection.features.empty()) {
    return InvalidArgument("give either feature_service or features, not both", "feature_service");
  }
  if (by_service && !selection.bindings.empty()) {
    return InvalidArgument("bindings belong to listed features; a feature service has its own",
                           "bindings");
  }
  if (!by_service && selection.features.empty()) {
    if (!optional) return InvalidArgument("give feature_service or features", "features");
    if (!selection.bindings.empty()) {
      return InvalidArgument("bindings without features", "bindings");
    }
  }
  RETURN_IF_ERROR(CheckAtMost(selection.features.size(), limits::kMaxFeaturesPerRequest,
                              "max_features_per_request", "features"));
  return CheckAtMost(selection.bindings.size(), limits::kMaxBindings, "max_bindings", "bindings");
}

}  // namespace fletch
