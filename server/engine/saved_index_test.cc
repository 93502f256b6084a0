// SPDX-License-Identifier: Apache-2.0
// Collections that keep an index file: restarts, kills, damage, erasures.
#include "server/engine/saved_index.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/vector_world_testing.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

namespace fs = std::filesystem;

constexpr int kEntities = 2300;  // enough for a graph

bool NeverCancelled() { return false; }

class SavedIndexTest : public testing::Test {
 protected:
  SavedIndexTest()
      : folder_(testing::TempDir() + "saved_index_test." + std::to_string(getpid()) + "/7-1"),
        file_(folder_ + "/graph") {
    fs::remove_all(folder_);
  }
  ~SavedIndexTest() override { fs::remove_all(fs::path(folder_).parent_path()); }

  VectorWorldOptions Options() const {
    return {.metric = Metric::kL2, .dimension = 8, .entities = kEntities, .folder = folder_};
  }
  // Until there is nothing left to be done.
  static void Settle(VectorWorld* world) {
    while (world->collection->Maintain(world->now, world->seq, NeverCancelled)) {
    }
  }
  std::string FileBytes() const {
    std::ifstream file(file_, std::ios::binary);
    std::stringstream bytes;
    bytes << file.rdbuf();
    return bytes.str();
  }

  const std::string folder_;
  const std::string file_;
};

void ExpectExact(const VectorWorld& world, std::mt19937_64& random, int questions) {
  for (int i = 0; i < questions; ++i) {
    VectorQuery query = QueryNow(world, random);
    query.exact = true;
    const auto answer = world.collection->Search(query, Call());
    ASSERT_TRUE(answer.ok()) << answer.status();
    ASSERT_TRUE(SameHits(answer->hits, world.Expected(query)));
  }
}

void ExpectGraph(const VectorWorld& world, std::mt19937_64& random) {
  double recall = 0;
  for (int i = 0; i < 20; ++i) {
    VectorQuery query = QueryNow(world, random);
    query.ef = 100;
    const auto answer = world.collection->Search(query, Call());
    ASSERT_TRUE(answer.ok());
    ASSERT_EQ(answer->strategy, "graph") << answer->reason;
    recall += HitRecall(answer->hits, world.Expected(query)) / 20;
  }
  EXPECT_GE(recall, 0.95);
}

TEST_F(SavedIndexTest, ARestartNeedsNoBuilding) {
  std::mt19937_64 random(1);
  VectorWorld world(Options());
  Fill(&world, kEntities, random);
  Settle(&world);
  const IndexDescription before = world.collection->Describe();
  EXPECT_GT(before.file_bytes, 0u);
  EXPECT_EQ(before.file_bytes, fs::file_size(file_));
  EXPECT_EQ(before.file_seq, world.seq);
  world.now += 1'000'000;
  for (int i = 0; i < 100; ++i) {  // not in the file
    world.Commit({VectorFact(world, i, world.now, std::vector<float>(8, 0.01f * i))});
  }
  for (int i = 100; i < 150; ++i) world.Commit({TombstoneFact(world, i, world.now)});
  world.Reload();
  const IndexDescription after = world.collection->Describe();
  EXPECT_EQ(after.vectors, kEntities - 50u);
  EXPECT_EQ(after.graph_vectors, kEntities - 150u);
  EXPECT_EQ(after.buffered_vectors, 100u);
  EXPECT_EQ(after.encoding, before.encoding);
  EXPECT_EQ(after.calibration.size(), before.calibration.size());
  ExpectExact(world, random, 20);
  ExpectGraph(world, random);
}

TEST_F(SavedIndexTest, RandomHistoriesThroughRestartsEqualABruteForce) {
  std::mt19937_64 random = SeededRandom();
  VectorWorld world(Options());
  Fill(&world, kEntities, random);
  Settle(&world);
  int from_file = 0;
  for (int restart = 0; restart < 12; ++restart) {
    for (int i = 0; i < 60; ++i) {
      world.now += static_cast<int64_t>(random() % 200'000);
      // Few entities, so that the same ones change, die and come back.
      const int entity = static_cast<int>(random() % 40);
      const uint64_t action = random() % 20;
      const int64_t time = world.now + (action == 0 ? 500'000 : 0);
      std::vector<float> vector(8);
      for (float& x : vector) x = static_cast<float>(random() % 5);
      if (action < 12) {
        world.Commit({VectorFact(world, entity, time, vector)});
      } else if (action < 16) {
        world.Commit({TombstoneFact(world, entity, time)});
      } else if (action == 16) {
        world.Erase(entity);
      } else if (action < 19) {
        world.collection->Maintain(world.now, world.seq, NeverCancelled);
      } else {
        ExpectExact(world, random, 2);
      }
    }
    if (restart % 3 == 2) world.collection->RequestRebuild();
    if (restart % 2 == 1) {
      world.now += 120'000'000;  // quiet: all is saved
      Settle(&world);
    }
    if (restart % 4 == 1) world.collection->SaveIfCheap();
    from_file += fs::exists(file_) ? 1 : 0;
    world.Reload();
    ExpectExact(world, random, 4);
    ASSERT_FALSE(HasFatalFailure());
  }
  EXPECT_GT(from_file, 4);
}

TEST_F(SavedIndexTest, WhatAKillLeavesIsClearedAway) {
  std::mt19937_64 random(2);
  VectorWorld world(Options());
  Fill(&world, kEntities, random);
  Settle(&world);
  std::ofstream(file_ + ".new") << FileBytes().substr(0, 50'000);
  std::ofstream(folder_ + "/rows-abc") << "x";
  world.Reload();
  EXPECT_FALSE(fs::exists(file_ + ".new"));
  EXPECT_FALSE(fs::exists(folder_ + "/rows-abc"));
  EXPECT_EQ(world.collection->graph_vectors(), static_cast<uint64_t>(kEntities));
  ExpectExact(world, random, 5);
}

TEST_F(SavedIndexTest, ADamagedFileIsBuiltAnew) {
  std::mt19937_64 random(3);
  VectorWorld world(Options());
  Fill(&world, kEntities, random);
  Settle(&world);
  const std::string good = FileBytes();
  for (int i = 0; i < 6; ++i) {
    std::string bad = good;
    if (i < 4) {
      bad[random() % bad.size()] ^= static_cast<char>(1 << random() % 8);
    } else {
      bad.resize(random() % bad.size());
    }
    std::ofstream(file_, std::ios::binary) << bad;
    world.Reload();
    EXPECT_FALSE(fs::exists(file_));
    EXPECT_EQ(world.collection->graph_vectors(), 0u);
    EXPECT_EQ(world.collection->live_vectors(), static_cast<uint64_t>(kEntities));
    ExpectExact(world, random, 2);
  }
  Settle(&world);
  EXPECT_TRUE(fs::exists(file_));
  ExpectGraph(world, random);
}

TEST_F(SavedIndexTest, AFileThatKnowsMoreThanTheStoreIsNotBelieved) {
  std::mt19937_64 random(4);
  VectorWorld world(Options());
  Fill(&world, kEntities, random);
  Settle(&world);
  const VectorCollection other(world.view, 1, world.store.get(),
                               {.folder = folder_, .newest_seq = world.seq - 1});
  EXPECT_EQ(other.graph_vectors(), 0u);
  EXPECT_FALSE(fs::exists(file_));
}

TEST_F(SavedIndexTest, NoFileHoldsWhatWasErased) {
  std::mt19937_64 random(5);
  VectorWorld world(Options());
  Fill(&world, kEntities, random);
  const std::vector<float> secret = {3.14f, 2.71f, 1.41f, 1.73f, 0.57f, 1.61f, 2.5f, 4.66f};
  const std::string secret_bytes(reinterpret_cast<const char*>(secret.data()), 32);
  world.Commit({VectorFact(world, 999'999, world.now, secret)});
  Settle(&world);
  ASSERT_NE(FileBytes().find(secret_bytes), std::string::npos);
  ASSERT_NE(FileBytes().find(world.Key(999'999)), std::string::npos);

  world.Erase(3);  // any entity of the file
  EXPECT_FALSE(fs::exists(file_));
  Settle(&world);
  ASSERT_TRUE(fs::exists(file_));
  EXPECT_EQ(FileBytes().find(world.Key(3)), std::string::npos);
  world.Reload();
  world.Erase(999'999);
  EXPECT_FALSE(fs::exists(file_));
  Settle(&world);
  ASSERT_TRUE(fs::exists(file_));
  EXPECT_EQ(FileBytes().find(secret_bytes), std::string::npos);
  EXPECT_EQ(FileBytes().find(world.Key(999'999)), std::string::npos);
  ExpectExact(world, random, 5);
}

TEST_F(SavedIndexTest, AnErasureWhileTheFileIsWrittenGivesItUp) {
  std::mt19937_64 random(6);
  VectorWorld world(Options());
  Fill(&world, kEntities, random);
  const auto never = [] { return false; };
  world.collection->Maintain(world.now, world.seq, never);  // builds
  bool erased = false;
  // Asked once a block is full, which is before the file has its name.
  const auto erase = [&] {
    if (!erased && fs::exists(file_ + ".new")) {
      erased = true;
      world.Erase(7);
      EXPECT_FALSE(fs::exists(file_ + ".new"));
    }
    return false;
  };
  world.collection->Maintain(world.now, world.seq, erase);
  EXPECT_TRUE(erased);
  EXPECT_FALSE(fs::exists(file_));
  Settle(&world);
  EXPECT_TRUE(fs::exists(file_));
  EXPECT_EQ(FileBytes().find(world.Key(7)), std::string::npos);
}

TEST_F(SavedIndexTest, AnIndexThatIsNoMoreLeavesNothing) {
  std::mt19937_64 random(7);
  VectorWorld world(Options());
  Fill(&world, kEntities, random);
  Settle(&world);
  world.collection->Drop();
  EXPECT_FALSE(fs::exists(folder_));
  world.collection->RequestRebuild();
  Settle(&world);
  EXPECT_FALSE(fs::exists(folder_));
}

TEST_F(SavedIndexTest, VectorsBeyondTheBudgetAreRefused) {
  std::mt19937_64 random(8);
  VectorWorld world({.metric = Metric::kL2, .dimension = 8});
  // A node of 8 codes, a bias and 33 words, and what stands beside it.
  const uint64_t bytes_a_vector = NodeLayout(CodeKind::kInt8, 8, 16).bytes + 96;
  world.collection = std::make_unique<VectorCollection>(
      world.view, 1, world.store.get(), CollectionOptions{.budget_bytes = 10 * bytes_a_vector});
  Fill(&world, 9, random);
  const std::string fresh = world.Key(100);
  const std::string other = world.Key(101);
  const std::string old = world.Key(0);
  EXPECT_TRUE(world.collection->CheckRoom({fresh}).ok());
  EXPECT_TRUE(world.collection->CheckRoom({old, fresh}).ok());
  const absl::Status refused = world.collection->CheckRoom({fresh, other});
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_EQ(ErrorReason(refused), "VECTOR_BUDGET");
  EXPECT_THAT(std::string(refused.message()), testing::HasSubstr("profiles@v1:vector"));
  world.Commit({TombstoneFact(world, 0, world.now)});
  EXPECT_TRUE(world.collection->CheckRoom({fresh, other}).ok());
}

}  // namespace
}  // namespace fletch
