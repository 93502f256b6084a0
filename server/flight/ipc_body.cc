// SPDX-License-Identifier: Apache-2.0
#include "server/flight/ipc_body.h"

#include <flatbuffers/flatbuffers.h>
#include <ipc_generated.h>

#include <cstring>
#include <memory>
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"

namespace fletch {
namespace {

// Bytes of `length` values of a type whose values all have one size; bits for BOOL.
size_t FixedBytes(const ArrowType& type, size_t length) {
  switch (type.kind) {
    case ArrowKind::kBool:
      return (length + 7) / 8;
    case ArrowKind::kTimestamp:
      return length * 8;
    default:
      return length * (static_cast<size_t>(type.bits) / 8);
  }
}

// Element `i` of a vector. The verifier does not look at the alignment of vectors of 8-byte words.
template <class T, class Vector>
T Element(const Vector& vector, size_t i) {
  T value;
  std::memcpy(&value, vector.Data() + i * sizeof(T), sizeof(T));
  return value;
}

class Body {
 public:
  Body(const ipc::RecordBatch& batch, std::string_view body, const IpcLimits& limits)
      : batch_(batch), body_(body), limits_(limits) {}

  absl::StatusOr<IpcBatch> Read(absl::Span<const ArrowField> fields) {
    RETURN_IF_ERROR(ReadCodec());
    if (batch_.length() < 0 || static_cast<size_t>(batch_.length()) > limits::kMaxFlightBatchRows) {
      return OutOfRange(StrCat("a record batch of ", batch_.length(),
                               " rows; the limit max_flight_batch_rows is ",
                               limits::kMaxFlightBatchRows, "; send it in parts"));
    }
    IpcBatch out{.row_count = static_cast<size_t>(batch_.length())};
    for (const ArrowField& field : fields) {
      absl::StatusOr<ArrowArray> array = ReadColumn(field, out.row_count);
      if (!array.ok()) return PrefixField(array.status(), StrCat("columns.", field.name));
      out.arrays.push_back(*std::move(array));
    }
    const size_t buffers = batch_.buffers() == nullptr ? 0 : batch_.buffers()->size();
    const size_t nodes = batch_.nodes() == nullptr ? 0 : batch_.nodes()->size();
    if (next_buffer_ != buffers || next_node_ != nodes) {
      return InvalidArgument(StrCat("the record batch has ", nodes, " nodes and ", buffers,
                                    " buffers; its schema wants ", next_node_, " and ",
                                    next_buffer_));
    }
    out.owned = std::move(owned_);
    return out;
  }

 private:
  absl::Status ReadCodec() {
    if (batch_.compression() == nullptr) return absl::OkStatus();
    switch (batch_.compression()->codec()) {
      case ipc::Codec::Lz4Frame:
        codec_ = IpcCodec::kLz4Frame;
        break;
      case ipc::Codec::Zstd:
        codec_ = IpcCodec::kZstd;
        break;
      default:
        return InvalidArgument(StrCat("compression ",
                                      static_cast<int>(batch_.compression()->codec()),
                                      " is unknown; use LZ4_FRAME or ZSTD"));
    }
    if (batch_.compression()->method() == 0) return absl::OkStatus();
    return InvalidArgument("the body is compressed as a whole; compress each buffer");
  }

  absl::StatusOr<ArrowArray> ReadColumn(const ArrowField& field, size_t row_count) {
    ASSIGN_OR_RETURN(ArrowArray array,
                     ReadArray(field.dictionary.has_value() ? field.index : field.type));
    if (array.length != row_count) {
      return InvalidArgument(
          StrCat("it has ", array.length, " values in a record batch of ", row_count, " rows"));
    }
    if (!field.type.is_list()) return array;
    ASSIGN_OR_RETURN(ArrowArray child, ReadArray(field.element));
    if (field.type.kind == ArrowKind::kFixedSizeList &&
        child.length / std::max<size_t>(field.type.list_size, 1) < array.length) {
      return InvalidArgument(StrCat(array.length, " lists of ", field.type.list_size,
                                    " elements do not fit ", child.length, " elements"));
    }
    array.child = std::make_unique<ArrowArray>(std::move(child));
    return array;
  }

  // An array's own node and buffers, without its child's.
  absl::StatusOr<ArrowArray> ReadArray(const ArrowType& type) {
    ArrowArray array;
    RETURN_IF_ERROR(ReadNode(&array));
    if (type.kind == ArrowKind::kNull) return array;
    ASSIGN_OR_RETURN(array.validity, NextBuffer());
    if (null_count_ == 0) {
      array.validity = {};
    } else if (array.validity.size() < (array.length + 7) / 8) {
      return InvalidArgument(StrCat("a validity bitmap of ", array.validity.size(), " bytes for ",
                                    array.length, " values, ", null_count_, " of which are null"));
    }
    if (type.kind == ArrowKind::kFixedSizeList) return array;
    ASSIGN_OR_RETURN(array.data, NextBuffer());
    const bool text = type.kind == ArrowKind::kUtf8 || type.kind == ArrowKind::kBinary;
    size_t needed = FixedBytes(type, array.length);
    if (text && type.view) {
      needed = array.length * 16;
    } else if ((text || type.kind == ArrowKind::kList) && array.length > 0) {
      needed = (array.length + 1) * (type.large ? 8 : 4);
    }
    if (array.data.size() < needed) {
      return InvalidArgument(StrCat("a buffer of ", array.data.size(), " bytes; ", array.length,
                                    " values need ", needed));
    }
    if (!text) return array;
    if (type.view) {
      RETURN_IF_ERROR(ReadParts(&array));
    } else {
      ASSIGN_OR_RETURN(array.values, NextBuffer());
    }
    return array;
  }

  absl::Status ReadNode(ArrowArray* array) {
    if (batch_.nodes() == nullptr || next_node_ >= batch_.nodes()->size()) {
      return InvalidArgument("the record batch has too few nodes for its schema");
    }
    const auto node = Element<ipc::Node>(*batch_.nodes(), next_node_++);
    // More values than this need more bytes than a body may have, but for those of no size.
    const auto most = static_cast<int64_t>(limits::kMaxFlightBodyBytes) * 8;
    if (node.length() < 0 || node.length() > most || node.null_count() > node.length()) {
      return InvalidArgument(
          StrCat("its node says ", node.length(), " values, ", node.null_count(), " null"));
    }
    array->length = static_cast<size_t>(node.length());
    null_count_ = node.null_count();
    return absl::OkStatus();
  }

  absl::Status ReadParts(ArrowArray* array) {
    const auto* counts = batch_.variadic_counts();
    if (counts == nullptr || next_count_ >= counts->size()) {
      return InvalidArgument("the record batch has too few variadic buffer counts");
    }
    const auto count = Element<int64_t>(*counts, next_count_++);
    const size_t left = batch_.buffers()->size() - next_buffer_;
    if (count < 0 || static_cast<uint64_t>(count) > left) {
      return InvalidArgument(StrCat(count, " buffers of views; ", left, " are there"));
    }
    for (int64_t i = 0; i < count; ++i) {
      ASSIGN_OR_RETURN(const std::string_view part, NextBuffer());
      array->parts.push_back(part);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string_view> NextBuffer() {
    if (batch_.buffers() == nullptr || next_buffer_ >= batch_.buffers()->size()) {
      return InvalidArgument("the record batch has too few buffers for its schema");
    }
    const auto buffer = Element<ipc::Buffer>(*batch_.buffers(), next_buffer_++);
    const auto size = static_cast<int64_t>(body_.size());
    if (buffer.offset() < 0 || buffer.length() < 0 || buffer.offset() > size ||
        buffer.length() > size - buffer.offset()) {
      return InvalidArgument(StrCat("a buffer of ", buffer.length(), " bytes at ", buffer.offset(),
                                    " in a body of ", size, " bytes"));
    }
    const std::string_view bytes =
        body_.substr(static_cast<size_t>(buffer.offset()), static_cast<size_t>(buffer.length()));
    return codec_ == IpcCodec::kNone || bytes.empty() ? bytes : Plain(bytes);
  }

  // Compressed buffers begin with their true length; -1: what follows is not compressed.
  absl::StatusOr<std::string_view> Plain(std::string_view bytes) {
    int64_t size = 0;
    if (bytes.size() < sizeof(size)) {
      return InvalidArgument(StrCat("a compressed buffer of ", bytes.size(), " bytes"));
    }
    std::memcpy(&size, bytes.data(), sizeof(size));
    bytes.remove_prefix(sizeof(size));
    if (size == -1) return bytes;
    if (size < 0 || static_cast<uint64_t>(size) > limits_.body_bytes - owned_bytes_) {
      return OutOfRange(StrCat("a buffer of ", size, " bytes when decompressed, after ",
                               owned_bytes_, "; the limit max_flight_body_bytes is ",
                               limits_.body_bytes, "; send fewer rows at a time"));
    }
    ASSIGN_OR_RETURN(IpcBytes plain, Decompress(codec_, bytes, static_cast<size_t>(size)));
    owned_bytes_ += plain.size;
    owned_.push_back(std::move(plain));
    return std::string_view(reinterpret_cast<const char*>(owned_.back().data.get()),
                            owned_.back().size);
  }

  const ipc::RecordBatch& batch_;
  const std::string_view body_;
  const IpcLimits& limits_;
  IpcCodec codec_ = IpcCodec::kNone;
  flatbuffers::uoffset_t next_node_ = 0;
  flatbuffers::uoffset_t next_buffer_ = 0;
  flatbuffers::uoffset_t next_count_ = 0;
  int64_t null_count_ = 0;
  size_t owned_bytes_ = 0;
  std::vector<IpcBytes> owned_;
};

}  // namespace

absl::StatusOr<IpcBatch> ReadBody(const ipc::RecordBatch& batch, std::string_view body,
                                  absl::Span<const ArrowField> fields, const IpcLimits& limits) {
  return Body(batch, body, limits).Read(fields);
}

}  // namespace fletch
