// SPDX-License-Identifier: Apache-2.0
#include "server/engine/training_set_store.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/training_set_digest.h"
#include "server/engine/training_set_spine.h"
#include "storage/entity_key.h"
#include "storage/memory_kv_store.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr EntityId kUser = 4;
constexpr EntityId kShop = 5;

Column Ints(std::vector<int64_t> values) {
  Column column{.type = {ValueType::kInt64}, .row_count = values.size()};
  column.int64s = std::move(values);
  return column;
}

Column Strings(std::vector<std::string> values) {
  Column column{.type = {ValueType::kString}, .row_count = values.size()};
  column.strings = std::move(values);
  return column;
}

std::string UserKey(int64_t user) {
  std::string key;
  AppendInt64Key(user, &key);
  return key;
}

// user and friend are keys of one entity, shop of another.
SpineBatch Batch(std::vector<int64_t> users, std::vector<int64_t> friends,
                 std::vector<std::string> shops) {
  SpineBatch batch;
  batch.row_count = users.size();
  batch.keys = {{"friend", Ints(std::move(friends))},
                {"shop", Strings(std::move(shops))},
                {"user", Ints(std::move(users))}};
  for (size_t i = 0; i < batch.row_count; ++i) batch.timestamps.push_back(1000 + i);
  return batch;
}

v1::TrainingSetRecord Record(const std::string& name) {
  v1::TrainingSetRecord record;
  record.set_project("p");
  record.set_name(name);
  for (const char* column : {"user", "friend"}) {
    v1::TrainingSetKey* role = record.add_keys();
    role->set_entity_id(kUser);
    role->add_columns(column);
  }
  v1::TrainingSetKey* shop = record.add_keys();
  shop->set_entity_id(kShop);
  shop->add_columns("shop");
  v1::TrainingSetView* view = record.add_views();
  view->set_name("v");
  view->set_version(2);
  return record;
}

class TrainingSetStoreTest : public testing::Test {
 protected:
  TrainingSetStoreTest() { Open(); }
  void Open() {
    auto sets = TrainingSetStore::Open(store_.get());
    ASSERT_TRUE(sets.ok()) << sets.status();
    sets_ = *std::move(sets);
  }
  void Make(const std::string& name, const std::vector<SpineBatch>& batches) {
    auto draft = sets_->Begin("p", name);
    ASSERT_TRUE(draft.ok()) << draft.status();
    for (const SpineBatch& batch : batches) ASSERT_TRUE((*draft)->Append(batch).ok());
    auto record = (*draft)->Finish(Record(name));
    ASSERT_TRUE(record.ok()) << record.status();
  }
  std::string StoredBytes() const {
    std::string bytes;
    auto it = store_->NewIterator(Family::kTrainingSets);
    for (it->Seek(""); it->Valid(); it->Next()) {
      bytes.append(it->key());
      bytes.append(it->value());
    }
    return bytes;
  }
  size_t Values() const {
    size_t count = 0;
    auto it = store_->NewIterator(Family::kTrainingSets);
    for (it->Seek(""); it->Valid(); it->Next()) ++count;
    return count;
  }
  SpineBatch Read(const std::string& name, uint64_t i) {
    auto record = sets_->Find("p", name);
    EXPECT_TRUE(record.ok()) << record.status();
    auto batch = sets_->ReadBatch(**record, i);
    EXPECT_TRUE(batch.ok()) << batch.status();
    return *std::move(batch);
  }

  std::unique_ptr<KvStore> store_ = NewMemoryKvStore();
  std::unique_ptr<TrainingSetStore> sets_;
};

TEST_F(TrainingSetStoreTest, ASetIsFoundAgainAfterAReopen) {
  Make("a", {Batch({1, 2}, {3, 4}, {"x", ""}), Batch({5}, {6}, {"z"})});
  Open();
  auto record = sets_->Find("p", "a");
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ((*record)->batch_count(), 2);
  const SpineBatch first = Read("a", 0);
  EXPECT_THAT(first.timestamps, ElementsAre(1000, 1001));
  EXPECT_EQ(first.keys[1].name, "shop");
  EXPECT_THAT(first.keys[1].column.strings, ElementsAre("x", ""));
  EXPECT_THAT(Read("a", 1).keys[2].column.int64s, ElementsAre(5));
}

TEST_F(TrainingSetStoreTest, ALargeBatchIsStoredInChunks) {
  const size_t rows = 3 * limits::kSpineChunkBytes / 1000;
  std::vector<std::string> shops;
  for (size_t i = 0; i < rows; ++i) shops.push_back(std::string(1000, 'a' + i % 26));
  Make("big", {Batch(std::vector<int64_t>(rows, 1), std::vector<int64_t>(rows, 2), shops)});
  EXPECT_GE(Values(), 4u);
  EXPECT_EQ(Read("big", 0).keys[1].column.strings, shops);
}

TEST_F(TrainingSetStoreTest, NothingIsKeptOfAnUnfinishedSet) {
  {
    auto draft = sets_->Begin("p", "a");
    ASSERT_TRUE((*draft)->Append(Batch({1}, {2}, {"x"})).ok());
    EXPECT_EQ(Values(), 1u);
  }
  EXPECT_EQ(Values(), 0u);
  // A crash runs no destructor.
  Make("kept", {Batch({1}, {2}, {"x"})});
  auto crashed = sets_->Begin("p", "b");
  ASSERT_TRUE((*crashed)->Append(Batch({1}, {2}, {"x"})).ok());
  auto before = std::move(sets_);
  EXPECT_EQ(Values(), 3u);
  Open();
  EXPECT_EQ(Values(), 2u);
  EXPECT_EQ(Read("kept", 0).row_count, 1u);
  before.swap(sets_);
  crashed->reset();
}

TEST_F(TrainingSetStoreTest, TwoSetsInTheMakingDoNotMeet) {
  auto a = sets_->Begin("p", "a");
  auto b = sets_->Begin("p", "b");
  auto again = sets_->Begin("p", "a");
  ASSERT_TRUE((*a)->Append(Batch({1}, {2}, {"x"})).ok());
  ASSERT_TRUE((*b)->Append(Batch({7}, {8}, {"y"})).ok());
  ASSERT_TRUE((*again)->Append(Batch({9}, {9}, {"z"})).ok());
  ASSERT_TRUE((*b)->Finish(Record("b")).ok());
  ASSERT_TRUE((*a)->Finish(Record("a")).ok());
  const auto refused = (*again)->Finish(Record("a"));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ErrorField(refused.status()), "name");
  EXPECT_EQ(sets_->Begin("p", "a").status().code(), absl::StatusCode::kAlreadyExists);
  again->reset();
  EXPECT_THAT(Read("a", 0).keys[2].column.int64s, ElementsAre(1));
  EXPECT_THAT(Read("b", 0).keys[2].column.int64s, ElementsAre(7));
}

TEST_F(TrainingSetStoreTest, ListsByNameWithinTheProject) {
  for (const char* name : {"c", "a", "b"}) Make(name, {Batch({1}, {2}, {"x"})});
  const auto page = sets_->List("p", "a", 1);
  ASSERT_EQ(page.size(), 1u);
  EXPECT_EQ(page[0]->name(), "b");
  EXPECT_EQ(sets_->List("p", "", 10).size(), 3u);
  EXPECT_THAT(sets_->List("other", "", 10), IsEmpty());
  EXPECT_THAT(sets_->ReadersOf("p", "v@v2"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(sets_->ReadersOf("p", "v@v1"), IsEmpty());
  ASSERT_TRUE(sets_->Delete("p", "a").ok());
  EXPECT_EQ(sets_->Delete("p", "a").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Values(), 4u);
  Open();
  EXPECT_THAT(sets_->ReadersOf("p", "v@v2"), ElementsAre("b", "c"));
}

TEST_F(TrainingSetStoreTest, ErasedKeysGoInEveryRoleAndTheSetIsMarked) {
  Make("a", {Batch({1, 77777777}, {3, 4}, {"secret-shop", "other"}),
             Batch({5, 6}, {77777777, 9}, {"u", "w"})});
  Make("b", {Batch({1}, {2}, {"x"})});
  auto erasure = sets_->BeginErasure();
  const std::vector<std::string> keys = {UserKey(77777777), UserKey(12)};
  auto result = erasure->EraseKeys(kUser, keys);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->training_sets, ElementsAre("a"));
  EXPECT_EQ(result->rows, 2u);
  EXPECT_EQ(result->ranges.size(), 1u);
  EXPECT_TRUE((*sets_->Find("p", "a"))->erased());
  EXPECT_FALSE((*sets_->Find("p", "b"))->erased());
  EXPECT_EQ(StoredBytes().find("other"), std::string::npos) << "the whole row is blank";
  EXPECT_NE(StoredBytes().find("secret-shop"), std::string::npos);
  const int64_t user = 77777777;
  const std::string needle(reinterpret_cast<const char*>(&user), sizeof(user));
  EXPECT_EQ(StoredBytes().find(needle), std::string::npos);

  // Again there is nothing to do, and a blank row does not stand for user 0.
  result = erasure->EraseKeys(kUser, keys);
  EXPECT_THAT(result->training_sets, IsEmpty());
  const std::vector<std::string> zero = {UserKey(0)};
  result = erasure->EraseKeys(kUser, zero);
  EXPECT_EQ(result->rows, 0u) << "only blank rows say 0";
  std::string shop;
  AppendStringKey("secret-shop", &shop);
  const std::vector<std::string> shops = {shop};
  result = erasure->EraseKeys(kShop, shops);
  EXPECT_EQ(result->rows, 1u);
  erasure.reset();
  Open();
  EXPECT_TRUE((*sets_->Find("p", "a"))->erased());
  EXPECT_EQ((*sets_->Find("p", "a"))->erased_rows(), 3u);
}

TEST_F(TrainingSetStoreTest, NoSetIsFinishedAcrossAnErasure) {
  auto before = sets_->Begin("p", "a");
  ASSERT_TRUE((*before)->Append(Batch({1}, {2}, {"x"})).ok());
  const uint64_t count = sets_->ErasureCount();
  auto erasure = sets_->BeginErasure();
  bool under_way = false;
  EXPECT_NE(sets_->ErasureCount(&under_way), count);
  EXPECT_TRUE(under_way);
  EXPECT_EQ((*before)->Finish(Record("a")).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(sets_->Begin("p", "b").status().code(), absl::StatusCode::kUnavailable);
  erasure.reset();
  sets_->ErasureCount(&under_way);
  EXPECT_FALSE(under_way);
  EXPECT_EQ((*before)->Finish(Record("a")).status().code(), absl::StatusCode::kAborted);
  Make("b", {Batch({1}, {2}, {"x"})});
}

TEST_F(TrainingSetStoreTest, DamagedBytesAreDataLoss) {
  Make("a", {Batch({1}, {2}, {"x"})});
  std::string spine_key, record_key;
  auto it = store_->NewIterator(Family::kTrainingSets);
  for (it->Seek(""); it->Valid(); it->Next()) {
    (it->key()[0] == 'S' ? spine_key : record_key) = std::string(it->key());
  }
  KvBatch batch;
  batch.Put(Family::kTrainingSets, spine_key, "broken");
  ASSERT_TRUE(store_->Write(batch, true).ok());
  auto record = sets_->Find("p", "a");
  EXPECT_EQ(sets_->ReadBatch(**record, 0).status().code(), absl::StatusCode::kDataLoss);
  batch.Put(Family::kTrainingSets, record_key, "\xff\xff");
  ASSERT_TRUE(store_->Write(batch, true).ok());
  EXPECT_EQ(TrainingSetStore::Open(store_.get()).status().code(), absl::StatusCode::kDataLoss);
}

StoredSpine ManyTypes() {
  StoredSpine spine;
  spine.batch = Batch({1, -2}, {3, 4}, {"ab", ""});
  Column nulls{.type = {ValueType::kDouble}, .row_count = 2};
  nulls.doubles = {1.5, 0};
  nulls.null_rows = {1};
  Column one{.type = {ValueType::kBool}, .row_count = 1};
  one.bools = {1};
  spine.batch.request_context = {{"hour", nulls}, {"flag", one}};
  spine.erased_rows = {1};
  return spine;
}

TEST(TrainingSetSpineTest, ComesBackAsItWas) {
  const StoredSpine spine = ManyTypes();
  auto read = DecodeSpine(EncodeSpine(spine));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(EncodeSpine(*read), EncodeSpine(spine));
  EXPECT_THAT(read->erased_rows, ElementsAre(1));
  EXPECT_THAT(read->batch.request_context[0].column.null_rows, ElementsAre(1));
  EXPECT_THAT(read->batch.request_context[1].column.bools, ElementsAre(1));
}

// The bytes of storage/FORMAT.md's example, which must decode for ever.
TEST(TrainingSetSpineTest, TheExampleOfTheFormat) {
  StoredSpine spine;
  spine.batch.row_count = 1;
  spine.batch.timestamps = {125'000'000};
  spine.batch.keys = {{"user", Ints({7})}};
  spine.batch.request_context = {{"city", Strings({"SF"})}};
  std::string hex;
  for (const unsigned char byte : EncodeSpine(spine)) {
    constexpr char kDigits[] = "0123456789ABCDEF";
    hex += {kDigits[byte >> 4], kDigits[byte & 15], ' '};
  }
  EXPECT_EQ(hex,
            "01 01 00 00 00 00 00 00 00 40 59 73 07 00 00 00 00 "
            "01 00 04 00 75 73 65 72 03 01 00 00 00 00 00 00 00 07 00 00 00 00 00 00 00 "
            "01 00 04 00 63 69 74 79 06 01 00 00 00 00 00 00 00 02 00 00 00 53 46 ");
}

TEST(TrainingSetSpineTest, NoCutOrChangedBytesCrash) {
  const std::string bytes = EncodeSpine(ManyTypes());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(DecodeSpine(bytes.substr(0, size)).status().code(), absl::StatusCode::kDataLoss);
  }
  auto random = SeededRandom();
  for (int i = 0; i < 20'000; ++i) {
    std::string changed = bytes;
    changed[random() % changed.size()] = static_cast<char>(random());
    auto read = DecodeSpine(changed);
    if (!read.ok()) continue;
    EXPECT_EQ(EncodeSpine(*read).size(), changed.size());
  }
}

FeaturePlan DigestPlan() {
  FeaturePlan plan;
  plan.columns = {{"v:x", "v@v1:x", {ValueType::kInt64}},
                  {"v:s", "v@v1:s", {ValueType::kString, /*array=*/true}}};
  plan.key_columns = {"user"};
  FieldSchema hour;
  hour.name = "hour";
  hour.type = {ValueType::kInt64};
  plan.context = {hour};
  return plan;
}

struct Rows {
  SpineBatch batch;
  std::vector<Column> columns;
};

// Rows [from, to) of an endless table.
Rows SomeRows(int64_t from, int64_t to, bool constant_context) {
  Rows rows;
  rows.batch.row_count = to - from;
  Column users{.type = {ValueType::kInt64}, .row_count = rows.batch.row_count};
  Column hours{.type = {ValueType::kInt64}};
  Column x = users;
  Column s{.type = {ValueType::kString, true}, .row_count = rows.batch.row_count};
  std::vector<int64_t> x_times, s_times;
  for (int64_t i = from; i < to; ++i) {
    users.int64s.push_back(i * 7);
    rows.batch.timestamps.push_back(i * 100);
    hours.int64s.push_back(9);
    const bool present = i % 3 != 0;
    x.statuses.push_back(present ? CellStatus::kPresent : CellStatus::kNotFound);
    x.int64s.push_back(present ? i : 0);
    x_times.push_back(present ? i * 90 : kUnsetTime);
    s.lengths.push_back(i % 4);
    for (int64_t e = 0; e < i % 4; ++e) s.strings.push_back(std::to_string(i + e));
    s_times.push_back(i * 80);
  }
  x.event_times = std::make_shared<std::vector<int64_t>>(x_times);
  s.event_times = std::make_shared<std::vector<int64_t>>(s_times);
  if (constant_context) hours.int64s.resize(1);
  hours.row_count = hours.int64s.size();
  rows.batch.keys = {{"user", users}};
  rows.batch.request_context = {{"hour", hours}};
  rows.columns = {x, s};
  return rows;
}

std::string DigestOf(const std::vector<Rows>& parts) {
  const FeaturePlan plan = DigestPlan();
  TrainingSetDigest digest(plan);
  for (const Rows& part : parts) digest.Add(part.batch, part.columns);
  return digest.Finish();
}

TEST(TrainingSetDigestTest, IsTheSameHoweverRowsAreBatched) {
  const std::string whole = DigestOf({SomeRows(0, 9000, false)});
  EXPECT_EQ(whole.size(), 32u);
  EXPECT_EQ(whole,
            DigestOf({SomeRows(0, 1, true), SomeRows(1, 8000, true), SomeRows(8000, 9000, false)}));
  EXPECT_NE(whole, DigestOf({SomeRows(0, 8999, false)}));
}

TEST(TrainingSetDigestTest, SeesEveryKindOfChange) {
  const std::string whole = DigestOf({SomeRows(0, 10, false)});
  const auto differs = [&](auto change) {
    Rows rows = SomeRows(0, 10, false);
    change(&rows);
    return DigestOf({rows}) != whole;
  };
  EXPECT_FALSE(differs([](Rows*) {}));
  EXPECT_TRUE(differs([](Rows* r) { r->batch.keys[0].column.int64s[4]++; }));
  EXPECT_TRUE(differs([](Rows* r) { r->batch.timestamps[4]++; }));
  EXPECT_TRUE(differs([](Rows* r) { r->batch.request_context[0].column.int64s[4]++; }));
  EXPECT_TRUE(differs([](Rows* r) { r->batch.request_context[0].column.null_rows = {4}; }));
  EXPECT_TRUE(differs([](Rows* r) { r->columns[0].int64s[4]++; }));
  EXPECT_TRUE(differs([](Rows* r) { r->columns[0].event_times = r->columns[1].event_times; }));
  EXPECT_TRUE(differs([](Rows* r) { r->columns[0].event_times = nullptr; }));
  EXPECT_TRUE(differs([](Rows* r) { r->columns[0].statuses[3] = CellStatus::kOutsideMaxAge; }));
  EXPECT_TRUE(
      differs([](Rows* r) { std::swap(r->columns[1].lengths[2], r->columns[1].lengths[3]); }));
  EXPECT_FALSE(differs([](Rows* r) { r->columns[0].int64s[3] = 5; })) << "behind NOT_FOUND";
}

}  // namespace
}  // namespace fletch
