// SPDX-License-Identifier: Apache-2.0
// Online and training agree, and the audit sees it when they do not.
#include "server/engine/parity.h"

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "base/limits.h"
#include "base/status.h"
#include "gtest/gtest.h"
#include "server/engine/training_set_world_testing.h"
#include "storage/fact_store.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

class ParityTest : public TrainingSetWorld {
 protected:
  ParityTest() { Open(); }

  absl::StatusOr<v1::AuditParityResponse> Audit(const std::vector<std::string>& features = {},
                                                uint64_t entities = 0, uint64_t seed = 7) {
    v1::AuditParityRequest request;
    request.set_project("p");
    request.mutable_features()->Assign(features.begin(), features.end());
    request.set_entities(entities);
    request.set_seed(seed);
    return engine_->AuditParity(request, Call{});
  }

  // Makes the online table say another `a` of `user` than the facts do.
  void BreakOnlineSlot() {
    KvBatch batch;
    auto it = store_->NewIterator(Family::kLatest);
    it->Seek("");
    ASSERT_TRUE(it->Valid());
    auto latest = DecodeLatest(it->value());
    ASSERT_TRUE(latest.ok());
    ASSERT_EQ(latest->state, Latest::State::kRow);
    latest->row[kRowHeaderBytes + 1] ^= 1;  // a's first byte, behind the null bits
    batch.Put(Family::kLatest, std::string(it->key()), EncodeLatest(*latest));
    ASSERT_TRUE(store_->Write(batch, true).ok());
    Open();
  }

  std::mt19937_64 random_ = SeededRandom();
};

TEST_F(ParityTest, AHealthyEngineAgreesWithItself) {
  ApplyAll("ttl { seconds: 1000 }");
  for (int i = 0; i < 10; ++i) WriteRandomly(300, &random_, 3000);
  Compact();
  WriteRandomly(100, &random_, 100);
  auto audit = Audit();
  ASSERT_TRUE(audit.ok()) << audit.status();
  EXPECT_EQ(audit->mismatches(), 0u);
  EXPECT_EQ(audit->entities(), static_cast<uint64_t>(kUsers));
  EXPECT_EQ(audit->cells(), 5u * kUsers) << "od needs a request context";
  EXPECT_EQ(audit->seed(), 7u);
  audit = Audit({"v:a", "sums:n"}, 10);
  ASSERT_TRUE(audit.ok()) << audit.status();
  EXPECT_EQ(audit->cells(), 20u);
  EXPECT_EQ(audit->mismatches(), 0u);
  EXPECT_EQ(Metric("fletch_parity_cells_total"), 5.0 * kUsers + 20);
  EXPECT_EQ(Metric("fletch_parity_mismatches_total"), 0);
}

TEST_F(ParityTest, ABrokenSlotIsFound) {
  ApplyAll();
  for (int64_t user = 0; user < 20; ++user) {
    ASSERT_TRUE(Write({.user = user, .event_time = kNow - kSecond, .a = user + 100}).ok());
  }
  BreakOnlineSlot();
  auto audit = Audit();
  ASSERT_TRUE(audit.ok()) << audit.status();
  ASSERT_EQ(audit->mismatches(), 1u);
  const v1::ParityMismatch& example = audit->examples(0);
  EXPECT_EQ(example.ref(), "v@v1:a");
  EXPECT_EQ(example.differs_in(), "value");
  EXPECT_EQ(example.key_hash().size(), 16u);
  EXPECT_EQ(example.read_seq(), 20u);
  EXPECT_EQ(example.as_of_micros(), kNow);
  EXPECT_EQ(Metric("fletch_parity_mismatches_total"), 1);
}

TEST_F(ParityTest, TheSampleOfOnlineRequestsFindsItToo) {
  options_.background = true;
  options_.parity_sample = 1;
  ApplyAll();
  for (int64_t user = 0; user < 3; ++user) {
    ASSERT_TRUE(Write({.user = user, .event_time = kNow - kSecond, .a = user + 100}).ok());
  }
  BreakOnlineSlot();
  OnlineRequest request;
  request.project = "p";
  request.selection.features = {"v:a", "v:b"};
  request.row_count = 3;
  request.keys = {{"user", Ints({0, 1, 2})}};
  const auto answer = engine_->TryGetOnline(request, Call{});
  ASSERT_TRUE(answer.has_value());
  ASSERT_TRUE(answer->ok()) << answer->status();
  for (int i = 0; i < 1000 && Metric("fletch_parity_cells_total") < 6; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(Metric("fletch_parity_cells_total"), 6);
  EXPECT_EQ(Metric("fletch_parity_mismatches_total"), 1);
  EXPECT_EQ(Metric("fletch_parity_dropped_total"), 0);
}

TEST_F(ParityTest, TheSameSeedChoosesTheSameEntities) {
  ApplyAll();
  for (int64_t user = 0; user < 30; ++user) {
    ASSERT_TRUE(Write({.user = user, .event_time = kNow - kSecond, .a = user + 100}).ok());
  }
  BreakOnlineSlot();
  const auto found = [&](uint64_t seed) { return Audit({"v:a"}, 15, seed)->mismatches(); };
  uint64_t hits = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    const uint64_t first = found(seed);
    EXPECT_EQ(found(seed), first);
    hits += first;
  }
  EXPECT_GT(hits, 5u) << "half of the entities are chosen each time";
  EXPECT_LT(hits, 35u);
}

TEST_F(ParityTest, EntitiesThatMemoryHasNoRoomForAreAskedToo) {
  ApplyAll();
  for (int64_t user = 0; user < 20; ++user) {
    ASSERT_TRUE(Write({.user = user, .event_time = kNow - kSecond, .a = user}).ok());
  }
  options_.online_budget_bytes = 1;
  Open();
  auto audit = Audit({"v:a"});
  ASSERT_TRUE(audit.ok()) << audit.status();
  EXPECT_EQ(audit->entities(), 20u);
  EXPECT_EQ(audit->mismatches(), 0u);
}

TEST_F(ParityTest, BadRequestsAreRefused) {
  ApplyAll();
  EXPECT_EQ(Audit({"v:a"}, limits::kMaxParityEntities + 1).status().code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_TRUE(Audit({"v:a"}, limits::kMaxParityEntities).ok());
  const auto context = Audit({"od:late"});
  EXPECT_EQ(context.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorField(context.status()), "features");
  EXPECT_EQ(Audit({"v:nothing"}).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace fletch
