// SPDX-License-Identifier: Apache-2.0
#include "storage/memory_kv_store.h"

#include "storage/kv_store_conformance.h"

namespace fletch {
namespace {

class MemoryHolder : public StoreHolder {
 public:
  KvStore* store() override { return store_.get(); }
  void Reopen() override {}

 private:
  const std::unique_ptr<KvStore> store_ = NewMemoryKvStore();
};

std::unique_ptr<StoreHolder> MakeMemory() { return std::make_unique<MemoryHolder>(); }

INSTANTIATE_TEST_SUITE_P(Memory, KvStoreConformance, testing::Values(&MakeMemory));

TEST(KvBatch, CountsBytes) {
  KvBatch batch;
  EXPECT_TRUE(batch.empty());
  batch.Put(Family::kMeta, "ab", "cde");
  batch.Delete(Family::kMeta, "f");
  batch.DeleteRange(Family::kMeta, "g", "hi");
  EXPECT_EQ(batch.bytes(), 9u);
  batch.Clear();
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(batch.bytes(), 0u);
}

TEST(MemoryKvStore, ItsIteratorSeesNewerWrites) {
  const std::unique_ptr<KvStore> store = NewMemoryKvStore();
  KvBatch batch;
  batch.Put(Family::kFacts, "a", "1");
  ASSERT_TRUE(store->Write(batch, false).ok());
  const std::unique_ptr<KvIterator> iterator = store->NewIterator(Family::kFacts);
  iterator->Seek("a");
  batch.Clear();
  batch.Put(Family::kFacts, "b", "2");
  batch.Delete(Family::kFacts, "a");
  ASSERT_TRUE(store->Write(batch, false).ok());
  EXPECT_EQ(iterator->value(), "1");  // until it moves
  iterator->Next();
  ASSERT_TRUE(iterator->Valid());
  EXPECT_EQ(iterator->key(), "b");
  iterator->Prev();
  EXPECT_FALSE(iterator->Valid());
}

}  // namespace
}  // namespace fletch
