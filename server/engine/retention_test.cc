// SPDX-License-Identifier: Apache-2.0
// Horizons, dropped history and folding behind the readers.
#include <thread>

#include "server/engine/engine_world_testing.h"
#include "server/engine/horizon.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

class RetentionTest : public EngineWorld {
 protected:
  void Start() {
    Open();
    ApplyView("retention { seconds: 100 }");
  }
  v1::CompactResponse Compact() {
    auto response = engine_->Compact({}, Call{});
    EXPECT_TRUE(response.ok()) << response.status();
    return *std::move(response);
  }
  std::optional<int64_t> Horizon() {
    v1::GetRequest request;
    request.set_project("p");
    request.set_kind(v1::FEATURE_VIEW);
    request.set_name("v");
    auto response = engine_->Get(request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response->has_horizon_micros() ? std::optional(response->horizon_micros())
                                          : std::nullopt;
  }
  static void ExpectBeforeHorizon(const absl::Status& status, const std::string& field) {
    EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange) << status;
    EXPECT_EQ(ErrorReason(status), "BEFORE_HORIZON");
    EXPECT_EQ(ErrorField(status), field);
    EXPECT_NE(status.message().find("1970-01-12T13:"), std::string::npos) << status;
  }
};

TEST_F(RetentionTest, ChangesBeforeTheHorizonAreRefused) {
  Start();
  const int64_t old = kNow - 101 * kSecond, edge = kNow - 100 * kSecond;
  EXPECT_EQ(Horizon(), std::nullopt);
  // Until maintenance raised it, nothing is before the horizon.
  const auto kept = StartWrite({ToBatch({.user = 1, .event_time = old, .a = 1}, false)}, "r").get();
  ASSERT_TRUE(kept.ok()) << kept.status();
  Compact();
  EXPECT_EQ(Horizon(), edge);
  ExpectBeforeHorizon(Write({.user = 1, .event_time = edge - 1, .a = 2}).status(),
                      "batches[0].event_timestamps");
  ExpectBeforeHorizon(Write({.user = 1, .event_time = edge - 1, .a = 2}, true).status(),
                      "batches[0].event_timestamps");
  ExpectBeforeHorizon(StartKeyed(FactForm::kTombstone, 1, edge - 1).get().status(),
                      "event_timestamps");
  ExpectBeforeHorizon(StartKeyed(FactForm::kRetraction, 1, old, 0).get().status(),
                      "event_timestamps");
  EXPECT_TRUE(Write({.user = 2, .event_time = edge, .a = 3}).ok());
  // What was visible at the horizon is kept, and a known request keeps its answer.
  EXPECT_EQ(**Online(1), (WorldRow{1, std::nullopt, 7.5}));
  const auto again =
      StartWrite({ToBatch({.user = 1, .event_time = old, .a = 1}, false)}, "r").get();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->commit_seq, kept->commit_seq);
  // A merge builds on what lies before the horizon.
  EXPECT_TRUE(Write({.user = 1, .event_time = kNow, .b = "b"}, true).ok());
  EXPECT_EQ(**Online(1), (WorldRow{1, "b", 7.5}));
  Open();
  EXPECT_EQ(Horizon(), edge);
}

TEST_F(RetentionTest, AHorizonGoesWithItsViewAndNeverBack) {
  Start();
  Compact();
  ASSERT_EQ(Horizon(), kNow - 100 * kSecond);
  // More retention brings nothing back; less raises it.
  ApplyView("retention { seconds: 200 }");
  Compact();
  EXPECT_EQ(Horizon(), kNow - 100 * kSecond);
  ApplyView("retention { seconds: 50 }");
  Compact();
  EXPECT_EQ(Horizon(), kNow - 50 * kSecond);
  v1::DeleteObjectRequest request;
  request.set_project("p");
  request.set_kind(v1::FEATURE_VIEW);
  request.set_name("v");
  ASSERT_TRUE(engine_->Delete(request).ok());
  ApplyView();
  EXPECT_EQ(Horizon(), std::nullopt);
  auto it = store_->NewIterator(Family::kMeta);
  it->Seek("horizon/");
  EXPECT_FALSE(it->Valid() && it->key().substr(0, 8) == "horizon/");
}

// Facts of many times and commits; whenever maintenance ran, every question that is still allowed
// is answered as by the plain list.
TEST_F(RetentionTest, AllowedQuestionsAreAnsweredAsBefore) {
  std::mt19937_64 random = SeededRandom();
  const auto pick = [&random](int64_t n) {
    return std::uniform_int_distribution<int64_t>(0, n - 1)(random);
  };
  Start();
  std::vector<WorldFact> facts;
  uint64_t dropped = 0;
  uint64_t folded = 0;
  for (int round = 0; round < 60; ++round) {
    for (int i = 0; i < 25; ++i) {
      clock_.Advance(pick(kSecond / 2));
      const int64_t user = pick(3), time = clock_.NowMicros() - pick(90 * kSecond), event = pick(2);
      absl::StatusOr<WriteReceipt> receipt;
      WorldFact fact{user, time, event, 0, 0, false, {pick(1000), std::nullopt, 7.5}};
      if (pick(8) == 0) {
        fact.event = std::nullopt;
        receipt = StartKeyed(FactForm::kTombstone, user, time).get();
      } else if (pick(8) == 0 && !facts.empty()) {
        fact = facts[pick(facts.size())];
        fact.withdrawn = true;
        receipt = StartKeyed(FactForm::kRetraction, fact.user, fact.event_time, fact.event).get();
        if (Horizon() && fact.event_time < *Horizon()) {
          EXPECT_EQ(ErrorReason(receipt.status()), "BEFORE_HORIZON");
          continue;
        }
      } else {
        receipt = Write({.user = user, .event_time = time, .event = event, .a = fact.row.a});
      }
      ASSERT_TRUE(receipt.ok()) << receipt.status();
      fact.commit = receipt->commit_seq;
      fact.commit_time = receipt->commit_time;
      facts.push_back(fact);
    }
    if (pick(3) == 0) {
      const v1::CompactResponse done = Compact();
      dropped += done.facts_dropped();
      folded += done.facts_folded();
    }
    if (pick(10) == 0) Open();
    const int64_t horizon = Horizon().value_or(kNow - 200 * kSecond);
    uint64_t floor = 0;
    for (const WorldFact& fact : facts) {
      if (fact.commit_time <= horizon) floor = std::max(floor, fact.commit);
    }
    for (int question = 0; question < 30; ++question) {
      const int64_t user = pick(3);
      const int64_t as_of = horizon + pick(clock_.NowMicros() - horizon + 1);
      const uint64_t newest = engine_->applied_seq();
      const uint64_t known_at = pick(2) == 0 ? newest : floor + pick(newest - floor + 1);
      const auto want = VisibleFact(facts, user, as_of, known_at);
      auto got = Online(user, as_of, known_at);
      ASSERT_TRUE(got.ok()) << got.status();
      ASSERT_EQ(got->has_value(), want.has_value()) << user << " T=" << as_of << " K=" << known_at;
      if (want) {
        ASSERT_EQ(**got, want->row) << user << " T=" << as_of << " K=" << known_at;
      }
    }
  }
  EXPECT_GT(dropped, 100u);
  EXPECT_GT(folded, 100u);
}

TEST_F(RetentionTest, TheBackgroundRaisesHorizonsByItself) {
  Start();
  ASSERT_TRUE(Write({.user = 1, .event_time = kNow - 200 * kSecond, .a = 1}).ok());
  ASSERT_TRUE(Write({.user = 1, .event_time = kNow - 150 * kSecond, .a = 2}).ok());
  options_.background = true;
  Open();
  const auto raised_to = [this](int64_t time) {
    for (int tries = 0; tries < 1000 && Horizon() != time; ++tries) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return Horizon();
  };
  EXPECT_EQ(raised_to(kNow - 100 * kSecond), kNow - 100 * kSecond);
  // The step is a hundredth of the retention.
  clock_.Advance(kSecond - 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  EXPECT_EQ(Horizon(), kNow - 100 * kSecond);
  clock_.Advance(1);
  EXPECT_EQ(raised_to(kNow - 99 * kSecond), kNow - 99 * kSecond);
  EXPECT_EQ(**Online(1), (WorldRow{2, std::nullopt, 7.5}));
}

// storage/FORMAT.md, Meta.
TEST(HorizonsTest, Bytes) {
  auto store = NewMemoryKvStore();
  auto horizons = Horizons::Open(store.get());
  ASSERT_TRUE(horizons.ok()) << horizons.status();
  ASSERT_TRUE((*horizons)->Raise(store.get(), 3, {100 * 1'000'000, 7}).ok());
  const std::string key("horizon/\0\0\0\3", 12);
  EXPECT_EQ(**store->Get(Family::kMeta, key),
            std::string("\x80\0\0\0\x05\xF5\xE1\0\0\0\0\0\0\0\0\x07", 16));
  // Neither bound goes back.
  ASSERT_TRUE((*horizons)->Raise(store.get(), 3, {0, 9}).ok());
  auto again = Horizons::Open(store.get());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->Of(3).time, 100 * 1'000'000);
  EXPECT_EQ((*again)->Of(3).floor, 9u);
  EXPECT_EQ((*again)->Of(4).time, INT64_MIN);
}

TEST(HorizonsTest, DamageIsDataLoss) {
  auto store = NewMemoryKvStore();
  KvBatch batch;
  batch.Put(Family::kMeta, std::string("horizon/\0\0\0\1", 12), "short");
  ASSERT_TRUE(store->Write(batch, true).ok());
  EXPECT_EQ(Horizons::Open(store.get()).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace fletch
