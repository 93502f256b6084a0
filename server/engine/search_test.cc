// SPDX-License-Identifier: Apache-2.0
// Searches through the engine: batches, groups, thresholds, what they refuse, and audits of recall.
#include "server/engine/search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/engine_world_testing.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

using Hit = std::pair<std::string, int64_t>;  // doc, part

// Documents in parts, each part with two vectors; what is known of a part stands in another view.
class SearchTest : public EngineWorld {
 protected:
  static constexpr size_t kDimension = 4;
  static constexpr int64_t kDocs = 20;
  static constexpr int64_t kParts = 6;

  void SetUp() override {
    Open();
    Apply(
        "objects { entity { name: 'chunk' join_keys { name: 'doc' type: STRING }"
        " join_keys { name: 'part' type: INT64 } } }"
        "objects { feature_view { name: 'text' entity: 'chunk'"
        " fields { name: 'body' type: FLOAT_VECTOR dimension: 4 index { metric: L2 } }"
        " fields { name: 'title' type: FLOAT_VECTOR dimension: 2 index { metric: COSINE"
        " m: 8 ef_construction: 50 target_recall: 0.9 } }"
        " fields { name: 'plain' type: FLOAT_VECTOR dimension: 2 } } }"
        "objects { feature_view { name: 'meta' entity: 'chunk' ttl { seconds: 500 }"
        " fields { name: 'lang' type: STRING } fields { name: 'rank' type: DOUBLE }"
        " fields { name: 'tags' type: STRING array: true } } }"
        "objects { entity { name: 'shop' join_keys { name: 'shop' type: STRING } } }"
        "objects { feature_view { name: 'shops' entity: 'shop'"
        " fields { name: 'size' type: INT64 } } }");
    Load();
  }

  static Column Texts(std::vector<std::string> values) {
    Column column;
    column.type = DataType{ValueType::kString};
    column.row_count = values.size();
    column.strings = std::move(values);
    return column;
  }
  static Column Vectors(std::vector<float> values, uint32_t dimension) {
    Column column;
    column.type = DataType{ValueType::kFloatVector, false, dimension};
    column.row_count = values.size() / dimension;
    column.floats = std::move(values);
    return column;
  }
  static Column Doubles(std::vector<double> values) {
    Column column;
    column.type = DataType{ValueType::kDouble};
    column.row_count = values.size();
    column.doubles = std::move(values);
    return column;
  }

  std::vector<float> RandomVector(size_t dimension) {
    std::vector<float> vector(dimension);
    // Few distinct values, so that there are ties.
    for (float& x : vector) x = static_cast<float>(random_() % 9) - 4;
    vector[0] += 0.5f;
    return vector;
  }

  void Load() {
    RowBatch text{"text", 0, {}, {}, false};
    RowBatch meta{"meta", 0, {}, {}, false};
    std::vector<std::string> docs;
    std::vector<int64_t> parts;
    std::vector<float> bodies;
    std::vector<float> titles;
    std::vector<std::string> langs;
    std::vector<double> ranks;
    for (int64_t doc = 0; doc < kDocs; ++doc) {
      for (int64_t part = 0; part < kParts; ++part) {
        docs.push_back(StrCat("doc", doc));
        parts.push_back(part);
        for (const float x : RandomVector(kDimension)) bodies.push_back(x);
        for (const float x : RandomVector(2)) titles.push_back(x);
        langs.push_back(doc % 3 == 0 ? "de" : "en");
        constexpr double kRanks[] = {0.0, -0.0, 1.5, std::numeric_limits<double>::quiet_NaN()};
        ranks.push_back(kRanks[static_cast<size_t>(part) % 4]);
      }
    }
    text.row_count = meta.row_count = docs.size();
    text.columns = {{"doc", Texts(docs)},
                    {"part", Ints(parts)},
                    {"body", Vectors(bodies, kDimension)},
                    {"title", Vectors(titles, 2)}};
    text.event_times.assign(docs.size(), kNow - 1000 * kSecond);
    meta.columns = {{"doc", Texts(docs)},
                    {"part", Ints(parts)},
                    {"lang", Texts(langs)},
                    {"rank", Doubles(ranks)}};
    meta.columns[2].column.null_rows = {1, 7};
    for (const uint64_t row : meta.columns[2].column.null_rows) {
      meta.columns[2].column.strings[row].clear();
    }
    meta.event_times.assign(docs.size(), kNow - 100 * kSecond);
    meta.event_times[3] = kNow - 600 * kSecond;  // too old now
    ASSERT_TRUE(StartWrite({text}).get().ok());
    const auto written = StartWrite({meta}).get();
    ASSERT_TRUE(written.ok()) << written.status();
  }

  SearchRequest Request(const std::string& index = "text:body") {
    SearchRequest request;
    request.project = "p";
    request.index = index;
    request.vector = RandomVector(index == "text:body" ? kDimension : 2);
    return request;
  }
  static std::vector<Hit> HitsOf(const SearchAnswer& answer, size_t first = 0,
                                 size_t count = SIZE_MAX) {
    std::vector<Hit> hits;
    for (size_t i = first; i < answer.scores.size() && hits.size() < count; ++i) {
      hits.emplace_back(answer.keys[0].column.strings[i], answer.keys[1].column.int64s[i]);
    }
    return hits;
  }
  SearchAnswer Search(const SearchRequest& request) {
    auto answer = engine_->Search(request, Call{});
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? *std::move(answer) : SearchAnswer();
  }
  // All visible vectors in order of nearness.
  SearchAnswer All(SearchRequest request) {
    request.top_k = limits::kMaxTopK;
    request.exact = true;
    request.group_by.reset();
    request.score_threshold.reset();
    return Search(request);
  }
  void ExpectRefused(const SearchRequest& request, absl::StatusCode code,
                     const std::string& field) {
    const auto answer = engine_->Search(request, Call{});
    EXPECT_EQ(answer.status().code(), code) << answer.status();
    EXPECT_EQ(ErrorField(answer.status()), field) << answer.status();
  }

  std::mt19937_64 random_ = SeededRandom();
};

TEST_F(SearchTest, EachVectorFieldOfAViewIsAnIndexOfItsOwn) {
  SearchRequest body = Request();
  SearchRequest title = Request("text:title");
  EXPECT_EQ(All(body).scores.size(), static_cast<size_t>(kDocs * kParts));
  const SearchAnswer titles = All(title);
  EXPECT_EQ(titles.scores.size(), static_cast<size_t>(kDocs * kParts));
  EXPECT_TRUE(std::is_sorted(titles.scores.rbegin(), titles.scores.rend()));
  title.vector = RandomVector(kDimension);
  ExpectRefused(title, absl::StatusCode::kInvalidArgument, "vector");
}

TEST_F(SearchTest, AThresholdKeepsWhatIsAtLeastThatNear) {
  for (const char* index : {"text:body", "text:title"}) {
    for (int round = 0; round < 20; ++round) {
      SearchRequest request = Request(index);
      const SearchAnswer all = All(request);
      // A score that occurs is within.
      const float threshold = all.scores[random_() % all.scores.size()];
      const bool l2 = request.index == "text:body";
      request.score_threshold = threshold;
      request.top_k = 1 + random_() % all.scores.size();
      const SearchAnswer found = Search(request);
      const auto within =
          static_cast<size_t>(std::count_if(all.scores.begin(), all.scores.end(), [&](float score) {
            return l2 ? score <= threshold : score >= threshold;
          }));
      EXPECT_EQ(HitsOf(found), HitsOf(all, 0, std::min(within, request.top_k)));
    }
  }
  SearchRequest none = Request();
  none.score_threshold = -1.0f;
  EXPECT_TRUE(Search(none).scores.empty());
}

TEST_F(SearchTest, GroupsByAJoinKeyKeepTheBestOfEach) {
  for (int round = 0; round < 30; ++round) {
    SearchRequest request = Request();
    request.group_by = GroupBy{round % 2 == 0 ? "doc" : "part", 1 + random_() % 3};
    request.top_k = 1 + random_() % 40;
    const SearchAnswer all = All(request);
    std::vector<Hit> expected;
    std::map<std::string, size_t> counts;
    for (const Hit& hit : HitsOf(all)) {
      const std::string group = round % 2 == 0 ? hit.first : StrCat(hit.second);
      if (expected.size() < request.top_k && counts[group]++ < request.group_by->size) {
        expected.push_back(hit);
      }
    }
    EXPECT_EQ(HitsOf(Search(request)), expected);
    if (round % 3 != 0) continue;
    request.score_threshold = all.scores[all.scores.size() / 2];
    const auto within =
        static_cast<size_t>(std::count_if(all.scores.begin(), all.scores.end(), [&](float score) {
          return score <= *request.score_threshold;
        }));
    const std::vector<Hit> near = HitsOf(all, 0, within);
    std::erase_if(expected, [&](const Hit& hit) {
      return std::find(near.begin(), near.end(), hit) == near.end();
    });
    EXPECT_EQ(HitsOf(Search(request)), expected);
  }
}

TEST_F(SearchTest, GroupsByAFieldAreThoseOfItsValueThen) {
  const auto groups_of = [&](const std::string& ref, std::optional<int64_t> as_of) {
    SearchRequest request = Request();
    request.group_by = GroupBy{ref, 1};
    request.top_k = 100;
    request.as_of = as_of;
    return Search(request).scores.size();
  };
  // de, en, and what is null or too old.
  EXPECT_EQ(groups_of("meta:lang", std::nullopt), 3u);
  // 0 and -0, 1.5, NaN, and what is too old.
  EXPECT_EQ(groups_of("meta:rank", std::nullopt), 4u);
  // Before the view's facts all are missing: one group. But one had its row earlier.
  EXPECT_EQ(groups_of("meta:lang", kNow - 500 * kSecond), 2u);
  EXPECT_EQ(groups_of("meta:lang", kNow - 700 * kSecond), 1u);
}

TEST_F(SearchTest, ABatchIsItsSearchesOneByOne) {
  for (int round = 0; round < 10; ++round) {
    BatchSearchRequest batch;
    batch.common = Request();
    batch.common.vector.clear();
    batch.common.top_k = 1 + random_() % 10;
    batch.common.hydrate = Selection{{}, {"meta:lang", "meta:rank"}, {}};
    batch.common.event_times = true;
    if (round % 2 == 0) batch.common.group_by = GroupBy{"doc", 1};
    if (round % 3 == 0) batch.common.score_threshold = 5.0f;
    batch.query_count = 1 + random_() % 20;
    const bool by_entity = round % 2 == 1;
    std::vector<std::string> docs;
    std::vector<int64_t> parts;
    std::vector<SearchRequest> singles;
    for (size_t i = 0; i < batch.query_count; ++i) {
      SearchRequest single = batch.common;
      if (by_entity) {
        docs.push_back(StrCat("doc", random_() % kDocs));
        parts.push_back(static_cast<int64_t>(random_() % kParts));
        single.entity_key = {{"doc", Texts({docs.back()})}, {"part", Ints({parts.back()})}};
      } else {
        single.vector = RandomVector(kDimension);
        batch.vectors.insert(batch.vectors.end(), single.vector.begin(), single.vector.end());
      }
      singles.push_back(std::move(single));
    }
    if (by_entity) batch.entity_keys = {{"part", Ints(parts)}, {"doc", Texts(docs)}};
    const auto found = engine_->BatchSearch(batch, Call{});
    ASSERT_TRUE(found.ok()) << found.status();
    ASSERT_EQ(found->hit_counts.size(), batch.query_count);
    ASSERT_EQ(found->plans.size(), batch.query_count);
    size_t first = 0;
    for (size_t i = 0; i < batch.query_count; ++i) {
      const SearchAnswer single = Search(singles[i]);
      ASSERT_EQ(found->hit_counts[i], single.scores.size());
      EXPECT_EQ(HitsOf(found->hits, first, found->hit_counts[i]), HitsOf(single));
      EXPECT_EQ(found->plans[i].strategy, single.plan.strategy);
      for (size_t hit = 0; hit < single.scores.size(); ++hit, ++first) {
        EXPECT_EQ(found->hits.scores[first], single.scores[hit]);
        EXPECT_EQ(found->hits.event_times[first], single.event_times[hit]);
        EXPECT_EQ(found->hits.columns[0].strings[first], single.columns[0].strings[hit]);
      }
    }
    EXPECT_EQ(found->hits.scores.size(), first);
    EXPECT_EQ(found->hits.columns[1].row_count, first);
  }
}

TEST_F(SearchTest, RefusesWhatCannotBe) {
  const auto grouped = [&](const std::string& ref) {
    SearchRequest request = Request();
    request.group_by = GroupBy{ref, 1};
    return request;
  };
  const auto kMissing = absl::StatusCode::kNotFound;
  const auto kInvalid = absl::StatusCode::kInvalidArgument;
  ExpectRefused(grouped("nosuch"), kMissing, "group_by.ref");
  ExpectRefused(grouped("nosuch:lang"), kMissing, "group_by.ref");
  ExpectRefused(grouped("meta:nosuch"), kMissing, "group_by.ref");
  ExpectRefused(grouped("meta:tags"), kInvalid, "group_by.ref");
  ExpectRefused(grouped("text:body"), kInvalid, "group_by.ref");
  ExpectRefused(grouped("shops:size"), kInvalid, "group_by.ref");
  ExpectRefused(Request("text:plain"), kInvalid, "index");

  const auto batch_field = [&](const auto& spoil) {
    BatchSearchRequest batch;
    batch.common = Request();
    batch.common.vector.clear();
    batch.query_count = 2;
    batch.vectors = {1, 2, 3, 4, 5, 6, 7, 8};
    spoil(&batch);
    const auto answer = engine_->BatchSearch(batch, Call{});
    return StrCat(absl::StatusCodeToString(answer.status().code()), " ",
                  ErrorField(answer.status()));
  };
  EXPECT_EQ(batch_field([](auto*) {}), "OK ");
  EXPECT_EQ(batch_field([](auto* b) { b->vectors.pop_back(); }), "INVALID_ARGUMENT vectors");
  EXPECT_EQ(batch_field([](auto* b) { b->vectors[5] = INFINITY; }), "INVALID_ARGUMENT vectors");
  EXPECT_EQ(batch_field([](auto* b) { b->common.index = "x:y"; }), "NOT_FOUND common.index");
  EXPECT_EQ(batch_field([](auto* b) {
              b->common.group_by = GroupBy{"x", 1};
            }),
            "NOT_FOUND common.group_by.ref");
  EXPECT_EQ(batch_field([](auto* b) {
              b->common.hydrate = Selection{{}, {"meta:x"}, {}};
            }),
            "NOT_FOUND common.features[0]");
  EXPECT_EQ(batch_field([](auto* b) { b->common.as_of = kNow + kSecond; }),
            "OUT_OF_RANGE common.as_of");
  EXPECT_EQ(batch_field([](auto* b) {
              b->vectors.clear();
              b->entity_keys = {{"doc", Texts({"doc1", "nobody"})}, {"part", Ints({1, 1})}};
            }),
            "NOT_FOUND entity_keys");
  EXPECT_EQ(batch_field([](auto* b) {
              b->vectors.clear();
              b->entity_keys = {{"doc", Texts({"doc1", "doc2"})}};
            }),
            "INVALID_ARGUMENT entity_keys.part");
}

TEST_F(SearchTest, AnAuditOfExactAnswersFindsAll) {
  RecallAuditRequest request;
  request.search = Request();
  request.search.vector.clear();
  request.queries = 50;
  request.seed = 7;
  auto audit = engine_->AuditRecall(request, Call{});
  ASSERT_TRUE(audit.ok()) << audit.status();
  EXPECT_EQ(audit->queries(), 50u);
  EXPECT_EQ(audit->recall(), 1);
  EXPECT_EQ(audit->worst_recall(), 1);
  EXPECT_EQ(audit->complete_share(), 1);
  EXPECT_EQ(audit->short_answers(), 0u);
  EXPECT_EQ(audit->read_seq(), engine_->applied_seq());

  request.queries = 1000;  // there are fewer vectors
  audit = engine_->AuditRecall(request, Call{});
  ASSERT_TRUE(audit.ok()) << audit.status();
  EXPECT_EQ(audit->queries(), static_cast<uint64_t>(kDocs * kParts));
  request.search.index = "text:nosuch";
  EXPECT_EQ(engine_->AuditRecall(request, Call{}).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(SearchTest, AnIndexSaysWhatItIs) {
  v1::DescribeIndexRequest request;
  request.set_project("p");
  request.set_index("text:title");
  const auto index = engine_->DescribeIndex(request, Call{});
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(index->index(), "text@v1:title");
  EXPECT_EQ(index->metric(), v1::COSINE);
  EXPECT_EQ(index->dimension(), 2u);
  EXPECT_EQ(index->m(), 8u);
  EXPECT_EQ(index->ef_construction(), 50u);
  EXPECT_EQ(index->target_recall(), 0.9);
  EXPECT_EQ(index->vectors(), static_cast<uint64_t>(kDocs * kParts));
  EXPECT_EQ(index->buffered_vectors(), index->vectors());
  EXPECT_EQ(index->graph_vectors(), 0u);
  EXPECT_EQ(index->samples(), 0u);
  request.set_index("text");
  EXPECT_EQ(engine_->DescribeIndex(request, Call{}).status().code(),
            absl::StatusCode::kInvalidArgument);
  v1::RebuildIndexRequest rebuild;
  rebuild.set_project("p");
  rebuild.set_index("text:nosuch");
  EXPECT_EQ(engine_->RebuildIndex(rebuild, Call{}).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace fletch
