// SPDX-License-Identifier: Apache-2.0
// Events of one entity, cut down to what its windows need: fixed-size records of 64-bit words and
// the bytes of their strings. Private to the windows.
#ifndef FLETCH_SERVER_ENGINE_WINDOW_BLOCK_H_
#define FLETCH_SERVER_ENGINE_WINDOW_BLOCK_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/row_codec.h"
#include "storage/value.h"

namespace fletch {

enum class SlotKind : uint8_t {
  kEvents,    // the event itself: no value, never null
  kPresence,  // null or not, no value: arrays and vectors, which can only be counted
  kInt,       // BOOL, INT32, INT64, TIMESTAMP
  kFloat,     // FLOAT, DOUBLE, as double
  kBytes,     // STRING, BYTES, JSON
};

SlotKind KindOf(const std::optional<DataType>& type);

// One column of the source as windows see it.
struct EventSlot {
  std::optional<size_t> field;  // nullopt: kEvents
  SlotKind kind = SlotKind::kEvents;
  ValueType type = ValueType::kInt64;
  bool numbers = false;  // partials keep sum, spread, min and max
  size_t word = 0;       // where the value stands in a record
};

// What is kept of an event. Made by Add, then constant.
class EventShape {
 public:
  // The slot of `field` of `type`, a new one if there is none.
  size_t Add(std::optional<size_t> field, const std::optional<DataType>& type, bool numbers);
  // Lays the records out; call it once, after the last Add.
  void Finish();

  const std::vector<EventSlot>& slots() const { return slots_; }
  std::optional<size_t> Find(std::optional<size_t> field) const;
  size_t stride() const { return stride_; }

 private:
  std::vector<EventSlot> slots_;
  size_t stride_ = 0;
};

// Movable, copyable. Any number of threads may read one.
class EventBlock {
 public:
  // `shape` outlives the block.
  explicit EventBlock(const EventShape* shape) : shape_(shape), stride_(shape->stride()) {}

  size_t size() const { return words_.size() / stride_; }
  bool empty() const { return words_.empty(); }
  const EventShape& shape() const { return *shape_; }
  // Memory of the events.
  size_t bytes() const {
    return words_.capacity() * sizeof(uint64_t) + blob_.capacity() + sizeof(*this);
  }

  int64_t time(size_t event) const { return static_cast<int64_t>(record(event)[kTime]); }
  uint64_t commit(size_t event) const { return record(event)[kCommit]; }
  std::string_view event_key(size_t event) const { return Bytes(record(event)[kKey]); }
  bool is_null(size_t event, size_t slot) const {
    return (record(event)[kNulls + slot / 64] >> (slot % 64) & 1) != 0;
  }
  // REQUIRES: of that kind, not null.
  int64_t GetInt(size_t event, const EventSlot& slot) const {
    return static_cast<int64_t>(record(event)[slot.word]);
  }
  double GetDouble(size_t event, const EventSlot& slot) const {
    return std::bit_cast<double>(record(event)[slot.word]);
  }
  std::string_view GetBytes(size_t event, const EventSlot& slot) const {
    return Bytes(record(event)[slot.word]);
  }

  void Reserve(size_t events) { words_.reserve(events * stride_); }
  void Clear();
  void Append(int64_t time, uint64_t commit, std::string_view event_key, const RowView& row);
  // REQUIRES: of the same shape.
  void AppendFrom(const EventBlock& other, size_t event);
  void Reverse();

 private:
  static constexpr size_t kTime = 0;
  static constexpr size_t kCommit = 1;
  static constexpr size_t kKey = 2;
  static constexpr size_t kNulls = 3;
  static constexpr int kLengthBits = 24;  // a row has at most 16 MiB
  friend class EventShape;

  const uint64_t* record(size_t event) const { return words_.data() + event * stride_; }
  std::string_view Bytes(uint64_t ref) const {
    return std::string_view(blob_).substr(ref >> kLengthBits, ref & ((1u << kLengthBits) - 1));
  }
  uint64_t AddBytes(std::string_view bytes);

  const EventShape* shape_;
  size_t stride_;
  std::vector<uint64_t> words_;
  std::string blob_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_WINDOW_BLOCK_H_
