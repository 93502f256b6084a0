// SPDX-License-Identifier: Apache-2.0
// Arrow IPC messages as clients write them, also such as this house never writes itself; for tests.
#ifndef FLETCH_SERVER_FLIGHT_IPC_TESTING_H_
#define FLETCH_SERVER_FLIGHT_IPC_TESTING_H_

#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/flight/ipc_compression.h"
#include "server/flight/ipc_reader.h"
#include "server/flight/ipc_types.h"
#include "server/flight/ipc_writer.h"

namespace fletch {

struct IpcMessage {
  std::string header;
  std::string body;
};

template <class T>
std::string RawBytes(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// The bits of "1011", first row first.
std::string RawBits(std::string_view bits);

// A record batch, node by node and buffer by buffer.
class RawBatch {
 public:
  explicit RawBatch(int64_t row_count, IpcCodec codec = IpcCodec::kNone)
      : row_count_(row_count), codec_(codec) {}

  RawBatch& Node(int64_t length, int64_t null_count = 0);
  RawBatch& Buffer(std::string_view bytes);
  // As a client sends a buffer that compression would not make smaller.
  RawBatch& StoredBuffer(std::string_view bytes);
  RawBatch& VariadicCount(int64_t count);
  // A node, its validity ("" or as RawBits) and its values.
  RawBatch& Fixed(std::string_view validity, std::string_view values);

  IpcMessage Batch() const;
  IpcMessage Dictionary(int64_t id, bool is_delta = false) const;

 private:
  std::string Header(std::optional<int64_t> dictionary, bool is_delta) const;
  void Append(std::string bytes);

  const int64_t row_count_;
  const IpcCodec codec_;
  std::vector<std::pair<int64_t, int64_t>> nodes_;
  std::vector<std::pair<int64_t, int64_t>> buffers_;
  std::vector<int64_t> variadic_counts_;
  std::string body_;
};

IpcMessage SchemaOf(const std::vector<ArrowField>& fields);
IpcMessage MessageOf(const IpcBatchWriter& writer);

// Every DataType once, with arrays.
std::vector<DataType> AllDataTypes();
// Rows of a type; about one of four null if `nullable`.
Column RandomColumn(std::mt19937_64& random, const DataType& type, size_t row_count, bool nullable);

// A stream of messages as one string, and back: what the fuzzer mutates. Whatever the bytes are,
// they are some stream.
std::string JoinMessages(const std::vector<IpcMessage>& messages);
std::vector<IpcMessage> SplitMessages(std::string_view bytes);
// Streams that are well-formed and differ in all that the reader tells apart.
std::vector<std::vector<IpcMessage>> SeedStreams();
// Reads all that a stream holds, in small slices. Returns how many cells came out.
size_t ReadWholeStream(const std::vector<IpcMessage>& messages);

}  // namespace fletch

#endif  // FLETCH_SERVER_FLIGHT_IPC_TESTING_H_
