// SPDX-License-Identifier: Apache-2.0
#include "server/engine/field_index.h"

#include <algorithm>
#include <utility>

#include "server/engine/field_word.h"
#include "storage/row_codec.h"

namespace fletch {
namespace {

// Changes that are looked at one by one by every listing, before the orders are merged anew.
constexpr uint32_t kMinChanges = 1024;
constexpr uint32_t kEntitiesPerChange = 256;
constexpr uint32_t kSpareTexts = 1 << 16;        // some megabytes
constexpr int64_t kMaturingMicros = 10'000'000;  // between two looks at facts in the future

uint64_t WordOf(const RowView& row, size_t field, ValueType type, Dictionary* texts) {
  if (texts != nullptr) return texts->Add(row.GetBytes(field));
  if (type == ValueType::kBool) return WordOfInt(row.GetBool(field) ? 1 : 0);
  if (IsReal(type)) return WordOfReal(row.GetDouble(field));
  return WordOfInt(row.GetInt(field));
}

std::vector<uint8_t> AllSlots(size_t count) {
  std::vector<uint8_t> slots(count);
  for (size_t i = 0; i < count; ++i) slots[i] = static_cast<uint8_t>(i);
  return slots;
}

}  // namespace

uint64_t FieldOrders::bytes() const {
  uint64_t bytes = (always.capacity() + changed_count()) * sizeof(Ordinal);
  for (const FieldOrder& field : fields) bytes += field.bytes();
  return bytes;
}

FieldIndex::FieldIndex(std::shared_ptr<const View> view, std::vector<size_t> fields)
    : view_(std::move(view)), fields_(std::move(fields)), cells_(kHeaderCells + fields_.size()) {
  for (const size_t field : fields_) {
    const bool is_text = view_->layout.type(field).type == ValueType::kString;
    texts_.push_back(is_text ? std::make_unique<Dictionary>() : nullptr);
  }
}

void FieldIndex::GrowTo(Ordinal entity) {
  for (uint32_t at = count_.load(std::memory_order_relaxed); at <= entity; ++at) {
    Cell* const cells = cells_.Grow(at);
    for (size_t i = 0; i < kHeaderCells + fields_.size(); ++i) {
      cells[i].store(0, std::memory_order_relaxed);
    }
    count_.store(at + 1, std::memory_order_release);
  }
}

// False: the bytes are no row of the view.
bool FieldIndex::Encode(std::string_view row, Record* record) {
  const absl::StatusOr<RowView> parsed = RowView::Parse(&view_->layout, row);
  if (!parsed.ok()) return false;
  for (size_t i = 0; i < fields_.size(); ++i) {
    record->words[i] = 0;
    if (parsed->is_null(fields_[i])) {
      record->nulls |= uint64_t{1} << i;
    } else {
      const ValueType type = view_->layout.type(fields_[i]).type;
      record->words[i] = WordOf(*parsed, fields_[i], type, texts_[i].get());
    }
  }
  return true;
}

void FieldIndex::Write(Ordinal entity, const Seen& seen, const Record& record) {
  Cell* const cells = cells_[entity];
  cells[0].store(kChanging, std::memory_order_relaxed);
  // Releases: who reads one of the new words finds the record changing, or changed, afterwards.
  cells[1].store(static_cast<uint64_t>(seen.event_time), std::memory_order_release);
  cells[2].store(record.nulls << kStateBits | static_cast<uint64_t>(seen.state),
                 std::memory_order_release);
  for (size_t i = 0; i < fields_.size(); ++i) {
    cells[kHeaderCells + i].store(record.words[i], std::memory_order_release);
  }
  cells[0].store(seen.changed_seq, std::memory_order_release);
}

void FieldIndex::NoteChange(Ordinal entity) {
  MutexLock lock(&mu_);
  if (orders_ != nullptr) orders_->AddChanged(entity);
  if (next_orders_ != nullptr) next_orders_->AddChanged(entity);
}

void FieldIndex::Apply(Ordinal entity, const OnlineSlot& slot) {
  GrowTo(entity);
  Seen seen{slot.changed_seq, slot.event_time, slot.state};
  Record record{.nulls = 0, .words = {}};
  if (slot.state == Latest::State::kRow && !Encode(slot.row, &record)) {
    seen.changed_seq = kChanging;  // for ever: the facts say what is wrong
  }
  Write(entity, seen, record);
  NoteChange(entity);
}

void FieldIndex::Erase(Ordinal entity) {
  if (entity >= count_.load(std::memory_order_relaxed)) return;
  Write(entity, Seen{}, Record{.nulls = 0, .words = {}});
  NoteChange(entity);
}

void FieldIndex::Prefetch(Ordinal entity) const {
  if (entity < count_.load(std::memory_order_acquire)) __builtin_prefetch(cells_[entity]);
}

bool FieldIndex::ReadCells(Ordinal entity, absl::Span<const uint8_t> slots, Seen* seen,
                           Record* record) const {
  const Cell* const cells = cells_[entity];
  seen->changed_seq = cells[0].load(std::memory_order_acquire);
  if (seen->changed_seq == kChanging) return false;
  seen->event_time = static_cast<int64_t>(cells[1].load(std::memory_order_acquire));
  const uint64_t state = cells[2].load(std::memory_order_acquire);
  seen->state = static_cast<Latest::State>(state & ((1u << kStateBits) - 1));
  record->nulls = state >> kStateBits;
  for (const uint8_t slot : slots) {
    record->words[slot] = cells[kHeaderCells + slot].load(std::memory_order_acquire);
  }
  return cells[0].load(std::memory_order_relaxed) == seen->changed_seq;
}

FieldIndex::Look FieldIndex::Read(Ordinal entity, int64_t as_of, uint64_t read_seq,
                                  absl::Span<const uint8_t> slots, Record* record) const {
  if (entity >= count_.load(std::memory_order_acquire)) return Look::kMissing;
  Seen seen;
  if (!ReadCells(entity, slots, &seen, record) || seen.changed_seq > read_seq) return Look::kAsk;
  if (seen.state == Latest::State::kAbsent) return Look::kMissing;
  if (seen.event_time > as_of) return Look::kAsk;
  if (seen.state == Latest::State::kTombstone) return Look::kMissing;
  const int64_t ttl = view_->schema.ttl_micros;
  return ttl > 0 && as_of - seen.event_time > ttl ? Look::kMissing : Look::kRow;
}

std::shared_ptr<const FieldOrders> FieldIndex::orders() const {
  MutexLock lock(&mu_);
  return orders_;
}

// From here on changes are noted for the orders that are to be made.
std::shared_ptr<FieldOrders> FieldIndex::BeginOrders(int64_t now) {
  auto next = std::make_shared<FieldOrders>(fields_.size());
  next->made_at = now;
  MutexLock lock(&mu_);
  next_orders_ = next;
  return next;
}

void FieldIndex::FillOrders(const FieldOrders* before, uint32_t before_changed, int64_t now,
                            FieldOrders* orders) const {
  const uint32_t count = count_.load(std::memory_order_acquire);
  const std::vector<uint8_t> slots = AllSlots(fields_.size());
  std::vector<std::vector<FieldOrder::Entry>> fresh(fields_.size());
  std::vector<bool> changed(count);
  const auto take = [&](Ordinal entity) {
    if (changed[entity]) return;
    changed[entity] = true;
    Seen seen;
    Record record;
    if (!ReadCells(entity, slots, &seen, &record)) return orders->always.push_back(entity);
    orders->base_seq = std::max(orders->base_seq, seen.changed_seq);
    if (seen.state == Latest::State::kAbsent) return;
    if (seen.event_time > now) return orders->always.push_back(entity);
    orders->newest_time = std::max(orders->newest_time, seen.event_time);
    if (seen.state != Latest::State::kRow) return;
    for (size_t i = 0; i < fields_.size(); ++i) {
      if ((record.nulls >> i & 1) == 0) fresh[i].push_back({record.words[i], entity});
    }
  };
  orders->entity_count = count;
  if (before == nullptr) {
    for (Ordinal entity = 0; entity < count; ++entity) take(entity);
  } else {
    orders->base_seq = before->base_seq;
    orders->newest_time = before->newest_time;
    for (uint32_t i = 0; i < before_changed; ++i) take(before->changed(i));
    for (const Ordinal entity : before->always) take(entity);
  }
  for (size_t i = 0; i < fields_.size(); ++i) {
    const FieldOrder nothing(texts_[i].get());
    const FieldOrder& old = before == nullptr ? nothing : before->fields[i];
    orders->fields.push_back(
        old.Merge([&](Ordinal entity) { return changed[entity]; }, std::move(fresh[i])));
  }
}

bool FieldIndex::Maintain(int64_t now, absl::FunctionRef<bool()> cancelled) {
  const std::shared_ptr<const FieldOrders> before = orders();
  if (before != nullptr) {
    const uint32_t enough =
        std::max(kMinChanges, count_.load(std::memory_order_relaxed) / kEntitiesPerChange);
    const bool matured =
        before->always.size() >= kMinChanges && now - before->made_at >= kMaturingMicros;
    if (before->changed_count() < enough && !matured) return false;
  }
  if (cancelled()) return false;
  RemakeOrders(now);
  return true;
}

bool FieldIndex::HasStaleTexts(const FieldOrders& orders) const {
  for (size_t i = 0; i < fields_.size(); ++i) {
    if (texts_[i] == nullptr) continue;
    if (texts_[i]->size() > 2 * uint64_t{orders.fields[i].distinct_words()} + kSpareTexts)
      return true;
  }
  return false;
}

void FieldIndex::RemakeOrders(int64_t now) {
  const std::shared_ptr<const FieldOrders> before = orders();
  const std::shared_ptr<FieldOrders> next = BeginOrders(now);
  // What changes from here on is in the list of `next`.
  FillOrders(before.get(), before == nullptr ? 0 : before->changed_count(), now, next.get());
  is_stale_.store(HasStaleTexts(*next), std::memory_order_relaxed);
  MutexLock lock(&mu_);
  orders_ = next;
  next_orders_ = nullptr;
}

uint64_t FieldIndex::bytes() const {
  uint64_t bytes = uint64_t{count_.load(std::memory_order_relaxed)} *
                   (kHeaderCells + fields_.size()) * sizeof(Cell);
  for (const auto& texts : texts_) bytes += texts == nullptr ? 0 : texts->bytes();
  const std::shared_ptr<const FieldOrders> now = orders();
  return now == nullptr ? bytes : bytes + now->bytes();
}

}  // namespace fletch
