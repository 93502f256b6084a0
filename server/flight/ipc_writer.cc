// SPDX-License-Identifier: Apache-2.0
#include "server/flight/ipc_writer.h"

#include <flatbuffers/flatbuffers.h>
#include <ipc_generated.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace fletch {
namespace {

constexpr size_t kAlignment = 8;

size_t Padded(size_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

// A bit for each of 8 bytes that is not 0, that of the first lowest.
uint8_t PackEight(const uint8_t* bytes) {
  constexpr uint64_t kLow = 0x7F7F7F7F7F7F7F7F;
  uint64_t eight;
  std::memcpy(&eight, bytes, sizeof(eight));
  const uint64_t ones = ((((eight & kLow) + kLow) | eight) & ~kLow) >> 7;  // 1 in each such byte
  return static_cast<uint8_t>((ones * 0x0102040810204080) >> 56);          // side by side
}

// One bit for each byte that is not 0, `invert`: that is 0.
std::vector<uint8_t> PackBits(const uint8_t* bytes, size_t count, bool invert) {
  std::vector<uint8_t> bits((count + 7) / 8);
  const uint8_t flipped = invert ? 0xFF : 0;
  for (size_t i = 0; i < count / 8; ++i) bits[i] = PackEight(bytes + 8 * i) ^ flipped;
  for (size_t i = count / 8 * 8; i < count; ++i) {
    bits[i >> 3] |= static_cast<uint8_t>(((bytes[i] != 0) != invert) << (i & 7));
  }
  return bits;
}

std::vector<uint8_t> BytesOf(const std::vector<int32_t>& offsets) {
  std::vector<uint8_t> bytes(offsets.size() * sizeof(int32_t));
  std::memcpy(bytes.data(), offsets.data(), bytes.size());
  return bytes;
}

}  // namespace

void IpcBatchWriter::AddPiece(Source source, size_t size) {
  pieces_.push_back({body_size_, size, std::move(source)});
  body_size_ += Padded(size);
}

template <class T>
void IpcBatchWriter::AddFixed(const std::vector<T>& values, size_t begin, size_t count) {
  const auto* bytes = reinterpret_cast<const char*>(values.data() + begin);
  AddPiece(std::string_view(bytes, count * sizeof(T)), count * sizeof(T));
}

void IpcBatchWriter::AddBits(const std::vector<uint8_t>& bools, size_t begin, size_t count) {
  std::vector<uint8_t> bits = PackBits(bools.data() + begin, count, /*invert=*/false);
  const size_t size = bits.size();
  AddPiece(std::move(bits), size);
}

void IpcBatchWriter::AddStrings(const std::vector<std::string>& strings, size_t begin,
                                size_t count) {
  std::vector<int32_t> offsets(count + 1);
  size_t total = 0;
  for (size_t i = 0; i < count; ++i) {
    total += strings[begin + i].size();
    offsets[i + 1] = static_cast<int32_t>(total);
  }
  AddPiece(BytesOf(offsets), offsets.size() * sizeof(int32_t));
  AddPiece(Strings{absl::MakeConstSpan(strings).subspan(begin, count)}, total);
}

void IpcBatchWriter::AddNode(size_t length, const std::vector<uint8_t>& null) {
  const auto nulls = static_cast<size_t>(
      std::count_if(null.begin(), null.end(), [](uint8_t is_null) { return is_null != 0; }));
  nodes_.push_back({length, nulls});
  std::vector<uint8_t> bits;
  if (nulls > 0) bits = PackBits(null.data(), null.size(), /*invert=*/true);
  const size_t size = bits.size();
  AddPiece(std::move(bits), size);
}

std::vector<uint8_t> IpcBatchWriter::NullsOf(const Column& column) const {
  std::vector<uint8_t> null;
  if (!column.statuses.empty()) {
    null.resize(row_count_);
    for (size_t i = 0; i < row_count_; ++i) {
      null[i] = column.statuses[row_begin_ + i] != CellStatus::kPresent;
    }
  }
  if (column.null_rows.empty()) return null;
  null.resize(row_count_);
  auto it = std::lower_bound(column.null_rows.begin(), column.null_rows.end(), row_begin_);
  for (; it != column.null_rows.end() && *it < row_begin_ + row_count_; ++it) {
    null[*it - row_begin_] = 1;
  }
  return null;
}

void IpcBatchWriter::AddScalars(const Column& column, size_t begin, size_t count) {
  switch (column.type.type) {
    case ValueType::kBool:
      return AddBits(column.bools, begin, count);
    case ValueType::kInt32:
      return AddFixed(column.int32s, begin, count);
    case ValueType::kInt64:
    case ValueType::kTimestamp:
      return AddFixed(column.int64s, begin, count);
    case ValueType::kFloat:
    case ValueType::kFloatVector:
      return AddFixed(column.floats, begin, count);
    case ValueType::kDouble:
      return AddFixed(column.doubles, begin, count);
    case ValueType::kString:
    case ValueType::kBytes:
    case ValueType::kJson:
      return AddStrings(column.strings, begin, count);
  }
}

void IpcBatchWriter::AddArray(const Column& column, const std::vector<uint8_t>& null) {
  size_t begin = 0;
  for (size_t i = 0; i < row_begin_; ++i) begin += column.lengths[i];
  std::vector<int32_t> offsets(row_count_ + 1);
  size_t count = 0;
  for (size_t i = 0; i < row_count_; ++i) {
    count += column.lengths[row_begin_ + i];
    offsets[i + 1] = static_cast<int32_t>(count);
  }
  AddNode(row_count_, null);
  AddPiece(BytesOf(offsets), offsets.size() * sizeof(int32_t));
  AddNode(count, {});
  AddScalars(column, begin, count);
}

void IpcBatchWriter::Add(const Column& column) {
  const std::vector<uint8_t> null = NullsOf(column);
  if (column.type.array) return AddArray(column, null);
  AddNode(row_count_, null);
  if (!column.type.is_vector()) return AddScalars(column, row_begin_, row_count_);
  const size_t dimension = column.type.dimension;
  AddNode(row_count_ * dimension, {});
  AddFixed(column.floats, row_begin_ * dimension, row_count_ * dimension);
}

void IpcBatchWriter::AddTimes(absl::Span<const int64_t> times) {
  const absl::Span<const int64_t> rows = times.subspan(row_begin_, row_count_);
  std::vector<uint8_t> null(row_count_);
  for (size_t i = 0; i < row_count_; ++i) null[i] = rows[i] == kUnsetTime;
  AddNode(row_count_, null);
  const size_t size = row_count_ * sizeof(int64_t);
  AddPiece(std::string_view(reinterpret_cast<const char*>(rows.data()), size), size);
}

void IpcBatchWriter::AddNoTimes() {
  AddNode(row_count_, std::vector<uint8_t>(row_count_, 1));
  const size_t size = row_count_ * sizeof(int64_t);
  AddPiece(std::vector<uint8_t>(size), size);
}

void IpcBatchWriter::AddInt64s(absl::Span<const uint64_t> values) {
  AddNode(row_count_, {});
  const size_t size = row_count_ * sizeof(uint64_t);
  AddPiece(std::string_view(reinterpret_cast<const char*>(values.data() + row_begin_), size), size);
}

void IpcBatchWriter::AddStatuses(absl::Span<const CellStatus> statuses) {
  AddNode(row_count_, {});
  if (statuses.empty()) return AddPiece(std::vector<uint8_t>(row_count_), row_count_);
  const auto* bytes = reinterpret_cast<const char*>(statuses.data() + row_begin_);
  AddPiece(std::string_view(bytes, row_count_), row_count_);
}

void IpcBatchWriter::AddTexts(absl::Span<const std::string_view> texts) {
  AddNode(row_count_, {});
  std::vector<int32_t> offsets{0};
  std::vector<uint8_t> bytes;
  for (const std::string_view text : texts.subspan(row_begin_, row_count_)) {
    bytes.insert(bytes.end(), text.begin(), text.end());
    offsets.push_back(static_cast<int32_t>(bytes.size()));
  }
  AddPiece(BytesOf(offsets), offsets.size() * sizeof(int32_t));
  const size_t size = bytes.size();
  AddPiece(std::move(bytes), size);
}

std::string IpcBatchWriter::Header() const {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<ipc::Node> nodes;
  for (const Node& node : nodes_) {
    nodes.emplace_back(static_cast<int64_t>(node.length), static_cast<int64_t>(node.null_count));
  }
  std::vector<ipc::Buffer> buffers;
  for (const Piece& piece : pieces_) {
    buffers.emplace_back(static_cast<int64_t>(piece.offset), static_cast<int64_t>(piece.size));
  }
  const auto node_vector = builder.CreateVectorOfStructs(nodes);
  const auto buffer_vector = builder.CreateVectorOfStructs(buffers);
  const auto batch =
      ipc::CreateRecordBatch(builder, static_cast<int64_t>(row_count_), node_vector, buffer_vector);
  builder.Finish(ipc::CreateMessage(builder, ipc::Version::V5, ipc::Header::RecordBatch,
                                    batch.Union(), static_cast<int64_t>(body_size_)));
  return std::string(reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize());
}

void IpcBatchWriter::WriteBody(uint8_t* out) const {
  for (const Piece& piece : pieces_) {
    uint8_t* to = out + piece.offset;
    if (const auto* bytes = std::get_if<std::string_view>(&piece.source)) {
      if (!bytes->empty()) std::memcpy(to, bytes->data(), bytes->size());
    } else if (const auto* owned = std::get_if<std::vector<uint8_t>>(&piece.source)) {
      if (!owned->empty()) std::memcpy(to, owned->data(), owned->size());
    } else {
      for (const std::string& text : std::get<Strings>(piece.source).values) {
        std::memcpy(to, text.data(), text.size());
        to += text.size();
      }
    }
    std::memset(out + piece.offset + piece.size, 0, Padded(piece.size) - piece.size);
  }
}

}  // namespace fletch
