// SPDX-License-Identifier: Apache-2.0
// Erasures: nothing is read any more, receipts say what went, and a stop or a failure in between is
// made good.
#include <algorithm>
#include <thread>

#include "server/engine/engine_world_testing.h"
#include "server/engine/erasure_ledger.h"
#include "server/engine/key_hash.h"
#include "storage/entity_key.h"

namespace fletch {
namespace {

class ErasureTest : public EngineWorld {
 protected:
  static constexpr int64_t kUser = 0x1122334455667788;

  ErasureTest() {
    Open();
    ApplyView();
    Apply(
        "objects { feature_view { name: 'w' entity: 'user' fields { name: 'vec' type: FLOAT_VECTOR"
        " dimension: 2 index { metric: L2 } } max_future_skew { seconds: 1000 } } }"
        "objects { aggregation_view { name: 'sums' source: 'v' aggregations { name: 'sum_a'"
        " column: 'a' function: SUM window { seconds: 1000 } } } }");
  }

  void WriteVector(int64_t user, int64_t time, float x) {
    Column vector;
    vector.type = DataType{ValueType::kFloatVector, false, 2};
    vector.row_count = 1;
    vector.floats = {x, 1};
    RowBatch batch{"w", 1, {{"user", Ints({user})}, {"vec", vector}}, {time}, false};
    const auto receipt = StartWrite({batch}).get();
    ASSERT_TRUE(receipt.ok()) << receipt.status();
    commits_.push_back(receipt->commit_seq);
  }
  // 40 facts of v (enough to fold), a tombstone and a correction; two vectors.
  void Fill(int64_t user) {
    for (int64_t i = 0; i < 40; ++i) {
      const auto receipt =
          Write({.user = user, .event_time = kNow - 100 + i, .a = i, .b = "secret"});
      ASSERT_TRUE(receipt.ok()) << receipt.status();
      if (i % 10 == 0) commits_.push_back(receipt->commit_seq);
    }
    ASSERT_TRUE(StartKeyed(FactForm::kTombstone, user, kNow - 90).get().ok());
    ASSERT_TRUE(Write({.user = user, .event_time = kNow - 70, .a = 5}, true).ok());
    WriteVector(user, kNow - 10, 3);
    WriteVector(user, kNow - 5, 4);
  }
  absl::StatusOr<v1::EraseResponse> Erase(const std::vector<int64_t>& users) {
    return engine_->Erase({"p", "user", users.size(), {{"user", Ints(users)}}}, Call{});
  }
  v1::ListErasuresResponse List(const std::string& project = "", uint64_t page_size = 0,
                                const std::string& token = "") {
    v1::ListErasuresRequest request;
    request.set_project(project);
    request.set_page_size(page_size);
    request.set_page_token(token);
    auto response = engine_->ListErasures(request);
    EXPECT_TRUE(response.ok()) << response.status();
    return *std::move(response);
  }

  std::vector<uint64_t> commits_;  // some, to ask at

  int64_t SumOf(int64_t user) {
    OnlineRequest request;
    request.project = "p";
    request.selection.features = {"sums:sum_a"};
    request.row_count = 1;
    request.keys = {{"user", Ints({user})}};
    auto answer = engine_->GetOnline(request, Call{});
    EXPECT_TRUE(answer.ok()) << answer.status();
    const Column& column = answer->columns[0];
    if (!column.statuses.empty() && column.statuses[0] != CellStatus::kPresent) return -1;
    return column.int64s[0];
  }
  // The hits of a search at `known_at` (absent: the newest).
  std::vector<int64_t> Hits(std::optional<uint64_t> known_at = {}) {
    SearchRequest request;
    request.project = "p";
    request.index = "w:vec";
    request.vector = {4, 1};
    request.top_k = 10;
    if (known_at) request.known_at = KnownAt{false, *known_at, 0};
    auto answer = engine_->Search(request, Call{});
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer->keys[0].column.int64s;
  }
  // Every key and value that the store has, of all families.
  bool StoreHolds(const std::string& bytes) {
    for (int family = 0; family < kFamilyCount; ++family) {
      auto it = store_->NewIterator(static_cast<Family>(family));
      for (it->Seek(""); it->Valid(); it->Next()) {
        if (it->key().find(bytes) != std::string_view::npos ||
            it->value().find(bytes) != std::string_view::npos) {
          return true;
        }
      }
    }
    return false;
  }
  static std::string KeyBytes(int64_t user) {
    std::string key;
    AppendInt64Key(user, &key);
    return key;
  }
  void ExpectGone(int64_t user) {
    for (const uint64_t known_at : commits_) {
      auto got = Online(user, kNow - 1, known_at);
      ASSERT_TRUE(got.ok()) << got.status();
      ASSERT_FALSE(got->has_value()) << "K=" << known_at;
      const std::vector<int64_t> hits = Hits(known_at);
      ASSERT_EQ(std::count(hits.begin(), hits.end(), user), 0) << "K=" << known_at;
    }
    EXPECT_FALSE(Online(user)->has_value());
    EXPECT_EQ(Hits(), std::vector<int64_t>{2});
    EXPECT_EQ(SumOf(user), -1);
    EXPECT_FALSE(StoreHolds(KeyBytes(user)));
  }
  void ExpectWhole(int64_t user) {
    EXPECT_TRUE(Online(user)->has_value());
    EXPECT_TRUE(Online(user, kNow - 80)->has_value());
    EXPECT_EQ(SumOf(user), 780 - 30 + 5 - (0 + 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 + 10));
    const std::vector<int64_t> hits = Hits();
    EXPECT_EQ(std::count(hits.begin(), hits.end(), user), 1);
  }
};

TEST_F(ErasureTest, NothingIsReadAnyMore) {
  Fill(kUser);
  ASSERT_TRUE(engine_->Compact({}, Call{}).ok());  // folds
  ASSERT_TRUE(Write({.user = kUser, .event_time = kNow - 1, .a = 1000}).ok());
  Fill(2);
  const int64_t sum = SumOf(2);
  EXPECT_EQ(SumOf(kUser), sum + 1000);
  clock_.Advance(5);
  auto erased = Erase({kUser});
  ASSERT_TRUE(erased.ok()) << erased.status();
  ASSERT_EQ(erased->receipts_size(), 1);
  const v1::EraseReceipt& receipt = erased->receipts(0);
  EXPECT_EQ(receipt.id(), 1u);
  EXPECT_EQ(receipt.project(), "p");
  EXPECT_EQ(receipt.entity(), "user");
  EXPECT_EQ(receipt.key_hash().size(), 16u);
  EXPECT_EQ(receipt.erased_at_micros(), kNow + 5);
  EXPECT_EQ(receipt.commit_seq(), engine_->applied_seq());
  EXPECT_EQ(receipt.facts(), 45u);
  EXPECT_EQ(receipt.feature_views_size(), 2);
  EXPECT_EQ(receipt.feature_views(0), "v@v1");
  EXPECT_EQ(receipt.feature_views(1), "w@v1");
  ExpectGone(kUser);
  ExpectWhole(2);
  EXPECT_EQ(List().receipts(0).SerializeAsString(), receipt.SerializeAsString());
  Open();
  ExpectGone(kUser);
  ExpectWhole(2);
  EXPECT_EQ(List().receipts(0).SerializeAsString(), receipt.SerializeAsString());
}

TEST_F(ErasureTest, ALaterWriteIsANewBeginning) {
  Fill(2);
  Fill(kUser);
  ASSERT_TRUE(Erase({kUser}).ok());
  ASSERT_TRUE(Write({.user = kUser, .event_time = kNow - 60, .a = 8}, /*merge=*/true).ok());
  WriteVector(kUser, kNow - 60, 4);
  EXPECT_EQ(**Online(kUser), (WorldRow{8, std::nullopt, 7.5}));
  EXPECT_FALSE(Online(kUser, kNow - 61)->has_value());
  EXPECT_EQ(SumOf(kUser), 8);
  EXPECT_EQ(Hits().size(), 2u);
  EXPECT_EQ(StartKeyed(FactForm::kRetraction, kUser, kNow - 70, 0).get().status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(ErasureTest, TheUnknownLeavesAReceiptToo) {
  Fill(2);
  auto erased = Erase({77, 78});
  ASSERT_TRUE(erased.ok()) << erased.status();
  ASSERT_EQ(erased->receipts_size(), 2);
  EXPECT_EQ(erased->receipts(0).facts(), 0u);
  EXPECT_EQ(erased->receipts(0).feature_views_size(), 0);
  EXPECT_NE(erased->receipts(0).key_hash(), erased->receipts(1).key_hash());
  EXPECT_LT(erased->receipts(0).commit_seq(), erased->receipts(1).commit_seq());
  ExpectWhole(2);
}

TEST_F(ErasureTest, BadRequests) {
  const auto reason = [this](EraseRequest request) {
    const absl::Status status = engine_->Erase(std::move(request), Call{}).status();
    return absl::StrCat(absl::StatusCodeToString(status.code()), " ", ErrorField(status));
  };
  EXPECT_EQ(reason({"p", "nobody", 1, {{"user", Ints({1})}}}), "NOT_FOUND entity");
  EXPECT_EQ(reason({"nowhere", "user", 1, {{"user", Ints({1})}}}), "NOT_FOUND project");
  EXPECT_EQ(reason({"p", "user", 1, {}}), "INVALID_ARGUMENT keys.user");
  EXPECT_EQ(reason({"p", "user", 1, {{"user", Ints({1})}, {"x", Ints({1})}}}), "NOT_FOUND keys.x");
  EXPECT_EQ(reason({"p", "user", 2, {{"user", Ints({1})}}}), "INVALID_ARGUMENT keys.user");
  EXPECT_EQ(List().receipts_size(), 0);
}

TEST_F(ErasureTest, TheLedgerIsPagedNewestFirst) {
  for (int64_t user = 1; user <= 5; ++user) ASSERT_TRUE(Erase({user}).ok());
  std::vector<uint64_t> ids;
  std::string token;
  do {
    const v1::ListErasuresResponse page = List("p", 2, token);
    EXPECT_LE(page.receipts_size(), 2);
    for (const v1::EraseReceipt& receipt : page.receipts()) ids.push_back(receipt.id());
    token = page.next_page_token();
  } while (!token.empty());
  EXPECT_EQ(ids, (std::vector<uint64_t>{5, 4, 3, 2, 1}));
  EXPECT_EQ(List("other").receipts_size(), 0);
  v1::ListErasuresRequest request;
  request.set_page_token("x");
  EXPECT_EQ(ErrorField(engine_->ListErasures(request).status()), "page_token");
}

// The store fails at the n-th write of an erasure, for every n, and is opened anew with a good one:
// what was begun is finished, what was not begun did not happen.
TEST_F(ErasureTest, AStopInBetweenIsMadeGood) {
  Fill(2);
  bool succeeded = false;
  for (int writes = 0; !succeeded; ++writes) {
    SCOPED_TRACE(writes);
    ASSERT_LT(writes, 50);
    Fill(kUser);
    ASSERT_TRUE(engine_->Compact({}, Call{}).ok());
    ASSERT_TRUE(Write({.user = kUser, .event_time = kNow - 1, .a = 1}).ok());
    const int before = List().receipts_size();
    *writes_left_ = writes;
    auto erased = Erase({kUser});
    succeeded = erased.ok();
    if (!succeeded) {
      EXPECT_EQ(ErrorReason(erased.status()), "DISK_FULL");
    }
    engine_.reset();  // its last words, too, meet a full disk
    *writes_left_ = -1;
    Open();
    if (writes == 0) {
      EXPECT_TRUE(Online(kUser)->has_value());
      EXPECT_EQ(List().receipts_size(), before);
    } else {
      ASSERT_NO_FATAL_FAILURE(ExpectGone(kUser));
      ASSERT_EQ(List().receipts_size(), before + 1);
      EXPECT_GE(List().receipts(0).facts(), 45u);
    }
    ExpectWhole(2);
  }
}

// The same, but the store recovers while the daemon runs on: what was begun is finished before the
// next write, which therefore is never taken for what was to be erased.
TEST_F(ErasureTest, AFailureInBetweenIsMadeGoodBeforeTheNextWrite) {
  Fill(2);
  bool succeeded = false;
  for (int writes = 1; !succeeded; ++writes) {
    SCOPED_TRACE(writes);
    ASSERT_LT(writes, 50);
    Fill(kUser);
    *writes_left_ = writes;
    succeeded = Erase({kUser}).ok();
    if (!succeeded) {
      EXPECT_EQ(engine_->Status().warnings.size(), 1u);
      const auto refused = Write({.user = kUser, .event_time = kNow - 50, .a = 9});
      EXPECT_EQ(ErrorReason(refused.status()), "DISK_FULL");
      EXPECT_EQ(ErrorReason(engine_->Compact({}, Call{}).status()), "ERASURE_UNFINISHED");
    }
    *writes_left_ = -1;
    ASSERT_TRUE(Write({.user = kUser, .event_time = kNow - 50, .a = 9}).ok());
    EXPECT_EQ(engine_->Status().warnings.size(), 0u);
    EXPECT_EQ(**Online(kUser), (WorldRow{9, std::nullopt, 7.5}));
    EXPECT_FALSE(Online(kUser, kNow - 51)->has_value());
    EXPECT_EQ(SumOf(kUser), 9);
    Open();
    EXPECT_EQ(**Online(kUser), (WorldRow{9, std::nullopt, 7.5}));
    ASSERT_TRUE(Erase({kUser}).ok());
  }
}

// storage/FORMAT.md, Meta.
TEST(ErasureLedgerTest, Bytes) {
  auto store = NewMemoryKvStore();
  PendingErasure pending{.entity_id = 5, .entity_key = "KEY", .receipt = {}};
  pending.receipt.set_id(258);
  KvBatch batch;
  AddPendingErasure(pending, &batch);
  AddReceipt(pending.receipt, &batch);
  ASSERT_TRUE(store->Write(batch, true).ok());
  const std::string id("\0\0\0\0\0\0\1\2", 8), receipt("\x08\x82\x02");
  EXPECT_EQ(**store->Get(Family::kMeta, "erasure/" + id), receipt);
  EXPECT_EQ(**store->Get(Family::kMeta, "erasing/" + id),
            std::string("\0\0\0\5\0\0\0\3KEY", 11) + receipt);
  auto read = ReadPendingErasures(*store);
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 1u);
  EXPECT_EQ((*read)[0].entity_id, 5u);
  EXPECT_EQ((*read)[0].entity_key, "KEY");
  EXPECT_EQ((*read)[0].receipt.id(), 258u);
  EXPECT_EQ(LastErasureId(*store).value(), 258u);
  // Cut short, it is damage and not another erasure.
  for (const size_t bytes : {7u, 10u}) {
    KvBatch cut;
    cut.Put(Family::kMeta, "erasing/" + id,
            (std::string("\0\0\0\5\0\0\0\3KEY", 11) + receipt).substr(0, bytes));
    ASSERT_TRUE(store->Write(cut, true).ok());
    EXPECT_EQ(ReadPendingErasures(*store).status().code(), absl::StatusCode::kDataLoss);
  }
}

TEST(KeyHasherTest, OneHashAKeyInOneFolder) {
  auto store = NewMemoryKvStore(), other = NewMemoryKvStore();
  auto hasher = KeyHasher::Open(store.get());
  ASSERT_TRUE(hasher.ok()) << hasher.status();
  const std::string hash = (*hasher)->Hash("p", "user", "key");
  EXPECT_EQ(hash.size(), 16u);
  EXPECT_EQ((*KeyHasher::Open(store.get()))->Hash("p", "user", "key"), hash);
  EXPECT_NE((*KeyHasher::Open(other.get()))->Hash("p", "user", "key"), hash);
  EXPECT_NE((*hasher)->Hash("p", "use", "rkey"), hash);
  EXPECT_NE((*hasher)->Hash("pu", "ser", "key"), hash);
}

// Readers and writers run beside erasures, with folding under way: a reader never sees an entity
// come back after its erasure was answered.
TEST_F(ErasureTest, BesideReadersWritersAndFolding) {
  options_.background = true;
  Open();
  Fill(2);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int64_t i = 0; !stop; ++i) {
      ASSERT_TRUE(Write({.user = 3 + i % 5, .event_time = kNow - 500 + i % 400, .a = i}).ok());
    }
  });
  std::thread reader([&] {
    while (!stop) {
      ASSERT_TRUE(Online(kUser).ok());
      SumOf(kUser);
      Hits();
    }
  });
  for (int round = 0; round < 20; ++round) {
    Fill(kUser);
    ASSERT_TRUE(Erase({kUser}).ok());
    ASSERT_NO_FATAL_FAILURE(ExpectGone(kUser));
  }
  stop = true;
  writer.join();
  reader.join();
}

}  // namespace
}  // namespace fletch
