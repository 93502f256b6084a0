// SPDX-License-Identifier: Apache-2.0
// After Erase and Compact no file of the data folder holds the key or its values.
#include "server/engine/engine_world_testing.h"
#include "storage/rocksdb_dump_testing.h"
#include "storage/rocksdb_kv_store.h"

namespace fletch {
namespace {

class ErasureDiskTest : public EngineWorld {
 protected:
  static constexpr std::string_view kName = "greta-by-name", kSecret = "her secret words";

  ErasureDiskTest() {
    OpenStore();
    Open();
    Apply(
        "objects { entity { name: 'person' join_keys { name: 'person' type: STRING } } }"
        "objects { feature_view { name: 'm' entity: 'person' fields { name: 'note' type: STRING }"
        " fields { name: 'vec' type: FLOAT_VECTOR dimension: 2 index { metric: L2 } } } }"
        "objects { aggregation_view { name: 'last' source: 'm' aggregations { name: 'note'"
        " column: 'note' function: LAST window { seconds: 1000 } } } }");
  }

  void OpenStore() {
    engine_.reset();
    store_.reset();
    RocksDbOptions options;
    options.block_cache_bytes = 8u << 20;
    options.write_buffer_bytes = 1u << 20;
    auto store = OpenRocksDbKvStore(folder_.path(), options);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  static Column Texts(std::vector<std::string> values) {
    Column column;
    column.type = DataType{ValueType::kString};
    column.row_count = values.size();
    column.strings = std::move(values);
    return column;
  }
  void WriteNotes(const std::string& person, const std::string& note, int64_t from, int64_t to) {
    for (int64_t time = from; time < to; ++time) {
      Column vector;
      vector.type = DataType{ValueType::kFloatVector, false, 2};
      vector.row_count = 1;
      vector.floats = {static_cast<float>(time - from), 1};
      const auto receipt =
          StartWrite(
              {RowBatch{"m",
                        1,
                        {{"person", Texts({person})}, {"note", Texts({note})}, {"vec", vector}},
                        {kNow + time},
                        false}},
              absl::StrCat("load-", ++requests_))
              .get();
      ASSERT_TRUE(receipt.ok()) << receipt.status();
    }
  }
  void Compact() {
    auto compacted = engine_->Compact({}, Call{});
    ASSERT_TRUE(compacted.ok()) << compacted.status();
  }
  void CreateTrainingSet() {
    HistoricalHeader header;
    header.project = "p";
    header.selection.features = {"m:note", "last:note"};
    auto writer = engine_->CreateTrainingSet("set", "", header, Call{});
    ASSERT_TRUE(writer.ok()) << writer.status();
    SpineBatch spine;
    spine.row_count = 2;
    spine.keys = {{"person", Texts({std::string(kName), "other"})}};
    spine.timestamps = {kNow, kNow};
    auto rows = (*writer)->Add(spine, Call{});
    ASSERT_TRUE(rows.ok()) << rows.status();
    auto set = (*writer)->Finish(Call{});
    ASSERT_TRUE(set.ok()) << set.status();
  }

  TempFolder folder_;
  int requests_ = 0;
};

TEST_F(ErasureDiskTest, NoFileHoldsWhatWasErased) {
  const std::string name(kName), secret(kSecret);
  for (int person = 0; person < 20; ++person) {
    WriteNotes(absl::StrCat("person-", person), "nothing", -300, -250);
  }
  WriteNotes(name, secret, -300, -250);
  Compact();  // folds
  WriteNotes(name, secret, -200, -190);
  CreateTrainingSet();
  EXPECT_FALSE(FilesHolding(folder_.path(), name).empty());
  EXPECT_FALSE(FilesHolding(folder_.path(), secret).empty());
  auto erased = engine_->Erase({"p", "person", 1, {{"person", Texts({name})}}}, Call{});
  ASSERT_TRUE(erased.ok()) << erased.status();
  EXPECT_EQ(erased->receipts(0).facts(), 60u);
  ASSERT_EQ(erased->receipts(0).training_sets_size(), 1);
  EXPECT_EQ(erased->receipts(0).training_sets(0), "set");
  EXPECT_EQ(erased->receipts(0).SerializeAsString().find(name), std::string::npos);
  EXPECT_FALSE(FilesHolding(folder_.path(), name).empty());  // until:
  Compact();
  EXPECT_EQ(FilesHolding(folder_.path(), name), std::set<std::string>{});
  EXPECT_EQ(FilesHolding(folder_.path(), secret), std::set<std::string>{});
  EXPECT_FALSE(FilesHolding(folder_.path(), "person-7").empty());
  v1::GetTrainingSetRequest get;
  get.set_project("p");
  get.set_name("set");
  EXPECT_EQ(engine_->GetTrainingSet(get, Call{}).status().code(),
            absl::StatusCode::kFailedPrecondition);
  OpenStore();
  Open();
  EXPECT_EQ(FilesHolding(folder_.path(), name), std::set<std::string>{});
  EXPECT_EQ(FilesHolding(folder_.path(), secret), std::set<std::string>{});
  auto list = engine_->ListErasures({});
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->receipts_size(), 1);
}

}  // namespace
}  // namespace fletch
