// SPDX-License-Identifier: Apache-2.0
// A bulk write's command and its rows, as the engine takes them.
#ifndef FLETCH_SERVER_FLIGHT_PUT_REQUEST_H_
#define FLETCH_SERVER_FLIGHT_PUT_REQUEST_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "fletch/v1/flight.pb.h"
#include "fletch/v1/registry.pb.h"
#include "server/engine/types.h"
#include "server/flight/ipc_reader.h"

namespace fletch {

// Constant after it was made.
class PutRequest {
 public:
  // Checks the command's numbers, and takes the types that the view's fields want. Errors name
  // fields of FlightPut.
  static absl::StatusOr<PutRequest> Make(const v1::FlightPut& command, const v1::FeatureView& view);

  size_t rows_per_commit() const { return rows_per_commit_; }

  // Rows [begin, begin + count) of the reader's batch as commit `index` of the stream. Errors name
  // "columns.NAME".
  absl::StatusOr<WriteRequest> Rows(const IpcReader& reader, size_t begin, size_t count,
                                    uint64_t index) const;

 private:
  WriteRequest base_;  // without rows
  std::string timestamp_column_;
  std::string request_id_prefix_;
  size_t rows_per_commit_ = 0;
  std::map<std::string, DataType> types_;  // of the view's fields
};

// Of all that the batches say; the same on every machine. 0 is never the hash.
uint64_t HashOfRows(const std::vector<RowBatch>& batches);

}  // namespace fletch

#endif  // FLETCH_SERVER_FLIGHT_PUT_REQUEST_H_
