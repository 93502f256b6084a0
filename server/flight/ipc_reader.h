// SPDX-License-Identifier: Apache-2.0
// The reading end of one Arrow IPC stream whose messages come as Flight carries them: a bare
// Message FlatBuffer and a body. Nothing that a message claims is trusted: every size is checked
// against the bytes that are there before anything is allocated or followed.
#ifndef FLETCH_SERVER_FLIGHT_IPC_READER_H_
#define FLETCH_SERVER_FLIGHT_IPC_READER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/flight/ipc_array.h"
#include "server/flight/ipc_compression.h"
#include "server/flight/ipc_types.h"
#include "storage/value.h"

namespace fletch::ipc {
struct DictionaryBatch;
struct Message;
struct RecordBatch;
}  // namespace fletch::ipc

namespace fletch {

// Thread-compatible. Errors are INVALID_ARGUMENT, or OUT_OF_RANGE naming a limit; field path
// "columns.NAME" where a column is at fault.
class IpcReader {
 public:
  explicit IpcReader(const IpcLimits& limits = DefaultIpcLimits()) : limits_(limits) {}

  enum class Kind { kSchema, kDictionary, kBatch };
  // Takes the next message in: the schema first, once; then dictionaries and batches. Of a batch
  // the columns can be read until the next Take, and `body` must live as long.
  absl::StatusOr<Kind> Take(std::string_view header, std::string_view body);

  bool has_schema() const { return has_schema_; }
  const std::vector<ArrowField>& fields() const { return fields_; }

  // Of the batch taken last.
  size_t row_count() const { return row_count_; }
  // Rows [begin, begin + count) of column `i`, as ReadArray. REQUIRES: they are there.
  absl::StatusOr<Column> ReadColumn(size_t i, size_t begin, size_t count,
                                    const std::optional<DataType>& wanted = std::nullopt) const;

 private:
  absl::StatusOr<Kind> TakeMessage(const ipc::Message& message, std::string_view body);
  absl::Status TakeBatch(const ipc::RecordBatch& batch, std::string_view body);
  absl::Status TakeDictionary(const ipc::DictionaryBatch& message, std::string_view body);
  const Column* DictionaryOf(const ArrowField& field) const;

  struct Dictionary {
    Column values;
    size_t bytes = 0;
  };

  const IpcLimits limits_;
  bool has_schema_ = false;
  std::vector<ArrowField> fields_;
  std::map<int64_t, Dictionary> dictionaries_;
  size_t row_count_ = 0;
  std::vector<ArrowArray> arrays_;  // parallel to fields_
  std::vector<IpcBytes> owned_;     // decompressed buffers of arrays_
};

}  // namespace fletch

#endif  // FLETCH_SERVER_FLIGHT_IPC_READER_H_
