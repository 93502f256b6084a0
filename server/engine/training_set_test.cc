// SPDX-License-Identifier: Apache-2.0
// A training set says the same rows for ever, or why it cannot.
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/training_set_world_testing.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class TrainingSetTest : public TrainingSetWorld {
 protected:
  TrainingSetTest() { Open(); }
  std::mt19937_64 random_ = SeededRandom();
};

TEST_F(TrainingSetTest, TheSameRowsAfterAnythingThatIsWritten) {
  ApplyAll();
  for (int i = 0; i < 5; ++i) WriteRandomly(200, &random_);
  const std::vector<SpineBatch> spine = {RandomSpine(700, &random_), RandomSpine(1, &random_),
                                         RandomSpine(300, &random_)};
  auto made = Create("delays-2001", EveryKind(), spine);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->row_count(), 1001u);
  EXPECT_EQ(made->batch_count(), 3u);
  EXPECT_EQ(made->description(), "why");
  EXPECT_EQ(made->digest().size(), 32u);
  EXPECT_EQ(made->features(0).resolved(), "v@v1:a");
  EXPECT_EQ(made->features(2).ref(), "friend:c");
  EXPECT_EQ(made->features(2).type(), v1::DOUBLE);
  EXPECT_EQ(made->known_at_mode(), v1::NEWEST);
  EXPECT_THAT(made->engine_version(), HasSubstr("; expressions: sqlite"));

  const std::vector<std::string> bytes = Bytes("delays-2001");
  EXPECT_EQ(Bytes("delays-2001"), bytes) << "read twice";
  auto batch = GetBatch("delays-2001", 2);
  EXPECT_EQ(batch->spine.timestamps, spine[2].timestamps);
  EXPECT_EQ(batch->spine.request_context[0].column.int64s,
            spine[2].request_context[0].column.int64s);
  Open();
  EXPECT_EQ(Bytes("delays-2001"), bytes) << "after a reopen";
  for (int i = 0; i < 50; ++i) WriteRandomly(2000, &random_);
  EXPECT_EQ(Bytes("delays-2001"), bytes) << "after 100,000 writes, late ones and deletions";
  EXPECT_GT(Compact().facts_folded(), 10'000u);
  EXPECT_EQ(Bytes("delays-2001"), bytes) << "after folding";
  Open();
  EXPECT_EQ(Bytes("delays-2001"), bytes);
  ExpectSame("delays-2001");
  EXPECT_EQ(Describe("delays-2001").SerializeAsString(), made->SerializeAsString());

  // The same question asked now has other answers: the test would see a difference.
  ASSERT_TRUE(Create("now", EveryKind(), spine).ok());
  EXPECT_NE(Bytes("now"), bytes);
}

TEST_F(TrainingSetTest, HowItWasSentDoesNotMatterForTheDigest) {
  ApplyAll();
  WriteRandomly(300, &random_);
  const SpineBatch whole = RandomSpine(50, &random_);
  auto made = Create("whole", EveryKind(), {whole});
  SpineBatch narrow = whole;
  Column& hours = narrow.request_context[0].column;
  hours.type = {ValueType::kInt32};
  hours.int32s.assign(hours.int64s.begin(), hours.int64s.end());
  hours.int64s.clear();
  std::swap(narrow.keys[0], narrow.keys[1]);
  auto again = Create("again", EveryKind(), {narrow});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(made->digest(), again->digest());
}

TEST_F(TrainingSetTest, VerifySeesAFactThatWasTamperedWith) {
  ApplyAll();
  WriteRandomly(50, &random_);
  ASSERT_TRUE(Write({.user = 1000, .event_time = kNow - kSecond, .a = 1234567}).ok());
  ASSERT_TRUE(Create("s", Header({"v:a"}), {Spine({1000, 2}, {kNow, kNow})}).ok());
  ExpectSame("s");
  const int64_t value = 1234567;
  const std::string needle(reinterpret_cast<const char*>(&value), sizeof(value));
  KvBatch batch;
  auto it = store_->NewIterator(Family::kFacts);
  for (it->Seek(""); it->Valid(); it->Next()) {
    std::string changed(it->value());
    const size_t at = changed.find(needle);
    if (at == std::string::npos) continue;
    changed[at] ^= 1;
    batch.Put(Family::kFacts, std::string(it->key()), changed);
  }
  ASSERT_EQ(batch.ops().size(), 1u);
  ASSERT_TRUE(store_->Write(batch, true).ok());
  auto verified = Verify("s");
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_FALSE(verified->same());
  EXPECT_THAT(verified->reason(), HasSubstr("digest"));
}

TEST_F(TrainingSetTest, AnErasedEntityMakesItUnreadableAndSaysSo) {
  ApplyAll();
  WriteRandomly(100, &random_);
  SpineBatch spine = RandomSpine(20, &random_);
  spine.keys[0].column.int64s.assign(20, 1);
  spine.keys[1].column.int64s.assign(20, 2);
  spine.keys[1].column.int64s[7] = 3;  // as a friend only
  ASSERT_TRUE(Create("hit", EveryKind(), {spine}).ok());
  ASSERT_TRUE(Create("missed", Header({"v:a"}), {Spine({1}, {kNow})}).ok());
  auto open = engine_->CreateTrainingSet("open", "", Header({"v:a"}), Call{});
  ASSERT_TRUE(open.ok());
  ASSERT_TRUE((*open)->Add(Spine({3}, {kNow}), Call{}).ok());
  auto erased = engine_->Erase({"p", "user", 1, {{"user", Ints({3})}}}, Call{});
  ASSERT_TRUE(erased.ok()) << erased.status();

  EXPECT_EQ((*open)->Finish(Call{}).status().code(), absl::StatusCode::kAborted);
  open->reset();
  const auto refused = GetBatch("hit", 0);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorReason(refused.status()), "ENTITY_ERASED");
  EXPECT_THAT(Describe("hit").unreadable(), HasSubstr("erased"));
  auto verified = Verify("hit");
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_FALSE(verified->same());
  EXPECT_THAT(verified->reason(), HasSubstr("erased"));
  ExpectSame("missed");
  Open();
  EXPECT_EQ(ErrorReason(GetBatch("hit", 0).status()), "ENTITY_ERASED");
}

TEST_F(TrainingSetTest, HistoryThatIsNotKeptMakesItUnreadable) {
  ApplyAll("retention { seconds: 1000 }");
  for (int64_t i = 0; i < 20; ++i) {
    // Late ones, which nobody ever sees at the horizon.
    ASSERT_TRUE(Write({.user = 1, .event_time = kNow - 900 * kSecond - i, .a = i}).ok());
  }
  const int64_t old = kNow - 800 * kSecond;
  ASSERT_TRUE(Create("old", Header({"v:a"}), {Spine({1, 1}, {old, kNow})}).ok());
  ASSERT_TRUE(Create("new", Header({"v:a"}), {Spine({1, 1}, {kNow, kNow - 1})}).ok());
  ASSERT_TRUE(Create("windows", Header({"sums:n"}), {Spine({1}, {kNow - 100 * kSecond})}).ok());
  HistoricalHeader marking = Header({"v:a"});
  marking.mark_out_of_range = true;
  const std::vector<std::string> fresh = Bytes("new");

  clock_.Advance(500 * kSecond);  // the horizon is kNow - 500 s now, that of windows kNow
  EXPECT_GT(Compact().facts_dropped(), 0u);
  const auto refused = GetBatch("old", 0);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorReason(refused.status()), "BEFORE_HORIZON");
  EXPECT_THAT(Describe("old").unreadable(), HasSubstr("v@v1"));
  EXPECT_EQ(ErrorReason(GetBatch("windows", 0).status()), "BEFORE_HORIZON");
  EXPECT_EQ(Bytes("new"), fresh);

  // A marked row stays marked, and what was answered must stay answered.
  auto marked = Create("marked", marking, {Spine({1, 1}, {old, kNow})});
  ASSERT_TRUE(marked.ok()) << marked.status();
  const std::vector<std::string> bytes = Bytes("marked");
  EXPECT_EQ(GetBatch("marked", 0)->columns[0].statuses[0], CellStatus::kOutOfRetention);
  clock_.Advance(300 * kSecond);
  Compact();
  EXPECT_EQ(Bytes("marked"), bytes);
  clock_.Advance(900 * kSecond);
  Compact();
  EXPECT_EQ(ErrorReason(GetBatch("marked", 0).status()), "BEFORE_HORIZON");
  EXPECT_EQ(ErrorReason(GetBatch("new", 0).status()), "BEFORE_HORIZON");
}

TEST_F(TrainingSetTest, AsServedRowsKeepTheirCommits) {
  ApplyAll();
  std::vector<int64_t> times;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(Write({.user = 1, .event_time = kNow - kSecond, .a = i}).ok());
    times.push_back(clock_.NowMicros() + kSecond);
    clock_.Advance(2 * kSecond);
  }
  HistoricalHeader header = Header({"v:a"});
  header.mode = KnownAtMode::kAsServed;
  auto made = Create("served", header, {Spine(std::vector<int64_t>(10, 1), times)});
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->known_at_mode(), v1::AS_SERVED);
  EXPECT_THAT(GetBatch("served", 0)->columns[0].int64s, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
  const std::vector<std::string> bytes = Bytes("served");

  // The clock of the restarted daemon stands before the last rows' timestamps.
  clock_.Set(times[9] - kSecond / 2);
  Open();
  ASSERT_TRUE(Write({.user = 1, .event_time = kNow - kSecond, .a = 99}).ok());
  EXPECT_EQ(Bytes("served"), bytes);
  ExpectSame("served");
}

TEST_F(TrainingSetTest, NothingIsKeptOfOneThatWasNotFinished) {
  ApplyAll();
  WriteRandomly(20, &random_);
  const auto values = [&] {
    size_t count = 0;
    auto it = store_->NewIterator(Family::kTrainingSets);
    for (it->Seek(""); it->Valid(); it->Next()) ++count;
    return count;
  };
  {
    auto writer = engine_->CreateTrainingSet("a", "", Header({"v:a"}), Call{});
    ASSERT_TRUE((*writer)->Add(Spine({1}, {kNow}), Call{}).ok());
    EXPECT_GT(values(), 0u);
  }
  EXPECT_EQ(values(), 0u);
  auto crashed = engine_->CreateTrainingSet("a", "", Header({"v:a"}), Call{});
  ASSERT_TRUE((*crashed)->Add(Spine({1}, {kNow}), Call{}).ok());
  *writes_left_ = 0;  // from here on nothing reaches the store
  crashed->reset();
  EXPECT_GT(values(), 0u);
  *writes_left_ = -1;
  Open();
  EXPECT_EQ(values(), 0u);
  EXPECT_EQ(GetBatch("a", 0).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(TrainingSetTest, TwoAtOnce) {
  ApplyAll();
  WriteRandomly(200, &random_);
  auto a = engine_->CreateTrainingSet("a", "", Header({"v:a"}), Call{});
  WriteRandomly(200, &random_);
  auto b = engine_->CreateTrainingSet("b", "", Header({"v:a", "v:b"}), Call{});
  const SpineBatch one = Spine({1, 2, 3}, {kNow, kNow, kNow});
  const SpineBatch two = Spine({4, 5}, {kNow, kNow - kSecond});
  ASSERT_TRUE((*a)->Add(one, Call{}).ok());
  ASSERT_TRUE((*b)->Add(two, Call{}).ok());
  EXPECT_EQ(*(*a)->Add(two, Call{}), 5u);
  ASSERT_TRUE((*b)->Add(one, Call{}).ok());
  auto made_b = (*b)->Finish(Call{});
  auto made_a = (*a)->Finish(Call{});
  ASSERT_TRUE(made_a.ok()) << made_a.status();
  ASSERT_TRUE(made_b.ok()) << made_b.status();
  EXPECT_LT(made_a->read_seq(), made_b->read_seq());
  EXPECT_EQ(GetBatch("a", 1)->spine.timestamps, two.timestamps);
  EXPECT_EQ(GetBatch("b", 1)->spine.timestamps, one.timestamps);
  ExpectSame("a");
  ExpectSame("b");
}

TEST_F(TrainingSetTest, WhatItReadsCannotBeDeleted) {
  ApplyAll();
  WriteRandomly(50, &random_);
  ASSERT_TRUE(Create("s", EveryKind(), {RandomSpine(10, &random_)}).ok());
  const std::vector<std::string> bytes = Bytes("s");
  for (const auto& [kind, name] :
       std::vector<std::pair<v1::ObjectKind, std::string>>{{v1::ON_DEMAND_FEATURE_VIEW, "od"},
                                                           {v1::AGGREGATION_VIEW, "sums"},
                                                           {v1::FEATURE_VIEW, "v"}}) {
    v1::DeleteObjectRequest request;
    request.set_project("p");
    request.set_kind(kind);
    request.set_name(name);
    const auto refused = engine_->Delete(request);
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition) << name;
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr("training set s")) << name;
  }
  // A view that takes the alias's name, and a new version of the one that is read.
  Apply(
      "objects { feature_view { name: 'friend' entity: 'user' fields { name: 'z' type: INT64 } } "
      "}");
  Apply(
      "allow_breaking: true objects { feature_view { name: 'v' entity: 'user'"
      " fields { name: 'a' type: STRING } } }");
  EXPECT_EQ(Bytes("s"), bytes);
  ASSERT_TRUE(DeleteSet("s").ok());
  EXPECT_EQ(DeleteSet("s").code(), absl::StatusCode::kNotFound);
  v1::DeleteObjectRequest request;
  request.set_project("p");
  request.set_kind(v1::ON_DEMAND_FEATURE_VIEW);
  request.set_name("od");
  EXPECT_TRUE(engine_->Delete(request).ok());
}

TEST_F(TrainingSetTest, LineageKnowsThem) {
  ApplyAll();
  Apply("objects { feature_service { name: 'model' features: 'sums:n' } }");
  ASSERT_TRUE(Write({.user = 1, .event_time = kNow, .a = 1}).ok());
  auto last = Write({.user = 1, .event_time = kNow - kSecond, .a = 2});
  HistoricalHeader header = Header({});
  header.selection.feature_service = "model";
  auto made = Create("s", header, {Spine({1}, {kNow})});
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->feature_service(), "model");
  const auto set_of = [](const v1::GetLineageResponse& lineage) -> std::optional<v1::LineageItem> {
    for (const v1::LineageItem& item : lineage.downstream()) {
      if (item.kind() == v1::TRAINING_SET) return item;
    }
    return std::nullopt;
  };
  const v1::GetLineageResponse view = LineageOf(v1::FEATURE_VIEW, "v");
  ASSERT_TRUE(set_of(view).has_value());
  EXPECT_FALSE(set_of(view)->direct());
  EXPECT_EQ(set_of(view)->read_seq(), made->read_seq());
  EXPECT_EQ(view.first_commit_seq(), 1u);
  EXPECT_EQ(view.last_commit_seq(), last->commit_seq);
  Compact();
  EXPECT_EQ(LineageOf(v1::FEATURE_VIEW, "v@v1").last_commit_seq(), last->commit_seq);
  EXPECT_TRUE(set_of(LineageOf(v1::AGGREGATION_VIEW, "sums"))->direct());
  EXPECT_TRUE(set_of(LineageOf(v1::FEATURE_SERVICE, "model"))->direct());
  EXPECT_TRUE(set_of(LineageOf(v1::ENTITY, "user")).has_value());
  EXPECT_FALSE(set_of(LineageOf(v1::ON_DEMAND_FEATURE_VIEW, "od")).has_value());
  std::vector<std::string> upstream;
  const v1::GetLineageResponse set = LineageOf(v1::TRAINING_SET, "s");
  for (const v1::LineageItem& item : set.upstream()) {
    upstream.push_back(item.name() + (item.direct() ? "!" : ""));
  }
  EXPECT_THAT(upstream, ElementsAre("user", "v", "model!", "sums!"));
}

TEST_F(TrainingSetTest, BadRequestsAreRefused) {
  ApplyAll();
  const auto create = [&](const std::string& name, const HistoricalHeader& header) {
    return engine_->CreateTrainingSet(name, "", header, Call{}).status();
  };
  for (const char* name : {"", "A", "9a", "a b", "a.b"}) {
    const absl::Status status = create(name, Header({"v:a"}));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_EQ(ErrorField(status), "name");
  }
  EXPECT_TRUE(create(std::string(64, 'a'), Header({"v:a"})).ok());
  EXPECT_FALSE(create(std::string(65, 'a'), Header({"v:a"})).ok());
  EXPECT_EQ(ErrorField(create("a", Header({"v:nothing"}))), "read.features[0]");
  EXPECT_EQ(Create("a", Header({"v:a"}), {}).status().code(), absl::StatusCode::kInvalidArgument);
  const auto null_key = Create("a", Header({"v:a"}), {Spine({}, {}), [] {
                                                        SpineBatch b = Spine({1}, {kNow});
                                                        b.keys[0].column.null_rows = {0};
                                                        return b;
                                                      }()});
  EXPECT_EQ(null_key.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorField(null_key.status()), "keys.user");
  for (const char* name : {"x", "y", "z"}) {
    ASSERT_TRUE(Create(name, Header({"v:a"}), {Spine({1}, {kNow})}).ok());
  }
  EXPECT_EQ(create("x", Header({"v:a"})).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ErrorField(GetBatch("x", 1).status()), "batch");
  EXPECT_EQ(GetBatch("x", 1).status().code(), absl::StatusCode::kOutOfRange);
  v1::ListTrainingSetsRequest list;
  list.set_project("p");
  list.set_page_size(2);
  auto page = engine_->ListTrainingSets(list);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->training_sets_size(), 2);
  list.set_page_token(page->next_page_token());
  page = engine_->ListTrainingSets(list);
  EXPECT_EQ(page->training_sets(0).name(), "z");
  EXPECT_THAT(page->next_page_token(), IsEmpty());
  list.set_project("q");
  EXPECT_EQ(engine_->ListTrainingSets(list).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace fletch
