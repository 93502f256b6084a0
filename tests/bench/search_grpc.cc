// SPDX-License-Identifier: Apache-2.0
// P5: search through gRPC, the daemon's CPU a query against hnswlib's in process at equal recall.
#include <cstdio>

#include "load.h"
#include "processes.h"
#include "reference_hnswlib.h"
#include "report.h"
#include "vector_client.h"
#include "vector_set.h"

namespace fletch::bench {
namespace {

constexpr size_t kTopK = 10;

class GrpcBench {
 public:
  GrpcBench(const Options& options, VectorSet set)
      : options_(options),
        set_(std::move(set)),
        truth_(NearestRows(set_.rows, set_.queries, kTopK)),
        daemon_(FletchdCommand(options.fletchd, folder_.path()), folder_.path() + "/port"),
        client_(daemon_, set_.rows.dimension),
        reference_(set_.rows.dimension, set_.rows.count()) {
    client_.Declare();
    client_.WriteAll(set_.rows);
    for (size_t i = 0; i < set_.rows.count(); ++i)
      reference_.Add(set_.rows.row(i), static_cast<uint32_t>(i));
    client_.Settle();
  }

  void Report(double wanted) {
    const size_t ef = LeastEf(wanted, kTopK, [&](size_t e) { return OurRecall(e); });
    const size_t reference_ef =
        LeastEf(wanted, kTopK, [&](size_t e) { return Recall(truth_, Reference(e)); });
    Load load{kSearchMethod, client_.Serialised(set_.queries, WithEf(ef)), 4,
              options_.quick ? 0.2 : 3.0};
    std::vector<double> ratios, cpu, reference_cpu, qps, p50, p99, p999;
    for (int i = 0; i < options_.repeats; ++i) {
      const LoadResult ours = RunLoad(daemon_, load);
      const double micros = ThreadCpuSeconds([&] { Reference(reference_ef); }) * 1e6 /
                            static_cast<double>(set_.queries.count());
      ratios.push_back(micros / ours.server_cpu_micros);
      cpu.push_back(ours.server_cpu_micros);
      reference_cpu.push_back(micros);
      qps.push_back(ours.qps);
      p50.push_back(ours.p50_micros);
      p99.push_back(ours.p99_micros);
      p999.push_back(ours.p999_micros);
    }
    char at[48];
    std::snprintf(at, sizeof at, " at recall@10 %.2f, ", wanted);
    Result("P5", "hnswlib's CPU a query in process / the daemon's through gRPC" + (at + set_.name),
           ratios)
        .AtLeast(1.0)
        .Detail("cpu_us", cpu)
        .Detail("hnswlib_cpu_us", reference_cpu)
        .Detail("recall", {OurRecall(ef)})
        .Detail("hnswlib_recall", {Recall(truth_, Reference(reference_ef))})
        .Detail("ef", {static_cast<double>(ef)})
        .Detail("hnswlib_ef", {static_cast<double>(reference_ef)})
        .Detail("qps_4_in_flight", qps)
        .Detail("p50_us", p50)
        .Detail("p99_us", p99)
        .Detail("p999_us", p999)
        .Print();
  }

 private:
  static std::function<void(size_t, v1::SearchRequest*)> WithEf(size_t ef) {
    return [ef](size_t, v1::SearchRequest* request) { request->mutable_params()->set_ef(ef); };
  }
  double OurRecall(size_t ef) {
    return Recall(truth_, client_.SearchAll(set_.queries, WithEf(ef)));
  }
  Neighbours Reference(size_t ef) {
    Neighbours found;
    for (size_t q = 0; q < set_.queries.count(); ++q)
      found.push_back(reference_.Search(set_.queries.row(q), kTopK, ef));
    return found;
  }

  const Options& options_;
  const VectorSet set_;
  const Neighbours truth_;
  const TempFolder folder_;
  const Server daemon_;
  VectorClient client_;
  ReferenceHnsw reference_;
};

}  // namespace

int RunP5(const Options& options) {
  std::vector<std::string> names = {"glove100", "minilm384", "random128"};
  if (options.quick) names = {"made"};
  if (!options.set.empty()) names = {options.set};
  for (const std::string& name : names) {
    auto set = LoadSet(options, name, 350'000, 1000);
    if (!set) return 1;
    GrpcBench bench(options, *std::move(set));
    for (double wanted : options.quick ? std::vector{0.95} : std::vector{0.90, 0.95, 0.98, 0.99})
      bench.Report(wanted);
  }
  return 0;
}

}  // namespace fletch::bench
