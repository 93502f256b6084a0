// SPDX-License-Identifier: Apache-2.0
// One commit thread, one maintenance, two searchers; every answer is checked afterwards. Worth most
// under -fsanitize=thread.
#include <atomic>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/vector_world_testing.h"

namespace fletch {
namespace {

using Asked = std::vector<std::pair<VectorQuery, std::vector<VectorHit>>>;

// Exact answers are the brute force's; of the approximate ones, 95 of 100 hits.
void ExpectRight(const VectorWorld& world, const Asked& asked) {
  size_t shared = 0;
  size_t approximate = 0;
  for (const auto& [query, hits] : asked) {
    const std::vector<VectorHit> expected = world.Expected(query);
    if (query.exact) {
      ASSERT_TRUE(SameHits(hits, expected)) << "S=" << query.read_seq;
      continue;
    }
    ASSERT_EQ(hits.size(), expected.size());
    approximate += expected.size();
    for (const VectorHit& hit : hits) {
      shared += std::any_of(expected.begin(), expected.end(),
                            [&](const VectorHit& e) { return SameHits({e}, {hit}); });
    }
  }
  EXPECT_GE(static_cast<double>(shared), 0.95 * static_cast<double>(approximate));
}

TEST(VectorCollectionThreadsTest, SearchWhileApplyingWhileMaintaining) {
  constexpr int kEntities = 2300;
  VectorWorld world({.metric = Metric::kL2, .dimension = 4, .entities = kEntities});
  std::mt19937_64 random(1);
  const auto random_vector = [&random] {
    return std::vector<float>{
        static_cast<float>(random() % 100), static_cast<float>(random() % 100),
        static_cast<float>(random() % 100), static_cast<float>(random() % 100)};
  };
  for (int i = 0; i < kEntities; ++i)
    world.Commit({VectorFact(world, i, world.now, random_vector())});
  std::atomic<uint64_t> applied{world.seq};
  std::atomic<int64_t> clock{world.now};
  std::atomic<bool> done{false};
  std::atomic<int> maintained{0};
  std::mutex mu;
  Asked asked;

  std::thread maintenance([&] {
    while (!done.load()) {
      if (world.collection->Maintain(clock.load(), applied.load(), [&] { return done.load(); })) {
        ++maintained;
      }
      std::this_thread::yield();
    }
  });
  const auto search = [&](uint64_t seed) {
    std::mt19937_64 mine(seed);
    while (!done.load()) {
      VectorQuery query;
      for (int i = 0; i < 4; ++i) query.vector.push_back(static_cast<float>(mine() % 100));
      query.exact = mine() % 2 == 0;
      query.read_seq = applied.load();
      query.as_of = clock.load();
      const auto answer = world.collection->Search(query, Call());
      ASSERT_TRUE(answer.ok()) << answer.status();
      std::lock_guard<std::mutex> lock(mu);
      if (asked.size() < 600) asked.emplace_back(query, answer->hits);
    }
  };
  std::thread first(search, 2);
  std::thread second(search, 3);
  for (int i = 0; i < 6000; ++i) {
    world.now += 500;
    clock.store(world.now);
    const int entity = static_cast<int>(random() % kEntities);
    const int64_t event_time = world.now + (i % 50 == 0 ? 400'000 : 0);
    world.Commit({i % 10 == 9 ? TombstoneFact(world, entity, event_time)
                              : VectorFact(world, entity, event_time, random_vector())});
    applied.store(world.seq);
    if (i % 8 == 0) std::this_thread::yield();
  }
  while (maintained.load() < 2) std::this_thread::yield();
  done.store(true);
  maintenance.join();
  first.join();
  second.join();
  EXPECT_GT(asked.size(), 20u);
  ExpectRight(world, asked);
}

}  // namespace
}  // namespace fletch
