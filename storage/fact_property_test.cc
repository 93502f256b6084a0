// SPDX-License-Identifier: Apache-2.0
// FactReader and ReadHistory against a brute force, on random histories.
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "storage/fact_oracle_testing.h"
#include "storage/fact_store.h"
#include "storage/memory_kv_store.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

constexpr ViewId kView = 5;
constexpr int kHistories = 400;

using fact_oracle::Show;

class FactPropertyTest : public testing::Test {
 protected:
  // New facts of the view, and of both neighbours, which must never be seen.
  void NewHistory() {
    commits_ = 1 + random_() % 40;
    facts_ = fact_oracle::RandomFacts(kView, commits_, random_);
    store_ = NewMemoryKvStore();
    KvBatch batch;
    for (const ViewId view : {kView - 1, kView, kView + 1}) {
      for (Fact fact : facts_) {
        if (view != kView) fact.row = "another view's";
        fact.key.view_id = view;
        AddFact(fact, &batch);
      }
    }
    ASSERT_TRUE(store_->Write(batch, /*sync=*/false).ok());
  }
  int64_t RandomTime() { return static_cast<int64_t>(random_() % 9) - 4; }
  uint64_t RandomCommit() { return random_() % (commits_ + 2); }
  const std::string& RandomEntity() { return entities_[random_() % entities_.size()]; }

  std::mt19937_64 random_ = SeededRandom();
  const ViewSchema schema_ = fact_oracle::Schema(kView);
  const std::vector<std::string> entities_ = fact_oracle::EntityKeys();
  uint64_t commits_ = 0;
  std::vector<Fact> facts_;
  std::unique_ptr<KvStore> store_;
};

TEST_F(FactPropertyTest, FindVisible) {
  int found = 0;
  for (int history = 0; history < kHistories; ++history) {
    NewHistory();
    FactReader reader(store_.get());
    for (int question = 0; question < 300; ++question) {
      const std::string& entity = RandomEntity();
      const int64_t as_of = RandomTime();
      const uint64_t known_at = RandomCommit();
      const auto visible = reader.FindVisible(schema_, entity, as_of, known_at);
      ASSERT_TRUE(visible.ok()) << visible.status();
      ASSERT_EQ(Show(*visible), Show(fact_oracle::FindVisible(facts_, entity, as_of, known_at)));
      found += visible->has_value() ? 1 : 0;
    }
  }
  EXPECT_GT(found, kHistories * 300 / 4);  // else the questions were too easy
}

// The order of a training join: entities ascending, times newest first, so that the cursor steps
// instead of seeking.
TEST_F(FactPropertyTest, FindVisibleInOrder) {
  for (int history = 0; history < kHistories; ++history) {
    NewHistory();
    FactReader reader(store_.get());
    std::vector<std::string> ordered = entities_;
    std::sort(ordered.begin(), ordered.end());
    for (const std::string& entity : ordered) {
      for (int64_t as_of = 4; as_of >= -4; as_of -= 1 + static_cast<int64_t>(random_() % 2)) {
        const uint64_t known_at = RandomCommit();
        const auto visible = reader.FindVisible(schema_, entity, as_of, known_at);
        ASSERT_TRUE(visible.ok()) << visible.status();
        ASSERT_EQ(Show(*visible), Show(fact_oracle::FindVisible(facts_, entity, as_of, known_at)));
      }
    }
  }
}

TEST_F(FactPropertyTest, ExcludingIsRetracting) {
  for (int history = 0; history < kHistories; ++history) {
    NewHistory();
    FactReader reader(store_.get());
    for (int question = 0; question < 50; ++question) {
      std::vector<Identity> excluding;
      std::vector<Fact> with_retractions = facts_;
      for (uint64_t n = random_() % 6; n > 0; --n) {
        excluding.push_back(facts_[random_() % facts_.size()].key.identity);
        with_retractions.push_back(
            {{kView, excluding.back(), commits_ + 1}, FactForm::kRetraction, ""});
      }
      const std::string& entity = RandomEntity();
      const int64_t as_of = RandomTime();
      const auto visible = reader.FindVisible(schema_, entity, as_of, commits_, excluding);
      ASSERT_TRUE(visible.ok()) << visible.status();
      ASSERT_EQ(Show(*visible),
                Show(fact_oracle::FindVisible(with_retractions, entity, as_of, commits_ + 1)));
    }
  }
}

TEST_F(FactPropertyTest, ScanVisible) {
  for (int history = 0; history < kHistories; ++history) {
    NewHistory();
    FactReader reader(store_.get());
    std::vector<std::string> ordered = entities_;
    std::sort(ordered.begin(), ordered.end());
    for (int question = 0; question < 50; ++question) {
      const int64_t as_of = RandomTime();
      const uint64_t known_at = RandomCommit();
      std::vector<std::string> expected;
      for (const std::string& entity : ordered) {
        const auto fact = fact_oracle::FindVisible(facts_, entity, as_of, known_at);
        if (fact.has_value() && fact->form == FactForm::kRow) expected.push_back(Show(*fact));
      }
      std::vector<std::string> seen;
      const absl::Status status =
          reader.ScanVisible(schema_, as_of, known_at, [&](const FactRef& ref) {
            seen.push_back(Show(ref));
            return absl::OkStatus();
          });
      ASSERT_TRUE(status.ok()) << status;
      ASSERT_EQ(seen, expected);
    }
  }
}

TEST_F(FactPropertyTest, IdentityCounts) {
  for (int history = 0; history < kHistories; ++history) {
    NewHistory();
    FactReader reader(store_.get());
    for (int question = 0; question < 50; ++question) {
      const Identity identity = random_() % 2 == 0
                                    ? facts_[random_() % facts_.size()].key.identity
                                    : fact_oracle::RandomIdentity(random_() % 2 == 0, random_);
      const uint64_t known_at = RandomCommit();
      bool expected = false;
      for (const Fact& fact : fact_oracle::CurrentForms(facts_, identity.entity_key, known_at)) {
        expected = expected || fact.key.identity == identity;
      }
      ASSERT_EQ(reader.IdentityCounts(schema_, identity, known_at).value(), expected);
    }
  }
}

TEST_F(FactPropertyTest, ReadHistoryInPages) {
  int pages = 0;
  for (int history = 0; history < kHistories; ++history) {
    NewHistory();
    std::vector<std::string> ordered = entities_;
    std::sort(ordered.begin(), ordered.end());
    for (int question = 0; question < 50; ++question) {
      HistoryQuery query{.entity_key = random_() % 2 == 0 ? RandomEntity() : "",
                         .start = RandomTime(),
                         .end = RandomTime(),
                         .last_k = random_() % 5,
                         .known_at = RandomCommit(),
                         .all_forms = random_() % 2 == 0};
      std::vector<std::string> expected;
      for (const std::string& entity : ordered) {
        if (!query.entity_key.empty() && entity != query.entity_key) continue;
        for (const Fact& fact : fact_oracle::History(facts_, entity, query))
          expected.push_back(Show(fact));
      }
      std::vector<std::string> seen;
      std::string token;
      do {
        const size_t limit = 1 + random_() % 7;
        const size_t before = seen.size();
        const auto next =
            ReadHistory(*store_, schema_, query, token, limit, [&](const FactRef& ref) {
              seen.push_back(Show(ref));
              return absl::OkStatus();
            });
        ASSERT_TRUE(next.ok()) << next.status();
        ASSERT_LE(seen.size() - before, limit);
        if (!next->empty()) {  // only the last page may be short
          ASSERT_EQ(seen.size() - before, limit);
        }
        token = *next;
        ++pages;
      } while (!token.empty());
      ASSERT_EQ(seen, expected);
    }
  }
  EXPECT_GT(pages, kHistories * 60);
}

}  // namespace
}  // namespace fletch
