// SPDX-License-Identifier: Apache-2.0
// The writing end: one record batch out of columns. Values are copied once, into the place where
// gRPC takes them from.
#ifndef FLETCH_SERVER_FLIGHT_IPC_WRITER_H_
#define FLETCH_SERVER_FLIGHT_IPC_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/types/span.h"
#include "storage/value.h"

namespace fletch {

// Rows [row_begin, row_begin + row_count) of what is added, in the order of the schema's fields.
// What is added must outlive the writer. Thread-compatible.
class IpcBatchWriter {
 public:
  IpcBatchWriter(size_t row_begin, size_t row_count)
      : row_begin_(row_begin), row_count_(row_count) {}

  // As ArrowFieldOf(column.type). Null: null_rows, and statuses other than kPresent.
  void Add(const Column& column);
  // timestamp[us, UTC], null at kUnsetTime.
  void AddTimes(absl::Span<const int64_t> times);
  // The same, all null.
  void AddNoTimes();
  // int64.
  void AddInt64s(absl::Span<const uint64_t> values);
  // int8; empty: zeros.
  void AddStatuses(absl::Span<const CellStatus> statuses);
  // utf8, none null; the texts live as long as the process.
  void AddTexts(absl::Span<const std::string_view> texts);

  // The Message FlatBuffer of all that was added.
  std::string Header() const;
  // Every buffer starts on an 8-byte boundary of it.
  size_t body_size() const { return body_size_; }
  // Writes body_size() bytes.
  void WriteBody(uint8_t* out) const;

 private:
  struct Strings {
    absl::Span<const std::string> values;
  };
  using Source = std::variant<std::string_view, std::vector<uint8_t>, Strings>;
  struct Piece {
    size_t offset = 0;
    size_t size = 0;
    Source source;
  };
  struct Node {
    size_t length = 0;
    size_t null_count = 0;
  };

  void AddPiece(Source source, size_t size);
  template <class T>
  void AddFixed(const std::vector<T>& values, size_t begin, size_t count);
  void AddBits(const std::vector<uint8_t>& bools, size_t begin, size_t count);
  void AddStrings(const std::vector<std::string>& strings, size_t begin, size_t count);
  // A node, and the bitmap of the nulls among `null` (one a row; empty: none).
  void AddNode(size_t length, const std::vector<uint8_t>& null);
  void AddScalars(const Column& column, size_t begin, size_t count);
  void AddArray(const Column& column, const std::vector<uint8_t>& null);
  std::vector<uint8_t> NullsOf(const Column& column) const;

  const size_t row_begin_;
  const size_t row_count_;
  size_t body_size_ = 0;
  std::vector<Node> nodes_;
  std::vector<Piece> pieces_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_FLIGHT_IPC_WRITER_H_
