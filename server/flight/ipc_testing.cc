// SPDX-License-Identifier: Apache-2.0
#include "server/flight/ipc_testing.h"

#include <flatbuffers/flatbuffers.h>
#include <ipc_generated.h>
#include <lz4frame.h>
#include <zstd.h>

#include <algorithm>

#include "server/flight/ipc_schema.h"

namespace fletch {
namespace {

std::string Compressed(IpcCodec codec, std::string_view in) {
  const bool lz4 = codec == IpcCodec::kLz4Frame;
  std::string out(lz4 ? LZ4F_compressFrameBound(in.size(), nullptr) : ZSTD_compressBound(in.size()),
                  '\0');
  out.resize(lz4 ? LZ4F_compressFrame(out.data(), out.size(), in.data(), in.size(), nullptr)
                 : ZSTD_compress(out.data(), out.size(), in.data(), in.size(), 1));
  return out;
}

std::string LengthPrefix(int64_t length) { return RawBytes<int64_t>({length}); }

template <class T>
void FillRandom(std::mt19937_64& random, size_t count, std::vector<T>* out) {
  for (size_t i = 0; i < count; ++i) out->push_back(static_cast<T>(random()));
}

void FillScalars(std::mt19937_64& random, ValueType type, size_t count, Column* out) {
  switch (type) {
    case ValueType::kBool:
      for (size_t i = 0; i < count; ++i) out->bools.push_back(random() & 1);
      return;
    case ValueType::kInt32:
      return FillRandom(random, count, &out->int32s);
    case ValueType::kInt64:
      return FillRandom(random, count, &out->int64s);
    case ValueType::kTimestamp:
      for (size_t i = 0; i < count; ++i) {
        out->int64s.push_back(static_cast<int64_t>(random() % 4'000'000'000'000'000) -
                              2'000'000'000'000'000);
      }
      return;
    case ValueType::kFloat:
    case ValueType::kFloatVector:
      return FillRandom(random, count, &out->floats);
    case ValueType::kDouble:
      return FillRandom(random, count, &out->doubles);
    case ValueType::kString:
    case ValueType::kBytes:
    case ValueType::kJson:
      for (size_t i = 0; i < count; ++i) {
        out->strings.push_back(std::string(random() % 20, 'a' + static_cast<char>(random() % 26)));
      }
      return;
  }
}

void ClearScalar(Column* column, size_t i) {
  if (!column->bools.empty()) column->bools[i] = 0;
  if (!column->int32s.empty()) column->int32s[i] = 0;
  if (!column->int64s.empty()) column->int64s[i] = 0;
  if (!column->doubles.empty()) column->doubles[i] = 0;
  if (!column->strings.empty()) column->strings[i].clear();
  if (column->floats.empty()) return;
  const size_t width = column->type.is_vector() ? column->type.dimension : 1;
  std::fill_n(column->floats.begin() + static_cast<ptrdiff_t>(i * width), width, 0.0f);
}

}  // namespace

std::string RawBits(std::string_view bits) {
  std::string bytes((bits.size() + 7) / 8, '\0');
  for (size_t i = 0; i < bits.size(); ++i) {
    if (bits[i] == '1') bytes[i / 8] = static_cast<char>(bytes[i / 8] | (1 << (i % 8)));
  }
  return bytes;
}

RawBatch& RawBatch::Node(int64_t length, int64_t null_count) {
  nodes_.emplace_back(length, null_count);
  return *this;
}

void RawBatch::Append(std::string bytes) {
  buffers_.emplace_back(body_.size(), bytes.size());
  body_ += bytes;
  body_.resize((body_.size() + 7) / 8 * 8);
}

RawBatch& RawBatch::Buffer(std::string_view bytes) {
  if (codec_ == IpcCodec::kNone || bytes.empty()) {
    Append(std::string(bytes));
  } else {
    Append(LengthPrefix(static_cast<int64_t>(bytes.size())) + Compressed(codec_, bytes));
  }
  return *this;
}

RawBatch& RawBatch::StoredBuffer(std::string_view bytes) {
  Append(LengthPrefix(-1) + std::string(bytes));
  return *this;
}

RawBatch& RawBatch::VariadicCount(int64_t count) {
  variadic_counts_.push_back(count);
  return *this;
}

RawBatch& RawBatch::Fixed(std::string_view validity, std::string_view values) {
  Node(row_count_, std::count(validity.begin(), validity.end(), '0'));
  Buffer(RawBits(validity));
  return Buffer(values);
}

std::string RawBatch::Header(std::optional<int64_t> dictionary, bool is_delta) const {
  flatbuffers::FlatBufferBuilder builder;
  std::vector<ipc::Node> nodes;
  for (const auto& [length, nulls] : nodes_) nodes.emplace_back(length, nulls);
  std::vector<ipc::Buffer> buffers;
  for (const auto& [offset, length] : buffers_) buffers.emplace_back(offset, length);
  flatbuffers::Offset<ipc::Compression> compression = 0;
  if (codec_ != IpcCodec::kNone) {
    compression = ipc::CreateCompression(
        builder, codec_ == IpcCodec::kLz4Frame ? ipc::Codec::Lz4Frame : ipc::Codec::Zstd);
  }
  const auto node_vector = builder.CreateVectorOfStructs(nodes);
  const auto buffer_vector = builder.CreateVectorOfStructs(buffers);
  const auto counts = builder.CreateVector(variadic_counts_);
  const auto batch =
      ipc::CreateRecordBatch(builder, row_count_, node_vector, buffer_vector, compression, counts);
  ipc::Header kind = ipc::Header::RecordBatch;
  flatbuffers::Offset<void> header = batch.Union();
  if (dictionary.has_value()) {
    kind = ipc::Header::DictionaryBatch;
    header = ipc::CreateDictionaryBatch(builder, *dictionary, batch, is_delta).Union();
  }
  builder.Finish(ipc::CreateMessage(builder, ipc::Version::V5, kind, header,
                                    static_cast<int64_t>(body_.size())));
  return std::string(reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize());
}

IpcMessage RawBatch::Batch() const { return {Header(std::nullopt, false), body_}; }

IpcMessage RawBatch::Dictionary(int64_t id, bool is_delta) const {
  return {Header(id, is_delta), body_};
}

IpcMessage SchemaOf(const std::vector<ArrowField>& fields) {
  return {SchemaMessage(fields, {}), ""};
}

IpcMessage MessageOf(const IpcBatchWriter& writer) {
  IpcMessage message{writer.Header(), std::string(writer.body_size(), '?')};
  writer.WriteBody(reinterpret_cast<uint8_t*>(message.body.data()));
  return message;
}

std::vector<DataType> AllDataTypes() {
  std::vector<DataType> types;
  for (int i = static_cast<int>(ValueType::kBool); i <= static_cast<int>(ValueType::kJson); ++i) {
    types.push_back({static_cast<ValueType>(i)});
    if (types.back().type != ValueType::kJson) {
      types.push_back({static_cast<ValueType>(i), /*array=*/true});
    }
  }
  types.push_back({ValueType::kFloatVector, false, 3});
  return types;
}

Column RandomColumn(std::mt19937_64& random, const DataType& type, size_t row_count,
                    bool nullable) {
  Column out{.type = type, .row_count = row_count};
  for (size_t i = 0; nullable && i < row_count; ++i) {
    if (random() % 4 == 0) out.null_rows.push_back(i);
  }
  if (!type.array) {
    FillScalars(random, type.type, row_count * (type.is_vector() ? type.dimension : 1), &out);
    for (const uint64_t row : out.null_rows) ClearScalar(&out, row);
    return out;
  }
  size_t elements = 0;
  for (size_t i = 0; i < row_count; ++i) {
    out.lengths.push_back(random() % 4);
    if (std::binary_search(out.null_rows.begin(), out.null_rows.end(), i)) out.lengths[i] = 0;
    elements += out.lengths[i];
  }
  FillScalars(random, type.type, elements, &out);
  return out;
}

// Lengths as three bytes each: small enough that every mutation of them still means something.
std::string JoinMessages(const std::vector<IpcMessage>& messages) {
  std::string out;
  for (const IpcMessage& message : messages) {
    for (const std::string* part : {&message.header, &message.body}) {
      const auto size = static_cast<uint32_t>(part->size());
      out.append(reinterpret_cast<const char*>(&size), 3);
      out += *part;
    }
  }
  return out;
}

std::vector<IpcMessage> SplitMessages(std::string_view bytes) {
  std::vector<IpcMessage> messages;
  const auto take = [&bytes] {
    uint32_t size = 0;
    std::memcpy(&size, bytes.data(), std::min<size_t>(bytes.size(), 3));
    bytes.remove_prefix(std::min<size_t>(bytes.size(), 3));
    const std::string part(bytes.substr(0, size));
    bytes.remove_prefix(part.size());
    return part;
  };
  while (!bytes.empty()) {
    std::string header = take();
    messages.push_back({std::move(header), take()});
  }
  return messages;
}

size_t ReadWholeStream(const std::vector<IpcMessage>& messages) {
  constexpr size_t kSliceRows = 7;
  constexpr size_t kMaxRows = 1000;  // of one batch: a hostile one has millions of nothing
  IpcReader reader(IpcLimits{.body_bytes = 1u << 20, .value_bytes = 1u << 16});
  size_t cells = 0;
  for (const IpcMessage& message : messages) {
    const absl::StatusOr<IpcReader::Kind> kind = reader.Take(message.header, message.body);
    if (!kind.ok() || *kind != IpcReader::Kind::kBatch) continue;
    const size_t rows = std::min(reader.row_count(), kMaxRows);
    for (size_t i = 0; i < reader.fields().size(); ++i) {
      for (size_t begin = 0; begin < rows; begin += kSliceRows) {
        const size_t count = std::min(kSliceRows, rows - begin);
        for (const std::optional<DataType>& wanted :
             {std::optional<DataType>(),
              std::optional<DataType>({ValueType::kFloatVector, false, 2}),
              std::optional<DataType>({ValueType::kString, true})}) {
          const absl::StatusOr<Column> column = reader.ReadColumn(i, begin, count, wanted);
          if (column.ok()) cells += column->row_count;
        }
      }
    }
  }
  return cells;
}

}  // namespace fletch
