// SPDX-License-Identifier: Apache-2.0
// The fold of an array, of a tree after any edits in any order, of a tree built at once and of a
// naive trie: the same bits.
#include <algorithm>
#include <atomic>
#include <map>
#include <random>

#include "server/engine/window_array.h"
#include "server/engine/window_oracle_testing.h"
#include "server/engine/window_tree.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

using namespace window_testing;  // the oracle is half of this test

class WindowFoldTest : public testing::Test {
 protected:
  WindowFoldTest()
      : view_(MakeWindows({1, 1000, 40'000, int64_t{1} << 40})),
        plan_(view_, AllOf(*view_)),
        editor_(&plan_.shape(), &memory_) {
    for (size_t i = 0; i < plan_.shape().slots().size(); ++i) slots_.push_back(i);
  }

  // Crowded instants, neighbours, and times that differ in high bits or in sign.
  int64_t RandomTime() {
    const int64_t near = static_cast<int64_t>(random_() % 3000);
    switch (random_() % 4) {
      case 0:
        return near / 100 * 100;
      case 1:
        return (int64_t{1} << (random_() % 45)) + near;
      case 2:
        return -near;
      default:
        return near;
    }
  }

  // Puts or corrects a random row, or takes one out.
  void Edit(uint64_t commit) {
    const int64_t time = RandomTime();
    const std::string key(random_() % 3, 'k');
    if (random_() % 5 == 0 && !current_.empty()) {
      const auto victim =
          std::next(current_.begin(), static_cast<ptrdiff_t>(random_() % current_.size()));
      editor_.Remove(victim->first.first, victim->first.second, &tree_);
      current_.erase(victim);
    } else if (random_() % 20 == 0) {
      editor_.Remove(time, key + "absent", &tree_);
    } else {
      History::Entry entry;
      entry.identity = {EntityKey(0), time, false, key};
      entry.commit = commit;
      entry.values = RandomValues(wild_, random_);
      entry.row = EncodeRow(*view_->source, entry.values);
      editor_.Put(Block({&entry}), &tree_);
      current_[{time, key}] = entry;
    }
  }

  void EditTombstone(uint64_t commit) {
    const int64_t time = RandomTime();
    if (random_() % 3 == 0 && !tombstones_.empty()) {
      editor_.RemoveTombstone(tombstones_.begin()->first, &tree_);
      tombstones_.erase(tombstones_.begin());
    } else {
      editor_.PutTombstone({time, commit}, &tree_);
      tombstones_[time] = commit;
    }
  }

  EventBlock Block(std::vector<const History::Entry*> entries) const {
    EventBlock block(&plan_.shape());
    for (const History::Entry* entry : entries) {
      block.Append(entry->identity.event_time, entry->commit, entry->identity.event_key,
                   RowView(&view_->source->layout, entry->row));
    }
    return block;
  }

  std::string AnswerOf(WindowSource* source) {
    AggregateRowBuilder row(&plan_.row_shape());
    EXPECT_TRUE(AnswerWindows(plan_, 0, nullptr, source, &row).ok());
    return std::string(row.Finish());
  }

  void Compare(int questions) {
    History history;
    std::vector<const History::Entry*> entries;
    for (const auto& [identity, entry] : current_) {
      history.facts.push_back(entry);
      entries.push_back(&entry);
    }
    std::sort(entries.begin(), entries.end(), [](const auto* a, const auto* b) {
      return std::tie(a->identity.event_time, a->commit, a->identity.event_key) <
             std::tie(b->identity.event_time, b->commit, b->identity.event_key);
    });
    std::vector<FactPlace> places;
    for (const auto& [time, commit] : tombstones_) {
      places.push_back({time, commit});
      History::Entry entry;
      entry.identity = {EntityKey(0), time, true, ""};
      entry.commit = commit;
      entry.form = FactForm::kTombstone;
      history.facts.push_back(entry);
    }
    const EventBlock block = Block(entries);
    const EventTree built = editor_.Build(block, places);
    ASSERT_EQ(tree_.root == nullptr ? 0 : tree_.root->size(), block.size());
    WindowArray array(&plan_);
    array.Load(&block, places);
    for (int i = 0; i < questions; ++i) {
      const int64_t as_of = RandomTime() + static_cast<int64_t>(random_() % 3) - 1;
      array.Ask(as_of);
      const std::string answer = AnswerOf(&array);
      EventTreeSource edited(plan_, slots_, tree_, as_of);
      ASSERT_EQ(AnswerOf(&edited), answer) << "T=" << as_of;
      EventTreeSource at_once(plan_, slots_, built, as_of);
      ASSERT_EQ(AnswerOf(&at_once), answer) << "T=" << as_of;
      if (i < 5) ExpectRow(*view_, history, EntityKey(0), as_of, UINT64_MAX, answer);
      if (HasFatalFailure()) return;
    }
  }

  std::mt19937_64 random_ = SeededRandom();
  const std::shared_ptr<const AggregationView> view_;
  const WindowPlan plan_;
  std::vector<size_t> slots_;
  bool wild_ = false;
  std::atomic<int64_t> memory_{0};
  const EventTreeEditor editor_;
  EventTree tree_;
  std::map<std::pair<int64_t, std::string>, History::Entry> current_;
  std::map<int64_t, uint64_t> tombstones_;
};

TEST_F(WindowFoldTest, IsTheSameAfterAnyEdits) {
  for (int round = 0; round < 12 && !HasFatalFailure(); ++round) {
    wild_ = round % 2 == 0;
    tree_ = {};
    current_.clear();
    tombstones_.clear();
    const uint64_t edits = 1 + random_() % 400;
    for (uint64_t commit = 1; commit <= edits; ++commit) {
      if (random_() % 60 == 0) EditTombstone(commit);
      Edit(commit);
    }
    Compare(30);
  }
}

TEST_F(WindowFoldTest, IsTheSameInLargeTrees) {
  for (uint64_t commit = 1; commit <= 4000; ++commit) Edit(commit);
  Compare(30);
}

TEST_F(WindowFoldTest, PruningTakesOutWhatIsOld) {
  for (uint64_t commit = 1; commit <= 2000; ++commit) {
    if (commit % 300 == 0) EditTombstone(commit);
    Edit(commit);
  }
  const int64_t time = RandomTime();
  editor_.Prune(time, &tree_);
  std::erase_if(current_, [&](const auto& entry) { return entry.first.first <= time; });
  std::erase_if(tombstones_, [&](const auto& entry) { return entry.first <= time; });
  Compare(50);
  editor_.Prune(std::numeric_limits<int64_t>::max(), &tree_);
  EXPECT_TRUE(tree_.empty());
}

TEST_F(WindowFoldTest, MemoryIsCountedAndGivenBack) {
  for (uint64_t commit = 1; commit <= 3000; ++commit) Edit(commit);
  Compare(5);  // tallies too
  EXPECT_GT(memory_.load(), 3000 * 8);
  tree_ = {};
  EXPECT_EQ(memory_.load(), 0);
}

}  // namespace
}  // namespace fletch
