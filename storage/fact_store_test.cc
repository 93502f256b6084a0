// SPDX-License-Identifier: Apache-2.0
#include "storage/fact_store.h"

#include <string>
#include <vector>

#include "base/limits.h"
#include "gtest/gtest.h"
#include "storage/entity_key.h"
#include "storage/memory_kv_store.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

constexpr int64_t kSecond = 1'000'000;

std::string IntKey(int64_t value) {
  std::string key;
  AppendInt64Key(value, &key);
  return key;
}

std::string TextKey(std::string_view value) {
  std::string key;
  AppendStringKey(value, &key);
  return key;
}

class FactStoreTest : public testing::Test {
 protected:
  FactStoreTest() {
    schema_.view_id = 3;
    schema_.name = "trips";
    schema_.join_keys = {{"user", ValueType::kInt64}};
  }

  void Add(FactForm form, bool tombstone, int64_t event_time, uint64_t commit,
           const std::string& row, const std::string& event_key) {
    KvBatch batch;
    AddFact({{schema_.view_id, {user_, event_time, tombstone, event_key}, commit}, form, row},
            &batch);
    ASSERT_TRUE(store_->Write(batch, false).ok());
  }
  void Write(int64_t t, uint64_t commit, const std::string& row,
             const std::string& event_key = "") {
    Add(FactForm::kRow, false, t, commit, row, event_key);
  }
  void Delete(int64_t t, uint64_t commit) { Add(FactForm::kTombstone, true, t, commit, "", ""); }
  void Retract(int64_t t, uint64_t commit, const std::string& event_key = "") {
    Add(FactForm::kRetraction, false, t, commit, "", event_key);
  }
  void RetractTombstone(int64_t t, uint64_t commit) {
    Add(FactForm::kRetraction, true, t, commit, "", "");
  }

  // The row, "deleted" or "none". A reader of its own, as every request has.
  std::string At(int64_t as_of, uint64_t known_at) {
    FactReader reader(store_.get());
    const auto visible = reader.FindVisible(schema_, user_, as_of, known_at);
    if (!visible.ok()) return visible.status().ToString();
    if (!visible->has_value()) return "none";
    return (*visible)->form == FactForm::kTombstone ? "deleted" : std::string((*visible)->row);
  }

  ViewSchema schema_;
  std::string user_ = IntKey(7);
  std::unique_ptr<KvStore> store_ = NewMemoryKvStore();
};

// semantics.md's table, row for row; ttl is its callers' (so the row one microsecond too old still
// finds B).
TEST_F(FactStoreTest, WorkedExample) {
  Write(100 * kSecond, 1, "A");
  Write(130 * kSecond, 2, "B");
  Write(120 * kSecond, 3, "C");
  EXPECT_EQ(At(99 * kSecond, 3), "none");
  EXPECT_EQ(At(100 * kSecond, 3), "A");
  EXPECT_EQ(At(125 * kSecond, 2), "A");
  EXPECT_EQ(At(125 * kSecond, 3), "C");
  EXPECT_EQ(At(130 * kSecond, 3), "B");
  EXPECT_EQ(At(190 * kSecond, 3), "B");
  EXPECT_EQ(At(190 * kSecond + 1, 3), "B");
  Retract(130 * kSecond, 4);
  EXPECT_EQ(At(130 * kSecond, 4), "C");
  EXPECT_EQ(At(130 * kSecond, 3), "B");
  Delete(125 * kSecond, 5);
  EXPECT_EQ(At(125 * kSecond, 5), "deleted");
  EXPECT_EQ(At(125 * kSecond, 4), "C");
  EXPECT_EQ(At(124 * kSecond, 5), "C");
}

TEST_F(FactStoreTest, TiesAtOneInstantGoByCommitThenEventKey) {
  schema_.event_keys = {{"order", ValueType::kString}};
  Write(10, 1, "x", TextKey("x"));
  Write(10, 2, "b", TextKey("b"));
  Write(10, 2, "a", TextKey("a"));
  EXPECT_EQ(At(10, 1), "x");
  EXPECT_EQ(At(10, 2), "b");
  Write(10, 3, "x again", TextKey("x"));
  EXPECT_EQ(At(10, 3), "x again");
  Retract(10, 4, TextKey("x"));  // with all its corrections
  EXPECT_EQ(At(10, 4), "b");
  Retract(10, 5, TextKey("b"));
  EXPECT_EQ(At(10, 5), "a");
  Retract(10, 6, TextKey("a"));
  EXPECT_EQ(At(10, 6), "none");
}

TEST_F(FactStoreTest, TombstonesBesideRowsOfTheSameInstant) {
  Write(10, 1, "row");
  Delete(10, 2);
  EXPECT_EQ(At(10, 2), "deleted");
  Write(10, 3, "after");
  EXPECT_EQ(At(10, 3), "after");
  Retract(10, 4);  // the row: the tombstone of that instant shows
  EXPECT_EQ(At(10, 4), "deleted");
  RetractTombstone(10, 5);
  EXPECT_EQ(At(10, 5), "none");
  Write(10, 6, "once more");
  EXPECT_EQ(At(10, 6), "once more");
  EXPECT_EQ(At(10, 1), "row");
}

TEST_F(FactStoreTest, RetractedTombstoneGivesTheRowBack) {
  Write(10, 1, "row");
  Delete(20, 2);
  RetractTombstone(20, 3);
  EXPECT_EQ(At(25, 2), "deleted");
  EXPECT_EQ(At(25, 3), "row");
  Retract(20, 4);  // of a row that never was
  EXPECT_EQ(At(25, 4), "row");
}

TEST_F(FactStoreTest, CorrectionAfterRetractionCountsAgain) {
  Write(10, 1, "first");
  Retract(10, 2);
  Write(10, 3, "second");
  EXPECT_EQ(At(10, 1), "first");
  EXPECT_EQ(At(10, 2), "none");
  EXPECT_EQ(At(10, 3), "second");
}

TEST_F(FactStoreTest, FutureEventsHideNothing) {
  Write(10, 1, "now");
  Write(1000, 2, "forecast");
  Delete(2000, 3);
  EXPECT_EQ(At(999, 3), "now");
  EXPECT_EQ(At(1000, 3), "forecast");
  EXPECT_EQ(At(2000, 3), "deleted");
}

TEST_F(FactStoreTest, EdgesOfTime) {
  Write(limits::kMinTimeMicros, 1, "first");
  Write(limits::kMaxTimeMicros, 2, "last");
  EXPECT_EQ(At(limits::kMinTimeMicros - 1, 2), "none");
  EXPECT_EQ(At(limits::kMinTimeMicros, 2), "first");
  EXPECT_EQ(At(limits::kMaxTimeMicros - 1, 2), "first");
  EXPECT_EQ(At(limits::kMaxTimeMicros, 2), "last");
  EXPECT_EQ(At(INT64_MAX, 2), "last");
  EXPECT_EQ(At(INT64_MIN, 2), "none");
}

TEST_F(FactStoreTest, ManyFactsNewerThanK) {
  Write(10, 1, "old");
  for (uint64_t commit = 2; commit < 2000; ++commit) Write(20, commit, "new");
  EXPECT_EQ(At(20, 1), "old");
  EXPECT_EQ(At(20, 2), "new");
}

TEST_F(FactStoreTest, DamagedFactsAreDataLoss) {
  const std::string key = EncodeFactKey({3, {user_, 10, false, ""}, 1});
  std::string bad_kind = key;
  bad_kind.back() = 2;
  const std::pair<std::string, std::string> damaged[] = {{key.substr(0, key.size() - 1), "\x01row"},
                                                         {bad_kind, "\x01row"},
                                                         {key, ""},
                                                         {key, "\x02"},
                                                         {key, "\x04"},
                                                         {key, "\x03row"}};
  for (const auto& [bad_key, value] : damaged) {
    store_ = NewMemoryKvStore();
    KvBatch batch;
    batch.Put(Family::kFacts, bad_key, value);
    ASSERT_TRUE(store_->Write(batch, false).ok());
    FactReader reader(store_.get());
    const auto nothing = [](const FactRef&) { return absl::OkStatus(); };
    const HistoryQuery query{.end = 100, .known_at = 9};
    EXPECT_EQ(reader.FindVisible(schema_, user_, 20, 9).status().code(),
              absl::StatusCode::kDataLoss);
    EXPECT_EQ(reader.ScanVisible(schema_, 20, 9, nothing).code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(ReadHistory(*store_, schema_, query, "", 10, nothing).status().code(),
              absl::StatusCode::kDataLoss);
  }
}

// A key that no writer makes must not hold a scan up for ever.
TEST_F(FactStoreTest, OddKeysEndScans) {
  KvBatch batch;
  batch.Put(Family::kFacts, FactPrefix(3, user_) + std::string(30, '\xFF'), "\x01row");
  ASSERT_TRUE(store_->Write(batch, false).ok());
  user_ = IntKey(8);
  Write(10, 1, "row");
  const auto nothing = [](const FactRef&) { return absl::OkStatus(); };
  FactReader reader(store_.get());
  EXPECT_EQ(reader.ScanVisible(schema_, 20, 9, nothing).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(
      ReadHistory(*store_, schema_, {.end = 100, .known_at = 9}, "", 10, nothing).status().code(),
      absl::StatusCode::kDataLoss);
}

TEST_F(FactStoreTest, AnEmitThatFailsEndsTheScan) {
  Write(10, 1, "row");
  Write(20, 2, "row");
  int calls = 0;
  const auto refuse = [&](const FactRef&) {
    ++calls;
    return absl::CancelledError("enough");
  };
  FactReader reader(store_.get());
  EXPECT_EQ(reader.ScanVisible(schema_, 20, 9, refuse).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(
      ReadHistory(*store_, schema_, {.end = 100, .known_at = 9}, "", 10, refuse).status().code(),
      absl::StatusCode::kCancelled);
  EXPECT_EQ(calls, 2);
}

TEST_F(FactStoreTest, HistoryTokensBelongToTheirQuery) {
  for (int64_t t = 1; t <= 9; ++t) Write(t, static_cast<uint64_t>(t), "row");
  const auto nothing = [](const FactRef&) { return absl::OkStatus(); };
  const HistoryQuery query{.end = 8, .last_k = 5, .known_at = 9};
  const std::string token = ReadHistory(*store_, schema_, query, "", 2, nothing).value();
  ASSERT_FALSE(token.empty());
  const auto code = [&](const HistoryQuery& q, const std::string& t) {
    return ReadHistory(*store_, schema_, q, t, 2, nothing).status().code();
  };
  EXPECT_EQ(code(query, token), absl::StatusCode::kOk);
  for (const HistoryQuery& other :
       {HistoryQuery{.end = 7, .last_k = 5, .known_at = 9},
        HistoryQuery{.end = 8, .last_k = 4, .known_at = 9},
        HistoryQuery{.end = 8, .last_k = 5, .known_at = 8},
        HistoryQuery{.entity_key = user_, .end = 8, .last_k = 5, .known_at = 9},
        HistoryQuery{.end = 8, .last_k = 5, .known_at = 9, .all_forms = true}}) {
    EXPECT_EQ(code(other, token), absl::StatusCode::kInvalidArgument);
  }
  for (size_t size = 1; size < token.size(); ++size) {
    EXPECT_EQ(code(query, token.substr(0, size)), absl::StatusCode::kInvalidArgument) << size;
  }
  EXPECT_EQ(code(query, "garbage"), absl::StatusCode::kInvalidArgument);
  // Bits flipped at random: refused, or still a position within the query; never more than its
  // facts, never a crash.
  std::mt19937_64 random = SeededRandom();
  for (int i = 0; i < 10'000; ++i) {
    std::string flipped = token;
    flipped[random() % flipped.size()] ^= static_cast<char>(1 << (random() % 8));
    const absl::StatusCode got = code(query, flipped);
    EXPECT_TRUE(got == absl::StatusCode::kOk || got == absl::StatusCode::kInvalidArgument);
  }
}

TEST(LatestTest, RoundTripAndDamage) {
  for (const Latest& latest :
       {Latest{}, Latest{Latest::State::kRow, -5, 7, 9, "row"},
        Latest{Latest::State::kRow, 5, 7, 7, ""},
        Latest{Latest::State::kTombstone, limits::kMaxTimeMicros, UINT64_MAX, 1, ""}}) {
    const std::string bytes = EncodeLatest(latest);
    const Latest decoded = DecodeLatest(bytes).value();
    EXPECT_EQ(decoded.state, latest.state);
    EXPECT_EQ(decoded.event_time, latest.event_time);
    EXPECT_EQ(decoded.commit_seq, latest.commit_seq);
    EXPECT_EQ(decoded.changed_seq, latest.changed_seq);
    EXPECT_EQ(decoded.row, latest.row);
    for (size_t size = 0; size < 25; ++size) {
      const std::vector<char> exact(bytes.begin(),
                                    bytes.begin() + static_cast<long>(size));  // ASan sees its end
      EXPECT_EQ(DecodeLatest({exact.data(), exact.size()}).status().code(),
                absl::StatusCode::kDataLoss);
    }
    std::string bad_state = bytes;
    bad_state[0] = 3;
    EXPECT_EQ(DecodeLatest(bad_state).status().code(), absl::StatusCode::kDataLoss);
    if (latest.state != Latest::State::kRow) {
      EXPECT_EQ(DecodeLatest(bytes + "x").status().code(), absl::StatusCode::kDataLoss);
    }
  }
  EXPECT_EQ(LatestKey(3, IntKey(7)), FactPrefix(3, IntKey(7)));
}

}  // namespace
}  // namespace fletch
