// SPDX-License-Identifier: Apache-2.0
// The indexed fields of one view: the latest value of every entity in memory, and the entities in
// the order of each field. Derived from the latest family; can be thrown away and loaded again.
#ifndef FLETCH_SERVER_ENGINE_FIELD_INDEX_H_
#define FLETCH_SERVER_ENGINE_FIELD_INDEX_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "index/chunked_rows.h"
#include "server/engine/dictionary.h"
#include "server/engine/field_order.h"
#include "server/engine/view.h"
#include "storage/online_table.h"

namespace fletch {

// The orders of all indexed fields at one moment, and who changed since. A reader at (T, S) with S
// >= base_seq and T >= newest_time finds every entity whose visible value has a word w in the slice
// of w, or among `always`, or among the first changed_count() of `changed`.
struct FieldOrders {
  explicit FieldOrders(size_t field_count) { fields.reserve(field_count); }
  uint64_t base_seq = 0;
  int64_t newest_time = INT64_MIN;
  std::vector<FieldOrder> fields;
  std::vector<Ordinal> always;  // of facts in the future then, or unreadable
  uint32_t entity_count = 0;    // looked at
  int64_t made_at = 0;

  // One writer, as FieldIndex's.
  void AddChanged(Ordinal entity) {
    const uint32_t at = changed_count_.load(std::memory_order_relaxed);
    *changed_.Grow(at) = entity;
    changed_count_.store(at + 1, std::memory_order_release);
  }
  uint32_t changed_count() const { return changed_count_.load(std::memory_order_acquire); }
  Ordinal changed(uint32_t i) const { return *changed_[i]; }
  uint64_t bytes() const;

 private:
  ChunkedRows<Ordinal> changed_;
  std::atomic<uint32_t> changed_count_{0};
};

// One thread applies (the commit thread); any number read, without waiting; one background thread
// maintains.
class FieldIndex {
 public:
  static constexpr size_t kMaxFields = limits::kMaxIndexedFields;

  // `fields`: numbers of view->schema.fields that are indexed, ascending, 1 to kMaxFields.
  FieldIndex(std::shared_ptr<const View> view, std::vector<size_t> fields);

  // Writer, in sequence order, before the commit is published: an entity's latest is `slot` now.
  void Apply(Ordinal entity, const OnlineSlot& slot);
  // Writer. The entity has nothing at any (T, S); its facts have left the store.
  void Erase(Ordinal entity);

  enum class Look : uint8_t {
    kMissing,  // no row, or an expired one: all fields are null
    kRow,
    kAsk,  // the index cannot say; ask the facts
  };
  // What an entity's row holds at (T, S), of the fields that were asked for.
  struct Record {
    uint64_t nulls = 0;  // bit i: field i is null
    uint64_t words[kMaxFields];
  };
  // `slots` are positions in fields(). About 5 ns in cache.
  Look Read(Ordinal entity, int64_t as_of, uint64_t read_seq, absl::Span<const uint8_t> slots,
            Record* record) const;
  void Prefetch(Ordinal entity) const;

  // nullptr: there are none yet. A request takes them after its read_seq.
  std::shared_ptr<const FieldOrders> orders() const;

  // Background: brings the orders up to date when enough has changed. False: nothing to do. Ends
  // early when `cancelled`.
  bool Maintain(int64_t now, absl::FunctionRef<bool()> cancelled);
  // Background: the same, however little has changed.
  void RemakeOrders(int64_t now);

  // Whether most of the texts it keeps are no entity's any more, so that a new index would be much
  // smaller.
  bool is_stale() const { return is_stale_.load(std::memory_order_relaxed); }

  const std::shared_ptr<const View>& view() const { return view_; }
  absl::Span<const size_t> fields() const { return fields_; }
  // The texts of fields()[slot]; nullptr unless it is a STRING.
  const Dictionary* texts(size_t slot) const { return texts_[slot].get(); }
  uint64_t bytes() const;

 private:
  // A record's words: 0 changed_seq, 1 event time, 2 state and nulls, then the fields.
  using Cell = std::atomic<uint64_t>;
  static constexpr size_t kHeaderCells = 3;
  static constexpr int kStateBits = 2;
  static constexpr uint64_t kChanging = UINT64_MAX;  // as changed_seq: being written, or unreadable

  struct Seen {
    uint64_t changed_seq = 0;
    int64_t event_time = 0;
    Latest::State state = Latest::State::kAbsent;
  };
  // False: it is being written, or unreadable.
  bool ReadCells(Ordinal entity, absl::Span<const uint8_t> slots, Seen* seen, Record* record) const;
  bool Encode(std::string_view row, Record* record);
  void Write(Ordinal entity, const Seen& seen, const Record& record);
  void GrowTo(Ordinal entity);
  void NoteChange(Ordinal entity);
  std::shared_ptr<FieldOrders> BeginOrders(int64_t now);
  bool HasStaleTexts(const FieldOrders& orders) const;
  void FillOrders(const FieldOrders* before, uint32_t before_changed, int64_t now,
                  FieldOrders* orders) const;

  const std::shared_ptr<const View> view_;
  const std::vector<size_t> fields_;
  std::vector<std::unique_ptr<Dictionary>> texts_;
  ChunkedRows<Cell> cells_;
  std::atomic<uint32_t> count_{0};  // records that can be read
  std::atomic<bool> is_stale_{false};
  mutable Mutex mu_;  // held for some copies only
  std::shared_ptr<FieldOrders> orders_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<FieldOrders> next_orders_ ABSL_GUARDED_BY(mu_);  // being made
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_FIELD_INDEX_H_
