// SPDX-License-Identifier: Apache-2.0
// EventTreeEditor of window_tree.h.
#include <algorithm>

#include "server/engine/window_tree.h"

namespace fletch {
namespace {

// A leaf splits above so many events, unless they are all of one microsecond.
constexpr size_t kLeafEvents = 32;

using Tombstones = std::vector<FactPlace>;

std::shared_ptr<const Tombstones> ShareTombstones(Tombstones tombstones) {
  if (tombstones.empty()) return nullptr;
  return std::make_shared<const Tombstones>(std::move(tombstones));
}

Tombstones CopyTombstones(const EventTree& tree) {
  return tree.tombstones == nullptr ? Tombstones{} : *tree.tombstones;
}

}  // namespace

EventTree EventTreeEditor::Build(const EventBlock& events,
                                 std::vector<FactPlace> tombstones) const {
  EventTree tree;
  if (!events.empty()) tree.root = BuildRange(events, 0, events.size());
  tree.tombstones = ShareTombstones(std::move(tombstones));
  return tree;
}

EventTreeEditor::Pointer EventTreeEditor::BuildRange(const EventBlock& events, size_t begin,
                                                     size_t end) const {
  const int64_t last = events.time(end - 1);
  const int bit = TrieBit(events.time(begin), last);
  if (end - begin <= kLeafEvents || bit < 0) {
    EventBlock leaf(shape_);
    leaf.Reserve(end - begin);
    for (size_t i = begin; i < end; ++i) leaf.AppendFrom(events, i);
    return std::make_shared<const EventTrie>(std::move(leaf), memory_);
  }
  size_t split = begin;  // the first event on the newer side of the bit
  for (size_t high = end - 1; split < high;) {
    const size_t middle = (split + high) / 2;
    if (TrieBit(events.time(middle), last) == bit) {
      split = middle + 1;
    } else {
      high = middle;
    }
  }
  return Join(BuildRange(events, begin, split), BuildRange(events, split, end));
}

EventTreeEditor::Pointer EventTreeEditor::Join(Pointer older, Pointer newer) const {
  return std::make_shared<const EventTrie>(std::move(older), std::move(newer), memory_);
}

void EventTreeEditor::Put(const EventBlock& event, EventTree* tree) const {
  tree->root = PutIn(tree->root, event);
}

EventTreeEditor::Pointer EventTreeEditor::PutIn(const Pointer& node,
                                                const EventBlock& event) const {
  if (node == nullptr) return BuildRange(event, 0, 1);
  const int64_t time = event.time(0);
  if (node->is_leaf()) {
    const EventBlock& old = node->events();
    const auto is_before = [&](size_t i) {
      return std::tuple(old.time(i), old.commit(i), old.event_key(i)) <
             std::tuple(time, event.commit(0), event.event_key(0));
    };
    const auto is_replaced = [&](size_t i) {
      return old.time(i) == time && old.event_key(i) == event.event_key(0);
    };
    EventBlock changed(shape_);
    changed.Reserve(old.size() + 1);
    size_t i = 0;
    for (; i < old.size() && is_before(i); ++i) {
      if (!is_replaced(i)) changed.AppendFrom(old, i);
    }
    changed.AppendFrom(event, 0);
    for (; i < old.size(); ++i) {
      if (!is_replaced(i)) changed.AppendFrom(old, i);
    }
    return BuildRange(changed, 0, changed.size());
  }
  const int bit = TrieBit(node->first_time(), node->last_time());
  if (TrieBit(time, node->first_time()) > bit) {
    Pointer leaf = BuildRange(event, 0, 1);
    return time < node->first_time() ? Join(std::move(leaf), node) : Join(node, std::move(leaf));
  }
  if (TrieBit(time, node->newer()->first_time()) < bit) {
    return Join(node->older(), PutIn(node->newer(), event));
  }
  return Join(PutIn(node->older(), event), node->newer());
}

void EventTreeEditor::Remove(int64_t time, std::string_view event_key, EventTree* tree) const {
  if (tree->root != nullptr) tree->root = RemoveFrom(tree->root, time, event_key);
}

EventTreeEditor::Pointer EventTreeEditor::RemoveFrom(const Pointer& node, int64_t time,
                                                     std::string_view event_key) const {
  if (time < node->first_time() || time > node->last_time()) return node;
  if (node->is_leaf()) {
    EventBlock changed(shape_);
    const EventBlock& old = node->events();
    for (size_t i = 0; i < old.size(); ++i) {
      if (old.time(i) != time || old.event_key(i) != event_key) changed.AppendFrom(old, i);
    }
    if (changed.size() == old.size()) return node;
    return changed.empty() ? nullptr : BuildRange(changed, 0, changed.size());
  }
  Pointer older = RemoveFrom(node->older(), time, event_key);
  Pointer newer = RemoveFrom(node->newer(), time, event_key);
  if (older == node->older() && newer == node->newer()) return node;
  if (older == nullptr) return newer;
  if (newer == nullptr) return older;
  if (older->is_leaf() && newer->is_leaf() && older->size() + newer->size() <= kLeafEvents / 2) {
    EventBlock both(shape_);
    for (const Pointer& leaf : {older, newer}) {
      for (size_t i = 0; i < leaf->size(); ++i) both.AppendFrom(leaf->events(), i);
    }
    return BuildRange(both, 0, both.size());
  }
  return Join(std::move(older), std::move(newer));
}

void EventTreeEditor::PutTombstone(FactPlace place, EventTree* tree) const {
  Tombstones tombstones = CopyTombstones(*tree);
  std::erase_if(tombstones, [&](const FactPlace& other) { return other.time == place.time; });
  tombstones.insert(std::upper_bound(tombstones.begin(), tombstones.end(), place), place);
  tree->tombstones = ShareTombstones(std::move(tombstones));
}

void EventTreeEditor::RemoveTombstone(int64_t time, EventTree* tree) const {
  Tombstones tombstones = CopyTombstones(*tree);
  std::erase_if(tombstones, [&](const FactPlace& other) { return other.time == time; });
  tree->tombstones = ShareTombstones(std::move(tombstones));
}

void EventTreeEditor::Prune(int64_t time, EventTree* tree) const {
  if (tree->root != nullptr) tree->root = PruneFrom(tree->root, time);
  if (tree->tombstones == nullptr || tree->tombstones->front().time > time) return;
  Tombstones tombstones = CopyTombstones(*tree);
  std::erase_if(tombstones, [&](const FactPlace& place) { return place.time <= time; });
  tree->tombstones = ShareTombstones(std::move(tombstones));
}

EventTreeEditor::Pointer EventTreeEditor::PruneFrom(const Pointer& node, int64_t time) const {
  if (node->first_time() > time) return node;
  if (node->last_time() <= time) return nullptr;
  if (node->is_leaf()) {
    EventBlock kept(shape_);
    for (size_t i = 0; i < node->size(); ++i) {
      if (node->events().time(i) > time) kept.AppendFrom(node->events(), i);
    }
    return BuildRange(kept, 0, kept.size());
  }
  Pointer older = PruneFrom(node->older(), time);
  Pointer newer = PruneFrom(node->newer(), time);
  if (older == nullptr) return newer;
  return Join(std::move(older), std::move(newer));
}

}  // namespace fletch
