// SPDX-License-Identifier: Apache-2.0
// What a plan's columns look like in Arrow: values, statuses, event timestamps.
#ifndef FLETCH_SERVER_FLIGHT_FLIGHT_ANSWER_H_
#define FLETCH_SERVER_FLIGHT_FLIGHT_ANSWER_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/engine/feature_plan.h"
#include "server/flight/ipc_types.h"
#include "server/flight/ipc_writer.h"
#include "storage/value.h"

namespace fletch {

// The columns of an answer to a plan, as fletch/v1/flight.proto orders and names them. Immutable.
class FlightAnswer {
 public:
  FlightAnswer(const FeaturePlan& plan, bool statuses, bool event_times);

  const std::vector<ArrowField>& fields() const { return fields_; }
  // Adds the columns of the plan, which outlive the writer, in the order of fields().
  void Add(const std::vector<Column>& columns, IpcBatchWriter* writer) const;

 private:
  void AddTimeFields(const FeaturePlan& plan);

  const bool statuses_;
  std::vector<ArrowField> fields_;
  std::vector<size_t> time_columns_;  // of the plan: one for each source of event times
};

// Sends rows [0, row_count) in as many messages as max_bytes asks for. `add` adds the columns;
// `metadata` is told how many of the rows are sent with each. RESOURCE_EXHAUSTED
// (MESSAGE_TOO_LARGE): one row is too large.
absl::Status SendRows(size_t row_count, size_t max_bytes,
                      const std::function<void(IpcBatchWriter*)>& add,
                      const std::function<std::string(size_t rows)>& metadata,
                      const std::function<void(grpc::ByteBuffer)>& send);

// Rows of so many bytes that fill a message well, at most `most`.
size_t RowsPerMessage(size_t row_bytes, size_t most);

// About how many bytes a row of these types has, when texts are short.
size_t RowBytes(absl::Span<const ArrowField> fields);

}  // namespace fletch

#endif  // FLETCH_SERVER_FLIGHT_FLIGHT_ANSWER_H_
