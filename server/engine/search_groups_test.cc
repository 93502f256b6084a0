// SPDX-License-Identifier: Apache-2.0
#include "server/engine/search_groups.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

// Entities in order of nearness with their groups; answers as a collection would.
class World {
 public:
  World(size_t count, size_t groups, double skew, std::mt19937_64* random) {
    for (size_t i = 0; i < count; ++i) {
      const double share = std::uniform_real_distribution<double>(0, 1)(*random);
      const auto group = static_cast<size_t>(static_cast<double>(groups) * std::pow(share, skew));
      keys_.push_back(StrCat("key", i));
      groups_[keys_.back()] = StrCat("group", std::min(group, groups - 1));
    }
  }

  // With `lossy`, a search that is not exact misses every third hit, as a graph may.
  absl::StatusOr<VectorAnswer> Ask(const VectorQuery& query, bool lossy) {
    ++asked;
    VectorAnswer answer;
    answer.strategy = lossy && !query.exact ? "graph" : "exact";
    size_t seen = 0;
    std::vector<VectorHit> missed;
    for (size_t i = 0; i < keys_.size() && answer.hits.size() < query.top_k; ++i) {
      if (query.passes) {
        ASSIGN_OR_RETURN(const bool passes, query.passes(keys_[i]));
        if (!passes) continue;
      }
      VectorHit hit{keys_[i], static_cast<float>(i), 0};
      if (answer.strategy == "graph" && ++seen % 3 == 0) {
        missed.push_back(std::move(hit));
        continue;
      }
      answer.hits.push_back(std::move(hit));
    }
    // As VectorIndex promises: an answer that would be short is completed.
    for (VectorHit& hit : missed) {
      if (answer.hits.size() < query.top_k) answer.hits.push_back(std::move(hit));
    }
    std::sort(answer.hits.begin(), answer.hits.end(),
              [](const VectorHit& a, const VectorHit& b) { return a.score < b.score; });
    answer.visited = keys_.size();
    return answer;
  }

  // The definition.
  std::vector<std::string> Expected(size_t top_k, size_t size,
                                    const std::function<bool(std::string_view)>& passes) const {
    std::vector<std::string> kept;
    std::map<std::string, size_t> counts;
    for (const std::string& key : keys_) {
      if (kept.size() == top_k) break;
      if (passes(key) && counts[groups_.at(key)]++ < size) kept.push_back(key);
    }
    return kept;
  }

  absl::StatusOr<std::string> GroupOf(std::string_view key) const {
    return groups_.at(std::string(key));
  }
  const std::vector<std::string>& keys() const { return keys_; }

  size_t asked = 0;

 private:
  std::vector<std::string> keys_;
  std::map<std::string, std::string> groups_;
};

std::vector<std::string> KeysOf(const absl::StatusOr<VectorAnswer>& answer) {
  EXPECT_TRUE(answer.ok()) << answer.status();
  std::vector<std::string> keys;
  for (const VectorHit& hit : answer->hits) keys.push_back(hit.entity_key);
  return keys;
}

absl::StatusOr<VectorAnswer> Search(World* world, const VectorQuery& query, size_t size,
                                    bool lossy) {
  return SearchGroups(
      query, size, [&](const VectorQuery& asked) { return world->Ask(asked, lossy); },
      [&](std::string_view key) { return world->GroupOf(key); });
}

TEST(SearchGroupsTest, ExactAnswersAreTheDefinition) {
  std::mt19937_64 random = SeededRandom();
  for (int round = 0; round < 200; ++round) {
    const size_t count = random() % 2000;
    const size_t groups = 1 + random() % 300;
    World world(count, groups, 1.0 + static_cast<double>(random() % 8), &random);
    VectorQuery query;
    query.top_k = 1 + random() % 50;
    const size_t size = 1 + random() % 4;
    const bool filtered = random() % 2 == 0;
    const auto passes = [&](std::string_view key) {
      return !filtered || std::hash<std::string_view>()(key) % 3 == 0;
    };
    if (filtered) {
      query.passes = [&](std::string_view key) -> absl::StatusOr<bool> { return passes(key); };
    }
    EXPECT_EQ(KeysOf(Search(&world, query, size, /*lossy=*/false)),
              world.Expected(query.top_k, size, passes))
        << "round " << round;
  }
}

TEST(SearchGroupsTest, AnswersOfAGraphAreNeverShortAndHoldNoGroupTooOften) {
  std::mt19937_64 random = SeededRandom();
  for (int round = 0; round < 100; ++round) {
    World world(random() % 2000, 1 + random() % 100, 3, &random);
    VectorQuery query;
    query.top_k = 1 + random() % 50;
    const size_t size = 1 + random() % 4;
    const std::vector<std::string> found = KeysOf(Search(&world, query, size, /*lossy=*/true));
    const auto all = [](std::string_view) { return true; };
    EXPECT_EQ(found.size(), world.Expected(query.top_k, size, all).size()) << "round " << round;
    std::map<std::string, size_t> counts;
    for (const std::string& key : found) EXPECT_LE(++counts[*world.GroupOf(key)], size);
  }
}

// More than kMaxTopK vectors of one group lie before the others.
TEST(SearchGroupsTest, LooksBehindWhatOneSearchMayReturn) {
  std::mt19937_64 random = SeededRandom();
  for (const bool lossy : {false, true}) {
    World world(3 * limits::kMaxTopK, 400, 12, &random);
    VectorQuery query;
    query.top_k = 300;
    const auto all = [](std::string_view) { return true; };
    const std::vector<std::string> expected = world.Expected(query.top_k, 2, all);
    const absl::StatusOr<VectorAnswer> answer = Search(&world, query, 2, lossy);
    const std::vector<std::string> found = KeysOf(answer);
    EXPECT_EQ(found.size(), expected.size());
    if (answer->strategy == "exact") {
      EXPECT_EQ(found, expected);
    }
    EXPECT_EQ(answer->visited, world.asked * world.keys().size());
  }
  World one(2 * limits::kMaxTopK + 7, 1, 1, &random);
  VectorQuery query;
  query.top_k = 3;
  EXPECT_EQ(KeysOf(Search(&one, query, 2, /*lossy=*/false)),
            (std::vector<std::string>{"key0", "key1"}));
}

TEST(SearchGroupsTest, ErrorsOfTheSearchAndOfTheGroupsEndIt) {
  std::mt19937_64 random(1);
  World world(10, 2, 1, &random);
  VectorQuery query;
  const auto failing = [](auto) { return absl::StatusOr<VectorAnswer>(OutOfRange("too many")); };
  const auto groups = [&](std::string_view key) { return world.GroupOf(key); };
  EXPECT_EQ(SearchGroups(query, 1, failing, groups).status().code(), absl::StatusCode::kOutOfRange);
  const auto ask = [&](const VectorQuery& asked) { return world.Ask(asked, false); };
  const auto broken = [](std::string_view) {
    return absl::StatusOr<std::string>(absl::DataLossError("damaged"));
  };
  EXPECT_EQ(SearchGroups(query, 1, ask, broken).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace fletch
