// SPDX-License-Identifier: Apache-2.0
// Partial updates against a plain list of facts.
#include <algorithm>
#include <set>

#include "server/engine/engine_world_testing.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

class MergeTest : public EngineWorld {
 protected:
  MergeTest() {
    Open();
    ApplyView();
  }

  // What a write of `patch` makes of the facts before it.
  WorldRow Resolve(const Patch& patch, bool merge) {
    WorldRow row{std::nullopt, std::nullopt, 7.5};
    if (merge) {
      std::optional<WorldFact> own;
      for (const WorldFact& fact : facts_) {
        if (fact.user == patch.user && fact.event_time == patch.event_time &&
            fact.event == patch.event) {
          own = fact;
        }
      }
      if (own && !own->withdrawn) {
        row = own->row;
      } else if (const auto base = VisibleFact(facts_, patch.user, patch.event_time, kNewest)) {
        row = base->row;
      }
    }
    if (patch.a) row.a = *patch.a;
    if (patch.b) row.b = *patch.b;
    if (patch.c) row.c = *patch.c;
    return row;
  }

  void RetractFact(WorldFact victim) {
    auto receipt =
        StartKeyed(FactForm::kRetraction, victim.user, victim.event_time, victim.event).get();
    ASSERT_TRUE(receipt.ok()) << receipt.status();
    victim.commit = receipt->commit_seq;
    victim.withdrawn = true;
    facts_.push_back(victim);
  }

  void ExpectVisible(int64_t user, int64_t as_of, uint64_t known_at) {
    const auto want = VisibleFact(facts_, user, as_of, known_at);
    auto got = Online(user, as_of, known_at);
    ASSERT_TRUE(got.ok()) << got.status();
    ASSERT_EQ(got->has_value(), want.has_value()) << user << " T=" << as_of << " K=" << known_at;
    if (want) {
      ASSERT_EQ(**got, want->row) << user << " T=" << as_of << " K=" << known_at;
    }
  }

  // A write under way, and what it says.
  struct Sent {
    std::vector<Patch> patches;
    std::vector<bool> merges;
    Future future;
  };

  std::vector<WorldFact> facts_;
};

TEST_F(MergeTest, KeepsWhatIsKnown) {
  ASSERT_TRUE(Write({.user = 1, .event_time = kNow, .a = 1, .b = "x", .c = 2.0}).ok());
  ASSERT_TRUE(Write({.user = 1, .event_time = kNow + 10, .a = 5}, /*merge=*/true).ok());
  EXPECT_EQ(**Online(1, kNow), (WorldRow{1, "x", 2.0}));
  clock_.Advance(20);
  EXPECT_EQ(**Online(1), (WorldRow{5, "x", 2.0}));
  // A late fact does not change what was merged.
  ASSERT_TRUE(Write({.user = 1, .event_time = kNow + 5, .a = 2, .b = "late", .c = 3.0}).ok());
  EXPECT_EQ(**Online(1), (WorldRow{5, "x", 2.0}));
  EXPECT_EQ(**Online(1, kNow + 5), (WorldRow{2, "late", 3.0}));
  // An explicit null stays null; a plain write takes the defaults.
  std::optional<std::string> null;
  ASSERT_TRUE(Write({.user = 1, .event_time = kNow + 10, .b = null}, /*merge=*/true).ok());
  EXPECT_EQ(**Online(1), (WorldRow{5, std::nullopt, 2.0}));
  ASSERT_TRUE(Write({.user = 1, .event_time = kNow + 11, .b = "y"}).ok());
  EXPECT_EQ(**Online(1), (WorldRow{std::nullopt, "y", 7.5}));
}

TEST_F(MergeTest, BuildsOnDefaultsAfterADeletionAndForTheUnknown) {
  ASSERT_TRUE(Write({.user = 1, .event_time = kNow, .a = 1, .b = "x", .c = 2.0}, true).ok());
  ASSERT_TRUE(StartKeyed(FactForm::kTombstone, 1, kNow + 1).get().ok());
  ASSERT_TRUE(Write({.user = 1, .event_time = kNow + 2, .a = 3}, true).ok());
  ASSERT_TRUE(Write({.user = 2, .event_time = kNow + 2, .a = 3}, true).ok());
  clock_.Advance(2);
  EXPECT_EQ(**Online(1), (WorldRow{3, std::nullopt, 7.5}));
  EXPECT_EQ(**Online(2), (WorldRow{3, std::nullopt, 7.5}));
}

TEST_F(MergeTest, TtlDoesNotMatter) {
  Apply(
      "allow_breaking: true objects { feature_view { name: 'v' entity: 'user'"
      " fields { name: 'a' type: INT64 } fields { name: 'b' type: STRING }"
      " fields { name: 'c' type: DOUBLE default_value { value { doubles { values: 7.5 } } } }"
      " event_key { name: 'event' type: INT64 } ttl { seconds: 1 } } }");
  ASSERT_TRUE(Write({.user = 1, .event_time = kNow - 9 * kSecond, .b = "old"}).ok());
  ASSERT_TRUE(Write({.user = 1, .event_time = kNow, .a = 3}, true).ok());
  EXPECT_EQ(**Online(1), (WorldRow{3, "old", 7.5}));
}

TEST_F(MergeTest, AFieldAddedMeanwhileKeepsItsValue) {
  ASSERT_TRUE(Write({.user = 1, .event_time = kNow, .a = 1, .b = "x"}).ok());
  Apply(
      "objects { feature_view { name: 'v' entity: 'user' fields { name: 'a' type: INT64 }"
      " fields { name: 'b' type: STRING }"
      " fields { name: 'c' type: DOUBLE default_value { value { doubles { values: 7.5 } } } }"
      " fields { name: 'd' type: INT64 default_value { value { int64s { values: 4 } } } }"
      " event_key { name: 'event' type: INT64 } max_future_skew { seconds: 1000 } } }");
  ASSERT_TRUE(Write({.user = 1, .event_time = kNow + 1, .a = 2}, true).ok());
  clock_.Advance(1);
  OnlineRequest request;
  request.project = "p";
  request.selection.features = {"v:a", "v:b", "v:d"};
  request.row_count = 1;
  request.keys = {{"user", Ints({1})}};
  auto answer = engine_->GetOnline(request, Call{});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->columns[0].int64s[0], 2);
  EXPECT_EQ(answer->columns[1].strings[0], "x");
  EXPECT_EQ(answer->columns[2].int64s[0], 4);
}

TEST_F(MergeTest, ARepeatedRequestIsOneCommit) {
  ASSERT_TRUE(Write({.user = 1, .event_time = kNow, .a = 1, .b = "x"}).ok());
  const Patch patch{.user = 1, .event_time = kNow, .a = 2};
  const auto first = StartWrite({ToBatch(patch, true)}, "r").get();
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(Write({.user = 1, .event_time = kNow, .a = 3, .b = "y"}).ok());
  const auto again = StartWrite({ToBatch(patch, true)}, "r").get();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->commit_seq, first->commit_seq);
  EXPECT_EQ(**Online(1), (WorldRow{3, "y", 7.5}));
}

TEST_F(MergeTest, ARepeatedRequestIsKnownAfterTheSchemaChanged) {
  const auto write = [&](const std::string& id) {
    return StartWrite({ToBatch({.user = 1, .event_time = kNow, .a = 2}, false)}, id).get();
  };
  const auto first = write("r");
  ASSERT_TRUE(first.ok()) << first.status();
  Apply(
      "allow_breaking: true objects { feature_view { name: 'v' entity: 'user' "
      "fields { name: 'other' type: INT64 } } }");
  const auto again = write("r");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->commit_seq, first->commit_seq);
  EXPECT_FALSE(write("new").ok());
  EXPECT_FALSE(write("").ok());
  EXPECT_EQ(engine_->applied_seq(), first->commit_seq);
}

TEST_F(MergeTest, AStopCommitsWhatWasAccepted) {
  std::vector<Future> futures;
  for (int64_t i = 0; i < 200; ++i) {
    futures.push_back(StartWrite(
        {ToBatch({.user = 1, .event_time = kNow + i, .a = i, .b = std::nullopt}, i % 2 == 0)}));
  }
  Open();
  for (Future& future : futures) {
    const auto receipt = future.get();
    EXPECT_TRUE(receipt.ok()) << receipt.status();
  }
  clock_.Advance(200);
  EXPECT_EQ((**Online(1)).a, 199);
}

// Random writes, many under way at once so that they share groups, deletions and retractions.
TEST_F(MergeTest, EqualsAPlainLoop) {
  std::mt19937_64 random = SeededRandom();
  const auto pick = [&random](int64_t n) {
    return std::uniform_int_distribution<int64_t>(0, n - 1)(random);
  };
  for (int round = 0; round < 300; ++round) {
    std::vector<Sent> sent;
    for (int64_t i = pick(6); i >= 0; --i) {
      Sent& one = sent.emplace_back();
      std::vector<RowBatch> batches;
      std::set<std::tuple<int64_t, int64_t, int64_t>> identities;
      for (int64_t rows = pick(3); rows >= 0; --rows) {
        const int64_t user = pick(9), time = kNow + pick(6), event = pick(2);
        if (!identities.insert({user, time, event}).second) continue;
        Patch& patch = one.patches.emplace_back();
        patch.user = user;
        patch.event_time = time;
        patch.event = event;
        if (pick(2) == 0) patch.a = pick(5) == 0 ? std::nullopt : std::optional(pick(1000));
        if (pick(2) == 0) {
          patch.b.emplace();
          if (pick(5) != 0) patch.b->emplace(absl::StrCat("t", pick(1000)));
        }
        if (pick(2) == 0) {
          patch.c = pick(5) == 0 ? std::nullopt : std::optional(static_cast<double>(pick(1000)));
        }
        one.merges.push_back(pick(3) != 0);
        batches.push_back(ToBatch(patch, one.merges.back()));
      }
      one.future = StartWrite(std::move(batches));
    }
    std::vector<std::pair<WriteReceipt, Sent*>> committed;
    for (Sent& one : sent) {
      auto receipt = one.future.get();
      ASSERT_TRUE(receipt.ok()) << receipt.status();
      committed.emplace_back(*receipt, &one);
    }
    std::sort(committed.begin(), committed.end(),
              [](const auto& x, const auto& y) { return x.first.commit_seq < y.first.commit_seq; });
    for (const auto& [receipt, one] : committed) {
      std::vector<WorldFact> rows;
      for (size_t i = 0; i < one->patches.size(); ++i) {
        const Patch& patch = one->patches[i];
        rows.push_back({patch.user, patch.event_time, patch.event, receipt.commit_seq,
                        receipt.commit_time, false, Resolve(patch, one->merges[i])});
      }
      facts_.insert(facts_.end(), rows.begin(), rows.end());
    }
    if (pick(4) == 0) {
      const int64_t user = pick(9), time = kNow + pick(6);
      auto receipt = StartKeyed(FactForm::kTombstone, user, time).get();
      ASSERT_TRUE(receipt.ok()) << receipt.status();
      facts_.push_back(
          {user, time, std::nullopt, receipt->commit_seq, receipt->commit_time, false, {}});
    }
    if (pick(4) == 0) {
      ASSERT_NO_FATAL_FAILURE(RetractFact(facts_[pick(facts_.size())]));
    }
    if (pick(30) == 0) Open();
    clock_.Set(kNow + 10);
    for (int64_t user = 0; user < 9; ++user) {
      const uint64_t known_at =
          pick(2) == 0 ? engine_->applied_seq() : facts_[pick(facts_.size())].commit;
      ASSERT_NO_FATAL_FAILURE(ExpectVisible(user, kNow + pick(7), known_at));
    }
  }
}

}  // namespace
}  // namespace fletch
