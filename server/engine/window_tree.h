// SPDX-License-Identifier: Apache-2.0
// The events of one entity as an immutable trie over their times, with what each sub-trie folds to:
// a change copies one path. Private to the windows.
#ifndef FLETCH_SERVER_ENGINE_WINDOW_TREE_H_
#define FLETCH_SERVER_ENGINE_WINDOW_TREE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "server/engine/aggregate_state.h"
#include "server/engine/window_answer.h"

namespace fletch {

// How often each value occurs in a sub-trie. Immutable.
struct TrieTally {
  ValueCounts values;     // by key
  bool too_many = false;  // more than limits::kMaxWindowDistinctValues; then `values` is empty
};
struct TrieBuckets {
  std::vector<std::pair<int32_t, uint64_t>> up_to;  // (bucket, events in it and the buckets below)
};

// Some events that are all of one sub-trie. Immutable but for tallies, which are made when first
// asked for. Thread-safe.
class EventTrie {
 public:
  using Pointer = std::shared_ptr<const EventTrie>;

  // Counts its memory into *memory, which outlives it.
  EventTrie(EventBlock events, std::atomic<int64_t>* memory);
  EventTrie(Pointer older, Pointer newer, std::atomic<int64_t>* memory);
  ~EventTrie();
  EventTrie(const EventTrie&) = delete;
  EventTrie& operator=(const EventTrie&) = delete;

  bool is_leaf() const { return older_ == nullptr; }
  const EventBlock& events() const { return events_; }  // REQUIRES: is_leaf()
  const Pointer& older() const { return older_; }
  const Pointer& newer() const { return newer_; }
  size_t size() const { return size_; }
  int64_t first_time() const { return first_time_; }
  int64_t last_time() const { return last_time_; }
  // Events that are not null in the slot.
  uint64_t count(size_t slot) const { return counts_[slot]; }
  // REQUIRES: a slot with numbers.
  const NumberState& numbers(size_t slot) const { return numbers_[slot]; }

  // Nodes of so many events keep their tallies; smaller ones are counted anew.
  static constexpr size_t kTallyEvents = 1024;
  static constexpr size_t kBucketEvents = 128;
  // Made when first asked for. REQUIRES: size() >= kTallyEvents; a slot with values.
  const TrieTally& Tally(size_t slot) const;
  // REQUIRES: size() >= kBucketEvents; a slot with numbers.
  const TrieBuckets& Buckets(size_t slot) const;

 private:
  template <typename Kept>
  using Cache = std::unique_ptr<std::atomic<const Kept*>[]>;  // a slot; nullptr: too few events

  // `made` unless another thread was quicker.
  template <typename Kept>
  const Kept& Keep(std::unique_ptr<const Kept> made, int64_t bytes,
                   std::atomic<const Kept*>* place) const;
  void MakeCaches();
  void Account(int64_t bytes) const;

  const EventBlock events_;
  const Pointer older_;
  const Pointer newer_;
  std::atomic<int64_t>* const memory_;
  int64_t first_time_ = 0;
  int64_t last_time_ = 0;
  size_t size_ = 0;
  std::vector<uint32_t> counts_;      // a slot
  std::vector<NumberState> numbers_;  // a slot; empty when none has numbers
  Cache<TrieTally> tallies_;
  Cache<TrieBuckets> buckets_;
  mutable std::atomic<int64_t> bytes_{0};
};

// What an entity's windows see: a trie and its tombstones. A value; copies are cheap. nullptr: no
// events.
struct EventTree {
  EventTrie::Pointer root;
  std::shared_ptr<const std::vector<FactPlace>> tombstones;  // ascending; nullptr: none

  bool empty() const { return root == nullptr && tombstones == nullptr; }
};

// Makes changed trees. Thread-compatible.
class EventTreeEditor {
 public:
  // `memory` is told what the tries take.
  EventTreeEditor(const EventShape* shape, std::atomic<int64_t>* memory)
      : shape_(shape), memory_(memory) {}

  // `events`: oldest first. `tombstones`: ascending.
  EventTree Build(const EventBlock& events, std::vector<FactPlace> tombstones) const;
  // Event 0 of `event` becomes the only one of its identity (time and event key).
  void Put(const EventBlock& event, EventTree* tree) const;
  void Remove(int64_t time, std::string_view event_key, EventTree* tree) const;
  void PutTombstone(FactPlace place, EventTree* tree) const;
  void RemoveTombstone(int64_t time, EventTree* tree) const;
  // Takes out what is at or before `time`.
  void Prune(int64_t time, EventTree* tree) const;

 private:
  using Pointer = EventTrie::Pointer;

  Pointer BuildRange(const EventBlock& events, size_t begin, size_t end) const;
  Pointer Join(Pointer older, Pointer newer) const;
  Pointer PutIn(const Pointer& node, const EventBlock& event) const;
  Pointer RemoveFrom(const Pointer& node, int64_t time, std::string_view event_key) const;
  Pointer PruneFrom(const Pointer& node, int64_t time) const;

  const EventShape* const shape_;
  std::atomic<int64_t>* const memory_;
};

// The windows of one question over a tree. Not thread-safe.
class EventTreeSource : public WindowSource {
 public:
  // `slots`: where the plan's slots are in the tree's shape. All outlive it.
  EventTreeSource(const WindowPlan& plan, absl::Span<const size_t> slots, const EventTree& tree,
                  int64_t as_of);

  WindowFold Fold(size_t fold) override;
  EventAt Oldest(size_t fold) override;
  std::vector<EventAt> Newest(size_t fold, size_t k) override;
  std::optional<uint64_t> CountDistinct(size_t fold) override;
  std::optional<ValueCounts> Top(size_t fold, size_t k) override;
  int32_t Bucket(size_t fold, uint64_t rank) override;

 private:
  const WindowBounds& BoundsOf(size_t fold) const { return bounds_[plan_.folds()[fold].window]; }
  size_t SlotOf(size_t fold) const { return slots_[plan_.folds()[fold].slot]; }
  // nullopt: too many.
  std::optional<ValueCounts> CountValues(size_t fold) const;

  const WindowPlan& plan_;
  const absl::Span<const size_t> slots_;
  const EventTree& tree_;
  std::vector<WindowBounds> bounds_;  // a window
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_WINDOW_TREE_H_
