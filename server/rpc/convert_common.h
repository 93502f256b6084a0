// SPDX-License-Identifier: Apache-2.0
// What the conversions share; private to server/rpc/convert*.cc.
#ifndef FLETCH_SERVER_RPC_CONVERT_COMMON_H_
#define FLETCH_SERVER_RPC_CONVERT_COMMON_H_

#include <google/protobuf/map.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fletch/v1/data.pb.h"
#include "server/engine/types.h"

namespace fletch {

// INVALID_ARGUMENT when empty: "`field` is required".
absl::Status CheckGiven(std::string_view value, std::string_view field);

// INVALID_ARGUMENT for 0, OUT_OF_RANGE beyond `limit`, naming `limit_name`.
absl::Status CheckCount(uint64_t count, size_t limit, std::string_view limit_name,
                        std::string_view field);
// OUT_OF_RANGE beyond `limit`, naming `limit_name`.
absl::Status CheckAtMost(uint64_t count, size_t limit, std::string_view limit_name,
                         std::string_view field);

// Columns by name, sorted, `row_count` rows each. Field paths "`path`.NAME".
absl::StatusOr<std::vector<NamedColumn>> ToColumns(
    const google::protobuf::Map<std::string, v1::Column>& columns, size_t row_count,
    std::string_view path);

// The same of a request_context: each column has `row_count` rows, or one that stands for all.
absl::StatusOr<std::vector<NamedColumn>> ToContext(
    const google::protobuf::Map<std::string, v1::Column>& columns, size_t row_count);

// A time that is one entry. `field` is its path.
absl::StatusOr<int64_t> ToInstant(const v1::TimestampColumn& time, std::string_view field);
// The same, nullopt when `has` is false.
absl::StatusOr<std::optional<int64_t>> ToOptionalInstant(bool has, const v1::TimestampColumn& time,
                                                         std::string_view field);
absl::StatusOr<std::optional<KnownAt>> ToKnownAt(bool has, const v1::KnownAt& known_at);

// Of any request with feature_service, features and bindings.
template <class Request>
Selection ToSelection(const Request& request) {
  Selection selection;
  selection.feature_service = request.feature_service();
  selection.features.assign(request.features().begin(), request.features().end());
  for (const v1::Binding& binding : request.bindings()) {
    BindingSpec spec{binding.alias(), binding.feature_view(), {}};
    spec.join_key_map.insert(binding.join_key_map().begin(), binding.join_key_map().end());
    selection.bindings.push_back(std::move(spec));
  }
  return selection;
}

// Counts, and that exactly one of service and features is given (or, if `optional`, neither).
absl::Status CheckSelection(const Selection& selection, bool optional);

}  // namespace fletch

#endif  // FLETCH_SERVER_RPC_CONVERT_COMMON_H_
