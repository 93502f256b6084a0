// SPDX-License-Identifier: Apache-2.0
// One writer, one builder, two searchers. Worth most under -fsanitize=thread.
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/index_test_util.h"

namespace fletch {
namespace {

TEST(VectorIndexThreadsTest, SearchWhileAddingWhileBuilding) {
  std::mt19937_64 random(1);
  const auto rows = ClusteredVectors(3000, 16, 20, &random);
  VectorIndex index({.metric = VectorMetric::kCosine, .dimension = 16});
  for (size_t i = 0; i < 500; ++i) index.Add(rows[i]);
  std::atomic<uint32_t> published{500};
  std::atomic<bool> done{false};
  std::atomic<int> searches{0};
  std::atomic<int> builds{0};
  std::atomic<int> wrong{0};

  std::thread writer([&] {
    for (size_t i = 500; i < rows.size(); ++i) {
      index.Add(rows[i]);
      published.store(static_cast<uint32_t>(i + 1));
      if (i % 16 == 0) std::this_thread::yield();
    }
  });
  std::thread builder([&] {
    while (!done.load()) {
      if (builds.load() % 2 == 1) index.ForgetBuilder();
      const auto live = [](RowId) { return true; };
      if (index
              .ExtendGraph(
                  live, [&] { return done.load(); }, [](double) {})
              .ok())
        ++builds;
    }
  });
  const auto search = [&](uint64_t seed) {
    std::mt19937_64 mine(seed);
    while (!done.load()) {
      const uint32_t count = published.load();
      const RowId row = static_cast<RowId>(mine() % count);
      Ask ask;
      ask.exact = mine() % 4 == 0;
      const auto answer = SearchIndex(index, rows[row], ask);
      // A row that was there before the search began is found by an exact one.
      const bool found = answer.ok() && Recall(answer->hits, {{row, 0}}) == 1;
      if (!answer.ok() || (ask.exact && !found)) ++wrong;
      ++searches;
    }
  };
  std::thread first(search, 2);
  std::thread second(search, 3);
  writer.join();
  while (builds.load() < 3 || searches.load() < 200) std::this_thread::yield();
  done.store(true);
  builder.join();
  first.join();
  second.join();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(index.row_count(), rows.size());
}

}  // namespace
}  // namespace fletch
