// SPDX-License-Identifier: Apache-2.0
#include "server/engine/vector_collection.h"

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/newest_event_times.h"
#include "server/engine/vector_world_testing.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

bool NeverCancelled() { return false; }

// Coordinates of -1, 0, 1: many ties.
std::vector<float> SmallVector(const VectorWorld& world, std::mt19937_64& random) {
  std::vector<float> vector(world.options.dimension);
  for (float& x : vector) x = static_cast<float>(random() % 3) - 1;
  if (world.options.metric == Metric::kCosine) vector[0] = 1;
  return vector;
}

// Late, present and future facts, corrections, deletions, retractions of any of them, null vectors.
Fact RandomFact(const VectorWorld& world, std::mt19937_64& random) {
  const int entity = static_cast<int>(random() % world.options.entities);
  const std::string key = world.Key(entity);
  const int64_t kind = static_cast<int64_t>(random() % 10);
  const int64_t event_time = kind < 5 ? world.now - static_cast<int64_t>(random() % 3)
                             : kind < 9
                                 ? world.now - static_cast<int64_t>(random() % 5'000'000)
                                 : world.now + 1 + static_cast<int64_t>(random() % 3'000'000);
  const auto& history = world.facts.find(key);
  const bool known = history != world.facts.end();
  Fact fact = VectorFact(world, entity, event_time,
                         random() % 8 == 0 ? std::vector<float>{} : SmallVector(world, random));
  fact.key.identity.event_key = world.Key(static_cast<int>(random() % world.options.event_keys));
  switch (random() % 8) {
    case 0:
      return TombstoneFact(world, entity, event_time);
    case 1:
      if (known)
        fact.key.identity = history->second[random() % history->second.size()].key.identity;
      fact.form = FactForm::kRetraction;
      fact.row.clear();
      return fact;
    case 2:
      if (known)
        fact.key.identity = history->second[random() % history->second.size()].key.identity;
      if (fact.key.identity.tombstone)
        return TombstoneFact(world, entity, fact.key.identity.event_time);
      return fact;
    default:
      return fact;
  }
}

void RandomCommit(VectorWorld* world, std::mt19937_64& random) {
  world->now += static_cast<int64_t>(random() % 400'000);
  std::map<std::string, Fact> batch;  // one fact an entity
  for (uint64_t n = 1 + random() % 3; n > 0; --n) {
    Fact fact = RandomFact(*world, random);
    batch.emplace(fact.key.identity.entity_key, fact);
  }
  std::vector<Fact> facts;
  for (auto& [key, fact] : batch) facts.push_back(fact);
  world->Commit(facts);
}

VectorQuery RandomQuery(const VectorWorld& world, std::mt19937_64& random) {
  VectorQuery query;
  query.vector = SmallVector(world, random);
  query.top_k = 1 + random() % 12;
  query.exact = random() % 8 != 0;
  query.as_of = world.now;
  query.read_seq = world.seq;
  if (random() % 3 == 0) query.as_of -= static_cast<int64_t>(random() % 6'000'000);
  if (random() % 3 == 0) query.read_seq -= random() % std::min<uint64_t>(world.seq, 12);
  if (random() % 12 == 0) query.read_seq = random() % (world.seq + 1);
  if (random() % 4 == 0)
    query.exclude = world.Key(static_cast<int>(random() % world.options.entities));
  if (random() % 4 == 0) {
    const uint64_t mask = random();
    query.passes = [mask](std::string_view key) -> absl::StatusOr<bool> {
      return (mask >> (static_cast<unsigned char>(key.back()) % 64)) & 1;
    };
  }
  return query;
}

TEST(VectorCollectionTest, EqualsABruteForceOverRandomHistories) {
  std::mt19937_64 random = SeededRandom();
  std::map<std::string, int> strategies;
  int questions = 0;
  int rebuilds = 0;
  while (questions < 20'000) {
    VectorWorldOptions options;
    options.metric = static_cast<Metric>(1 + random() % 3);
    options.ttl = random() % 2 == 0 ? 0 : 1'000'000 + static_cast<int64_t>(random() % 4'000'000);
    VectorWorld world(options);
    for (int step = 0; step < 800; ++step) {
      const uint64_t action = random() % 100;
      if (action < 60) {
        RandomCommit(&world, random);
      } else if (action < 64) {
        const uint64_t rows = world.collection->buffered_vectors();
        world.collection->Maintain(world.now, world.seq, NeverCancelled);
        rebuilds += world.collection->buffered_vectors() < rows ? 1 : 0;
      } else if (action == 64) {
        world.Reload();
      } else if (action == 65) {
        world.Erase(static_cast<int>(random() % options.entities));
      } else if (world.seq > 0) {
        const VectorQuery query = RandomQuery(world, random);
        const absl::StatusOr<VectorAnswer> answer = world.collection->Search(query, Call());
        ASSERT_TRUE(answer.ok()) << answer.status();
        const std::vector<VectorHit> expected = world.Expected(query);
        ASSERT_TRUE(SameHits(answer->hits, expected))
            << "question " << questions << " T=now-" << world.now - query.as_of
            << " S=" << query.read_seq << " of " << world.seq << " " << answer->strategy
            << "\n got " << HitsText(answer->hits) << "\nwant " << HitsText(expected);
        ++strategies[answer->strategy];
        ++questions;
      }
    }
  }
  for (const auto& [name, count] : strategies) std::cout << name << ": " << count << std::endl;
  std::cout << "rebuilds: " << rebuilds << std::endl;
  EXPECT_GT(strategies["exact"], 2000);
  EXPECT_GT(strategies["exact_filtered"], 500);
  EXPECT_GT(strategies["as_of_scan"], 2000);
  EXPECT_GT(rebuilds, 3);
}

TEST(VectorCollectionTest, GraphIsBuiltSearchedFilteredAndRebuilt) {
  std::mt19937_64 random(5);
  VectorWorld world({.metric = Metric::kCosine, .dimension = 16});
  Fill(&world, 3000, random);
  EXPECT_TRUE(world.collection->Maintain(world.now, world.seq, NeverCancelled));
  EXPECT_FALSE(world.collection->Maintain(world.now, world.seq, NeverCancelled));
  EXPECT_EQ(world.collection->graph_vectors(), 3000u);
  EXPECT_EQ(world.collection->live_vectors(), 3000u);
  EXPECT_EQ(world.collection->buffered_vectors(), 0u);
  EXPECT_FALSE(world.collection->building());
  const auto check = [&](int one_in, const std::set<std::string>& strategies) {
    double recall = 0;
    for (int i = 0; i < 30; ++i) {
      VectorQuery query = QueryNow(world, random);
      query.ef = 100;
      if (one_in > 1) {
        query.passes = [one_in](std::string_view key) -> absl::StatusOr<bool> {
          return std::hash<std::string_view>()(key) % static_cast<size_t>(one_in) == 0;
        };
      }
      const auto answer = world.collection->Search(query, Call());
      ASSERT_TRUE(answer.ok());
      ASSERT_TRUE(strategies.contains(answer->strategy)) << answer->strategy;
      const auto wanted = world.Expected(query);
      ASSERT_EQ(answer->hits.size(), wanted.size());
      recall += HitRecall(answer->hits, wanted) / 30;
    }
    EXPECT_GE(recall, 0.95) << "one in " << one_in;
  };
  check(1, {"graph"});
  check(3, {"graph", "exact_filtered"});
  check(100, {"exact_filtered"});
  // Two of three are deleted: the answers stay whole, then the rebuild drops them.
  for (int i = 0; i < 2000; i += 50) {
    std::vector<Fact> batch;
    for (int j = i; j < i + 50; ++j) batch.push_back(TombstoneFact(world, j, world.now + 1));
    world.now += 1;
    world.Commit(batch);
  }
  EXPECT_EQ(world.collection->live_vectors(), 1000u);
  check(1, {"graph", "exact"});
  world.collection->Maintain(world.now, world.seq, NeverCancelled);
  EXPECT_TRUE(world.collection->Maintain(world.now, world.seq, NeverCancelled));
  EXPECT_EQ(world.collection->buffered_vectors(), 1000u);
  check(1, {"exact"});
}

TEST(VectorCollectionTest, ErrorsOfTheFilterSurface) {
  std::mt19937_64 random(6);
  VectorWorld world({.dimension = 8});
  Fill(&world, 50, random);
  VectorQuery query = QueryNow(world, random);
  int calls = 0;
  query.passes = [&calls](std::string_view) -> absl::StatusOr<bool> {
    if (++calls == 20) return DataLoss("a broken block");
    return true;
  };
  EXPECT_EQ(world.collection->Search(query, Call()).status().code(), absl::StatusCode::kDataLoss);
  calls = 19;
  query.as_of -= 1'000'000;  // before every event: nothing is visible and nothing asked
  EXPECT_TRUE(world.collection->Search(query, Call()).ok());
}

TEST(VectorCollectionTest, ADeadCallIsNotWorkedOn) {
  std::mt19937_64 random(7);
  VectorWorld world({.dimension = 8});
  Fill(&world, 5, random);
  Call late;
  late.deadline_steady_micros = SteadyMicros() - 1;
  EXPECT_EQ(world.collection->Search(QueryNow(world, random), late).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  Call gone;
  gone.cancelled = [] { return true; };
  EXPECT_EQ(world.collection->Search(QueryNow(world, random), gone).status().code(),
            absl::StatusCode::kCancelled);
}

TEST(VectorCollectionTest, AnUnreadableRowIsAnErrorAndNotAWrongAnswer) {
  std::mt19937_64 random(8);
  VectorWorld world({.dimension = 8});
  Fill(&world, 5, random);
  Fact broken = VectorFact(world, 2, world.now, {});
  broken.row = "\x7f";
  world.Commit({broken});
  EXPECT_EQ(world.collection->Search(QueryNow(world, random), Call()).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST(VectorCollectionTest, ExpiredVectorsAreDroppedFromMemory) {
  std::mt19937_64 random(9);
  VectorWorld world({.dimension = 8, .ttl = 1'000'000});
  Fill(&world, 400, random);
  world.now += 120'000'000;
  world.collection->Maintain(world.now, world.seq, NeverCancelled);
  EXPECT_EQ(world.collection->live_vectors(), 0u);
  world.now -= 119'500'000;  // a question from before they expired is asked of the facts
  const VectorQuery query = QueryNow(world, random);
  const auto answer = world.collection->Search(query, Call());
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->strategy, "as_of_scan");
  EXPECT_TRUE(SameHits(answer->hits, world.Expected(query)));
}

TEST(VectorCollectionTest, AnAsOfScanSaysWhichShareOfTheVectorsPasses) {
  std::mt19937_64 random(10);
  VectorWorld world({.dimension = 8});
  Fill(&world, 40, random);
  VectorQuery query = QueryNow(world, random);
  query.top_k = 40;
  world.now += 1'000'000;
  world.Commit({VectorFact(world, 0, world.now, {1, 2, 3, 4, 5, 6, 7, 8})});
  EXPECT_EQ(world.collection->Search(query, Call())->selectivity, 1);
  query.passes = [](std::string_view key) -> absl::StatusOr<bool> { return key.back() % 4 == 0; };
  const auto answer = world.collection->Search(query, Call());
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->strategy, "as_of_scan");
  EXPECT_GT(answer->hits.size(), 0u);
  EXPECT_EQ(answer->selectivity, static_cast<double>(answer->hits.size()) / 40);
}

TEST(NewestEventTimesTest, KnowsTheNewestOfEachReaderAndForgetsToTheSafeSide) {
  NewestEventTimes times;
  EXPECT_EQ(times.At(5), INT64_MIN);
  times.Add(3, 100);
  times.Add(4, 90);
  times.Add(6, 200);
  EXPECT_EQ(times.At(2), INT64_MIN);
  EXPECT_EQ(times.At(5), 100);
  EXPECT_EQ(times.At(6), 200);
  times.AddForAll(150);
  EXPECT_EQ(times.At(1), 150);
  EXPECT_EQ(times.At(6), 200);
  for (int i = 0; i < 3000; ++i) times.Add(10 + static_cast<uint64_t>(i), 300 + i);
  EXPECT_GE(times.At(1), 150);
  EXPECT_EQ(times.At(3009), 3299);
}

}  // namespace
}  // namespace fletch
