// SPDX-License-Identifier: Apache-2.0
// Columns of a client's record batches, by name and meaning.
#ifndef FLETCH_SERVER_FLIGHT_FLIGHT_INPUT_H_
#define FLETCH_SERVER_FLIGHT_FLIGHT_INPUT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/flight/ipc_reader.h"

namespace fletch {

// The place of the column; nullopt: it is not there.
std::optional<size_t> FindField(const std::vector<ArrowField>& fields, std::string_view name);

// The same of the column with the rows' instants. INVALID_ARGUMENT: not there, or neither a
// timestamp nor a date; says what is there.
absl::StatusOr<size_t> FindTimes(const std::vector<ArrowField>& fields, std::string_view name);

// Instants of rows [begin, begin + count). INVALID_ARGUMENT: one is null.
absl::StatusOr<std::vector<int64_t>> ReadTimes(const IpcReader& reader, size_t field, size_t begin,
                                               size_t count);

// "a, b and 3 more"; at most eight names.
std::string NameList(const std::vector<std::string>& names);

}  // namespace fletch

#endif  // FLETCH_SERVER_FLIGHT_FLIGHT_INPUT_H_
