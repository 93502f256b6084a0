// SPDX-License-Identifier: Apache-2.0
// An engine with rows, windows and expressions to make training sets of.
#ifndef FLETCH_SERVER_ENGINE_TRAINING_SET_WORLD_TESTING_H_
#define FLETCH_SERVER_ENGINE_TRAINING_SET_WORLD_TESTING_H_

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "server/engine/engine_world_testing.h"
#include "server/engine/training_set_digest.h"

namespace fletch {

class TrainingSetWorld : public EngineWorld {
 protected:
  static constexpr int64_t kUsers = 40;

  void ApplyAll(const std::string& more = "") {
    ApplyView(more);
    Apply(
        "objects { aggregation_view { name: 'sums' source: 'v'"
        " aggregations { name: 'n' function: COUNT window { seconds: 500 } }"
        " aggregations { name: 'c_mean' column: 'c' function: MEAN window { seconds: 300 } } } }"
        "objects { on_demand_feature_view { name: 'od' inputs: 'v' inputs: 'sums'"
        " request { name: 'hour' type: INT64 }"
        " fields { name: 'late' type: INT64 sql: 'a + hour * n' } } }");
  }

  static HistoricalHeader Header(std::vector<std::string> features) {
    HistoricalHeader header;
    header.project = "p";
    header.selection.features = std::move(features);
    return header;
  }
  // Every kind of column, and one view in two roles.
  static HistoricalHeader EveryKind() {
    HistoricalHeader header =
        Header({"v:a", "v:b", "friend:c", "sums:n", "sums:c_mean", "od:late"});
    header.selection.bindings = {{"friend", "v", {{"user", "friend"}}}};
    return header;
  }

  static SpineBatch Spine(std::vector<int64_t> users, std::vector<int64_t> timestamps) {
    SpineBatch batch;
    batch.row_count = users.size();
    batch.keys = {{"user", Ints(std::move(users))}};
    batch.timestamps = std::move(timestamps);
    return batch;
  }
  // For EveryKind: random rows of [kNow - 2000 s, kNow].
  static SpineBatch RandomSpine(size_t rows, std::mt19937_64* random) {
    std::vector<int64_t> users, friends, times, hours;
    for (size_t i = 0; i < rows; ++i) {
      users.push_back(static_cast<int64_t>((*random)() % kUsers));
      friends.push_back(static_cast<int64_t>((*random)() % kUsers));
      times.push_back(kNow - static_cast<int64_t>((*random)() % 2000) * kSecond);
      hours.push_back(static_cast<int64_t>((*random)() % 24));
    }
    SpineBatch batch = Spine(users, times);
    batch.keys.push_back({"friend", Ints(friends)});
    batch.request_context = {{"hour", Ints(hours)}};
    return batch;
  }

  // `rows` random facts in one commit, deletions and retractions of single rows after it.
  void WriteRandomly(size_t rows, std::mt19937_64* random, int64_t spread_seconds = 3000) {
    std::map<std::tuple<int64_t, int64_t, int64_t>, int64_t> identities;
    while (identities.size() < rows) {
      identities[{static_cast<int64_t>((*random)() % kUsers),
                  kNow - static_cast<int64_t>((*random)() % spread_seconds) * kSecond,
                  static_cast<int64_t>((*random)() % 3)}] = static_cast<int64_t>((*random)() % 999);
    }
    std::vector<int64_t> users, events, as, times;
    Column cs{.type = {ValueType::kDouble}, .row_count = rows};
    Column bs{.type = {ValueType::kString}, .row_count = rows};
    for (const auto& [identity, a] : identities) {
      users.push_back(std::get<0>(identity));
      times.push_back(std::get<1>(identity));
      events.push_back(std::get<2>(identity));
      as.push_back(a);
      cs.doubles.push_back(a == 5 ? 0 : 0.1 * static_cast<double>(a));
      if (a == 5) cs.null_rows.push_back(cs.doubles.size() - 1);
      bs.strings.push_back(std::to_string(a));
    }
    auto written = StartWrite({RowBatch{"v",
                                        rows,
                                        {{"user", Ints(users)},
                                         {"event", Ints(events)},
                                         {"a", Ints(as)},
                                         {"b", bs},
                                         {"c", cs}},
                                        times,
                                        false}})
                       .get();
    ASSERT_TRUE(written.ok()) << written.status();
    ASSERT_TRUE(StartKeyed(FactForm::kTombstone, users[0], times[0]).get().ok());
    const size_t last = rows - 1;
    ASSERT_TRUE(
        StartKeyed(FactForm::kRetraction, users[last], times[last], events[last]).get().ok());
  }

  absl::StatusOr<v1::TrainingSet> Create(const std::string& name, const HistoricalHeader& header,
                                         const std::vector<SpineBatch>& batches) {
    ASSIGN_OR_RETURN(const auto writer, engine_->CreateTrainingSet(name, "why", header, Call{}));
    for (const SpineBatch& batch : batches) RETURN_IF_ERROR(writer->Add(batch, Call{}).status());
    return writer->Finish(Call{});
  }

  absl::StatusOr<TrainingSetBatch> GetBatch(const std::string& name, uint64_t batch,
                                            bool describe_only = false) {
    v1::GetTrainingSetRequest request;
    request.set_project("p");
    request.set_name(name);
    request.set_batch(batch);
    request.set_include_event_timestamps(true);
    request.set_describe_only(describe_only);
    return engine_->GetTrainingSet(request, Call{});
  }
  v1::TrainingSet Describe(const std::string& name) {
    auto batch = GetBatch(name, 0, /*describe_only=*/true);
    EXPECT_TRUE(batch.ok()) << batch.status();
    return batch.ok() ? batch->info : v1::TrainingSet();
  }
  // Every bit of every batch, a digest each.
  std::vector<std::string> Bytes(const std::string& name) {
    std::vector<std::string> bytes;
    const v1::TrainingSet info = Describe(name);
    for (uint64_t i = 0; i < info.batch_count(); ++i) {
      auto batch = GetBatch(name, i);
      EXPECT_TRUE(batch.ok()) << batch.status();
      if (!batch.ok()) return {};
      TrainingSetDigest digest(*batch->plan);
      digest.Add(batch->spine, batch->columns);
      bytes.push_back(digest.Finish());
    }
    return bytes;
  }
  absl::StatusOr<v1::VerifyTrainingSetResponse> Verify(const std::string& name) {
    v1::VerifyTrainingSetRequest request;
    request.set_project("p");
    request.set_name(name);
    return engine_->VerifyTrainingSet(request, Call{});
  }
  void ExpectSame(const std::string& name) {
    auto verified = Verify(name);
    ASSERT_TRUE(verified.ok()) << verified.status();
    EXPECT_TRUE(verified->same()) << verified->reason();
  }
  absl::Status DeleteSet(const std::string& name) {
    v1::DeleteTrainingSetRequest request;
    request.set_project("p");
    request.set_name(name);
    return engine_->DeleteTrainingSet(request);
  }
  v1::CompactResponse Compact() {
    auto compacted = engine_->Compact(v1::CompactRequest(), Call{});
    EXPECT_TRUE(compacted.ok()) << compacted.status();
    return compacted.ok() ? *compacted : v1::CompactResponse();
  }
  v1::GetLineageResponse LineageOf(v1::ObjectKind kind, const std::string& name) {
    v1::GetLineageRequest request;
    request.set_project("p");
    request.set_kind(kind);
    request.set_name(name);
    auto lineage = engine_->GetLineage(request);
    EXPECT_TRUE(lineage.ok()) << lineage.status();
    return lineage.ok() ? *lineage : v1::GetLineageResponse();
  }
  // The one value of a counter.
  double Metric(const std::string& name) const {
    for (const MetricSample& sample : metrics_->Collect()) {
      if (sample.name == name) return sample.value;
    }
    return -1;
  }
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_TRAINING_SET_WORLD_TESTING_H_
