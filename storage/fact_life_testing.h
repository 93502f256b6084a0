// SPDX-License-Identifier: Apache-2.0
// A random life of one view: commits, folds, drops, erasures, compactions and reopenings in any
// order, all readers compared with the brute force after each.
#ifndef FLETCH_STORAGE_FACT_LIFE_TESTING_H_
#define FLETCH_STORAGE_FACT_LIFE_TESTING_H_

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "storage/fact_maintenance.h"
#include "storage/fact_oracle_testing.h"

namespace fletch {

class FactLife {
 public:
  // `open` closes the store when it is open, and gives it.
  FactLife(std::function<KvStore*()> open, uint64_t times, std::mt19937_64* random)
      : open_(std::move(open)), store_(open_()), times_(times), random_(*random) {
    ordered_ = fact_oracle::EntityKeys();
    std::sort(ordered_.begin(), ordered_.end());
  }

  void Run(int steps) {
    for (int step = 0; step < steps && !testing::Test::HasFailure(); ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      switch (Below(12)) {
        case 0:
          Drop();
          break;
        case 1:
          if (Below(3) == 0) Erase();
          break;
        case 2:
          store_ = open_();
          break;
        case 3:
          ExpectOk(Below(2) == 0 ? store_->Compact(ViewRanges(schema_))
                                 : store_->Compact({UnfoldedRange(schema_)}));
          break;
        case 4:
        case 5:
          Page();
          break;
        case 6:
        case 7:
        case 8:
          Fold(1 + Below(400));
          break;
        default:
          Commit(1 + Below(60));
      }
      for (int i = 0; i < 12 && !testing::Test::HasFailure(); ++i) Ask();
    }
  }
  uint64_t facts_folded() const { return folded_; }
  uint64_t facts_dropped() const { return dropped_; }

 private:
  static constexpr ViewId kView = 5;

  uint64_t Below(uint64_t n) { return random_() % n; }
  static void ExpectOk(const absl::Status& status) { ASSERT_TRUE(status.ok()) << status; }
  const std::string& RandomEntity() { return ordered_[Below(ordered_.size())]; }
  int64_t RandomTime() {
    const int64_t half = static_cast<int64_t>(times_ / 2) + 1;
    return std::max(horizon_, static_cast<int64_t>(Below(times_ + 2)) - half);
  }
  uint64_t RandomCommit() { return floor_ + Below(commits_ + 2 - floor_); }

  void Commit(uint64_t count) {
    std::vector<Fact> all = facts_;
    fact_oracle::AddRandomFacts(kView, commits_ + 1, commits_ + count, times_, random_, &all);
    KvBatch batch;
    for (size_t i = facts_.size(); i < all.size(); ++i) {
      if (all[i].key.identity.event_time < horizon_) continue;  // refused
      for (const ViewId view : {kView - 1, kView, kView + 1}) {
        Fact fact = all[i];
        fact.key.view_id = view;
        AddFact(fact, &batch);
      }
      fresh_.push_back(all[i]);
    }
    facts_.insert(facts_.end(), fresh_.begin(), fresh_.end());
    fresh_.clear();
    commits_ += count;
    ExpectOk(store_->Write(batch, false));
  }

  void Fold(uint64_t budget) {
    const auto result = FoldView(store_, schema_, resume_, budget);
    ASSERT_TRUE(result.ok()) << result.status();
    resume_ = result->resume_key;
    folded_ += result->rows_folded;
  }

  void Drop() {
    horizon_ = std::max(horizon_,
                        static_cast<int64_t>(Below(times_)) - static_cast<int64_t>(times_ * 3 / 4));
    floor_ = std::max(floor_, Below(commits_ + 1));
    std::string resume;
    do {
      const auto result = DropHistory(store_, schema_, horizon_, floor_, resume, 1 + Below(3));
      ASSERT_TRUE(result.ok()) << result.status();
      resume = result->resume_key;
      dropped_ += result->facts_dropped;
    } while (!resume.empty());
  }

  void Erase() {
    const std::string entity = RandomEntity();
    uint64_t stored = 0;
    FactReader reader(store_);
    ExpectOk(reader.ReadEntity(schema_, entity, INT64_MIN, INT64_MAX, UINT64_MAX, true,
                               [&](const FactRef&) {
                                 ++stored;
                                 return absl::OkStatus();
                               }));
    const auto erased = EraseEntity(store_, schema_, entity);
    ASSERT_TRUE(erased.ok()) << erased.status();
    EXPECT_EQ(*erased, stored);
    std::erase_if(facts_, [&](const Fact& f) { return f.key.identity.entity_key == entity; });
  }

  void Ask() {
    FactReader reader(store_);
    uint64_t known_at = RandomCommit();
    std::vector<int64_t> times;
    for (int i = 0; i < 4; ++i) times.push_back(RandomTime());
    if (Below(2) == 0) std::sort(times.begin(), times.end(), std::greater<>());
    const std::string entity = RandomEntity();
    for (const int64_t as_of : times) {
      const auto visible = reader.FindVisible(schema_, entity, as_of, known_at);
      ASSERT_TRUE(visible.ok()) << visible.status();
      ASSERT_EQ(fact_oracle::Show(*visible),
                fact_oracle::Show(fact_oracle::FindVisible(facts_, entity, as_of, known_at)));
      if (Below(4) == 0) known_at = RandomCommit();
    }
    if (Below(8) == 0) AskSweep();  // the brute force looks at every fact for each question
    AskEntity(&reader);
    AskScan(&reader);
    if (facts_.empty()) return;
    const Identity identity = facts_[Below(facts_.size())].key.identity;
    if (identity.event_time < horizon_) return;
    bool expected = false;
    for (const Fact& fact : fact_oracle::CurrentForms(facts_, identity.entity_key, known_at)) {
      expected = expected || fact.key.identity == identity;
    }
    ASSERT_EQ(reader.IdentityCounts(schema_, identity, known_at).value(), expected);
  }

  // As a join does: some entities in order, each from its newest instant on, at commits that fall
  // with them or at any.
  void AskSweep() {
    FactReader reader(store_, Below(2) == 0 ? FactReader::Use::kSweep : FactReader::Use::kLookups);
    const uint64_t skipped = Below(4);
    for (const std::string& entity : ordered_) {
      if (Below(4) < skipped) continue;
      std::vector<int64_t> times;
      std::vector<uint64_t> commits;
      for (uint64_t i = Below(12); i > 0; --i) {
        times.push_back(RandomTime());
        commits.push_back(Below(4) == 0 ? UINT64_MAX : RandomCommit());
      }
      std::sort(times.begin(), times.end(), std::greater<>());
      if (Below(2) == 0) std::sort(commits.begin(), commits.end(), std::greater<>());
      reader.SetEntity(schema_, entity);
      for (size_t i = 0; i < times.size(); ++i) {
        const int64_t as_of = times[i];
        const uint64_t known_at = commits[i];
        const auto visible = reader.FindVisible(as_of, known_at);
        ASSERT_TRUE(visible.ok()) << visible.status();
        const auto expected = fact_oracle::FindVisible(facts_, entity, as_of, known_at);
        ASSERT_EQ(visible->has_value(), expected.has_value());
        if (!expected.has_value()) continue;
        ASSERT_EQ((*visible)->form, expected->form);
        ASSERT_EQ((*visible)->event_time, expected->key.identity.event_time);
        ASSERT_EQ((*visible)->row, expected->row);
      }
    }
  }

  void AskEntity(FactReader* reader) {
    const HistoryQuery query{.entity_key = RandomEntity(),
                             .start = RandomTime(),
                             .end = RandomTime(),
                             .known_at = RandomCommit(),
                             .all_forms = Below(2) == 0};
    std::vector<std::string> seen;
    ExpectOk(reader->ReadEntity(schema_, query.entity_key, query.start, query.end, query.known_at,
                                query.all_forms, [&](const FactRef& ref) {
                                  seen.push_back(fact_oracle::Show(ref));
                                  return absl::OkStatus();
                                }));
    ASSERT_EQ(seen, Expected(query));
  }

  void AskScan(FactReader* reader) {
    const int64_t as_of = RandomTime();
    const uint64_t known_at = RandomCommit();
    std::vector<std::string> expected;
    for (const std::string& entity : ordered_) {
      const auto fact = fact_oracle::FindVisible(facts_, entity, as_of, known_at);
      if (fact.has_value() && fact->form == FactForm::kRow)
        expected.push_back(fact_oracle::Show(*fact));
    }
    std::vector<std::string> seen;
    ExpectOk(reader->ScanVisible(schema_, as_of, known_at, [&](const FactRef& ref) {
      seen.push_back(fact_oracle::Show(ref));
      return absl::OkStatus();
    }));
    ASSERT_EQ(seen, expected);
  }

  std::vector<std::string> Expected(const HistoryQuery& query) {
    std::vector<std::string> expected;
    for (const std::string& entity : ordered_) {
      if (!query.entity_key.empty() && entity != query.entity_key) continue;
      for (const Fact& fact : fact_oracle::History(facts_, entity, query))
        expected.push_back(fact_oracle::Show(fact));
    }
    return expected;
  }

  // A history in pages, with folds and commits between them.
  void Page() {
    const HistoryQuery query{.entity_key = Below(2) == 0 ? RandomEntity() : "",
                             .start = RandomTime(),
                             .end = RandomTime(),
                             .last_k = Below(3) == 0 ? Below(40) : 0,
                             .known_at = std::min(RandomCommit(), commits_),
                             .all_forms = Below(2) == 0};
    const std::vector<std::string> expected = Expected(query);
    std::vector<std::string> seen;
    std::string token;
    do {
      const auto next =
          ReadHistory(*store_, schema_, query, token, 1 + Below(50), [&](const FactRef& ref) {
            seen.push_back(fact_oracle::Show(ref));
            return absl::OkStatus();
          });
      ASSERT_TRUE(next.ok()) << next.status();
      token = *next;
      if (Below(3) == 0) Fold(1 + Below(200));
      if (Below(6) == 0) Commit(1);
    } while (!token.empty());
    ASSERT_EQ(seen, expected);
  }

  const std::function<KvStore*()> open_;
  KvStore* store_;
  const uint64_t times_;
  std::mt19937_64& random_;
  const ViewSchema schema_ = fact_oracle::Schema(kView);
  std::vector<std::string> ordered_;
  std::vector<Fact> facts_;
  std::vector<Fact> fresh_;
  uint64_t commits_ = 0;
  int64_t horizon_ = -1'000'000;
  uint64_t floor_ = 0;
  std::string resume_;
  uint64_t folded_ = 0;
  uint64_t dropped_ = 0;
};

}  // namespace fletch

#endif  // FLETCH_STORAGE_FACT_LIFE_TESTING_H_
