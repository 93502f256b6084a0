// SPDX-License-Identifier: Apache-2.0
#include "server/engine/recall_audit.h"

#include <atomic>
#include <cmath>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/status.h"
#include "gtest/gtest.h"

namespace fletch {
namespace {

using Scores = std::vector<float>;

TEST(RecallOfTest, CountsWhatIsAsNearAsTheLastExactHit) {
  EXPECT_EQ(RecallOf(Metric::kCosine, Scores{.9f, .8f}, Scores{.9f, .8f}), 1);
  EXPECT_EQ(RecallOf(Metric::kCosine, Scores{.9f, .7f}, Scores{.9f, .8f}), .5);
  EXPECT_EQ(RecallOf(Metric::kCosine, Scores{.9f}, Scores{.9f, .8f}), .5);
  EXPECT_EQ(RecallOf(Metric::kCosine, Scores{}, Scores{.9f, .8f}), 0);
  EXPECT_EQ(RecallOf(Metric::kL2, Scores{1, 2, 9}, Scores{1, 2, 3}), 2.0 / 3);
  EXPECT_EQ(RecallOf(Metric::kL2, Scores{1, 3, 3}, Scores{1, 2, 3}), 1);  // another of the ties
  EXPECT_EQ(RecallOf(Metric::kDot, Scores{}, Scores{}), 1);
  EXPECT_EQ(RecallOf(Metric::kDot, Scores{5, 4}, Scores{4}), 1);  // one was erased meanwhile
}

class RecallSamplerTest : public testing::Test {
 protected:
  RecallSamplerTest() {
    auto view = std::make_shared<View>(View{{}, RowLayout({})});
    view->schema.view_id = 3;
    view->schema.project = "p";
    view->schema.name = "v";
    FieldSchema field{.name = "f", .type = {ValueType::kFloatVector, false, 2}};
    field.index_metric = Metric::kL2;
    field.index.target_recall = .9;
    view->schema.fields = {field};
    index_ = {std::move(view), 0};
  }

  RecallSampler::Sources Sources(AskSearch ask) {
    return {std::move(ask), [this](ViewId, size_t) { return there_.load(); }, &metrics_};
  }
  static SearchAnswer Answer(Scores scores, uint64_t ef = 10) {
    SearchAnswer answer;
    answer.scores = std::move(scores);
    answer.plan.ef = ef;
    answer.as_of = 50;
    answer.read_seq = 4;
    return answer;
  }
  double Metric(const std::string& name) const {
    for (const MetricSample& sample : metrics_.Collect()) {
      if (sample.name == name) return sample.value;
    }
    return -1;
  }

  MetricRegistry metrics_;
  std::atomic<bool> there_{true};
  IndexedField index_;
};

TEST_F(RecallSamplerTest, AsksAgainExactlyAtTheSameMoment) {
  std::vector<SearchRequest> asked;
  RecallSampler sampler(1, Sources([&](const SearchRequest& request, const Call&) {
                          asked.push_back(request);
                          return absl::StatusOr<SearchAnswer>(Answer({1, 2, 3, 4}));
                        }));
  SearchRequest request;
  request.top_k = 4;
  request.hydrate = Selection{"model", {}, {}};
  request.group_by = GroupBy{"doc", 2};
  sampler.Offer(index_, request, Answer({1, 2, 3, 9}));
  sampler.Offer(index_, request, Answer({1, 2, 3, 4}));
  sampler.Drain();
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_TRUE(asked[0].exact);
  EXPECT_FALSE(asked[0].hydrate.has_value());
  EXPECT_TRUE(asked[0].group_by.has_value());
  EXPECT_EQ(asked[0].as_of, 50);
  EXPECT_EQ(asked[0].known_at->commit_seq, 4u);
  EXPECT_EQ(sampler.Of(3, 0).recall, .875);
  EXPECT_EQ(sampler.Of(3, 0).samples, 2u);
  EXPECT_EQ(sampler.Of(3, 1).samples, 0u);
  EXPECT_EQ(Metric("fletch_search_recall"), .875);
  EXPECT_EQ(Metric("fletch_search_target_recall"), .9);
  EXPECT_EQ(Metric("fletch_search_recall_samples_total"), 2);
  there_ = false;  // no alarm of an index that is gone
  EXPECT_TRUE(std::isnan(Metric("fletch_search_recall")));
}

TEST_F(RecallSamplerTest, LeavesWhatIsExactAndWhatChoseItsOwnEffort) {
  RecallSampler sampler(1, Sources([&](const SearchRequest&, const Call&) {
                          return absl::StatusOr<SearchAnswer>(Answer({1}));
                        }));
  SearchRequest request;
  sampler.Offer(index_, request, Answer({1}, /*ef=*/0));
  request.ef = 10;
  sampler.Offer(index_, request, Answer({1}));
  request.ef = 0;
  request.target_recall = .5;
  sampler.Offer(index_, request, Answer({1}));
  sampler.Drain();
  EXPECT_EQ(Metric("fletch_search_recall_samples_total"), 0);
  EXPECT_EQ(Metric("fletch_search_recall_dropped_total"), 0);
}

TEST_F(RecallSamplerTest, HoldsTheNewestSamplesAlone) {
  size_t asked = 0;
  RecallSampler sampler(
      1, Sources([&](const SearchRequest&, const Call&) {
        return absl::StatusOr<SearchAnswer>(Answer({++asked <= 10 ? 0.0f : 1.0f}));
      }));
  for (size_t i = 0; i < 10 + limits::kRecallSamplesKept; ++i) {
    sampler.Offer(index_, {}, Answer({1}));
    sampler.Drain();
    if (i == 9) {
      EXPECT_EQ(sampler.Of(3, 0).recall, 0);
    }
  }
  EXPECT_EQ(sampler.Of(3, 0).recall, 1);
  EXPECT_EQ(sampler.Of(3, 0).samples, 10 + limits::kRecallSamplesKept);
}

TEST_F(RecallSamplerTest, DropsWhenTooManyWaitOrTheExactSearchFails) {
  std::atomic<bool> go{false};
  RecallSampler sampler(1, Sources([&](const SearchRequest&, const Call& call) {
                          while (!go && call.Check().ok()) {
                          }
                          return absl::StatusOr<SearchAnswer>(OutOfRange("too many facts"));
                        }));
  for (size_t i = 0; i < limits::kMaxRecallSamples + 5; ++i) {
    sampler.Offer(index_, {}, Answer({1}));
  }
  EXPECT_GE(Metric("fletch_search_recall_dropped_total"), 4);
  go = true;
  sampler.Drain();
  EXPECT_EQ(Metric("fletch_search_recall_dropped_total"),
            static_cast<double>(limits::kMaxRecallSamples + 5));
  EXPECT_EQ(sampler.Of(3, 0).samples, 0u);
}

TEST_F(RecallSamplerTest, EndsAtOnceThoughSomeWait) {
  RecallSampler sampler(1, Sources([&](const SearchRequest&, const Call& call) {
                          while (call.Check().ok()) {
                          }
                          return absl::StatusOr<SearchAnswer>(call.Check());
                        }));
  for (int i = 0; i < 3; ++i) sampler.Offer(index_, {}, Answer({1}));
}

TEST_F(RecallSamplerTest, TakesNothingWithoutAShare) {
  RecallSampler sampler(0, Sources({}));
  sampler.Offer(index_, {}, Answer({1}));
  EXPECT_EQ(sampler.Of(3, 0).samples, 0u);
}

}  // namespace
}  // namespace fletch
