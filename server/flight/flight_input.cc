// SPDX-License-Identifier: Apache-2.0
#include "server/flight/flight_input.h"

#include <utility>

#include "base/status.h"
#include "base/strings.h"

namespace fletch {
namespace {

constexpr size_t kNamesTold = 8;

}  // namespace

std::string NameList(const std::vector<std::string>& names) {
  if (names.empty()) return "none";
  std::string out;
  for (size_t i = 0; i < names.size() && i < kNamesTold; ++i) {
    out += StrCat(i == 0 ? "" : ", ", names[i]);
  }
  return names.size() <= kNamesTold ? out
                                    : StrCat(out, " and ", names.size() - kNamesTold, " more");
}

std::optional<size_t> FindField(const std::vector<ArrowField>& fields, std::string_view name) {
  for (size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].name == name) return i;
  }
  return std::nullopt;
}

absl::StatusOr<size_t> FindTimes(const std::vector<ArrowField>& fields, std::string_view name) {
  const std::string path = StrCat("columns.", name);
  const std::optional<size_t> place = FindField(fields, name);
  if (!place.has_value()) {
    std::vector<std::string> names;
    for (const ArrowField& field : fields) names.push_back(field.name);
    return InvalidArgument(
        StrCat("there is no timestamp column ", name, "; the columns are ", NameList(names),
               "; add it, or name another with timestamp_column"),
        path);
  }
  const ArrowKind kind = fields[*place].type.kind;
  if (kind != ArrowKind::kTimestamp && kind != ArrowKind::kDate) {
    return InvalidArgument(
        StrCat("the timestamp column ", name, " is ", ArrowTypeName(fields[*place]),
               "; cast it to timestamp[us, tz=UTC]"),
        path);
  }
  return *place;
}

absl::StatusOr<std::vector<int64_t>> ReadTimes(const IpcReader& reader, size_t field, size_t begin,
                                               size_t count) {
  ASSIGN_OR_RETURN(Column column, reader.ReadColumn(field, begin, count));
  if (!column.null_rows.empty()) {
    return InvalidArgument(StrCat("row ", begin + column.null_rows.front(), " has no time"),
                           StrCat("columns.", reader.fields()[field].name));
  }
  return std::move(column.int64s);
}

}  // namespace fletch
