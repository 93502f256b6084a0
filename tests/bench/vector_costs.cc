// SPDX-License-Identifier: Apache-2.0
// P8: resident bytes a vector, from the process. P12: how fast a graph is built.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <utility>

#include "index/vector_index.h"
#include "processes.h"
#include "reference_hnswlib.h"
#include "report.h"
#include "vector_client.h"
#include "vector_set.h"

namespace fletch::bench {
namespace {

// hnswlib's anonymous bytes a vector, floats and all.
double ReferenceBytes(const VectorRows& rows) {
  const double before = MemoryOfProcess(getpid(), "//").anonymous;
  ReferenceHnsw reference(rows.dimension, rows.count());
  for (size_t i = 0; i < rows.count(); ++i) reference.Add(rows.row(i), static_cast<uint32_t>(i));
  return (MemoryOfProcess(getpid(), "//").anonymous - before) / static_cast<double>(rows.count());
}

struct Seen {
  Memory memory;
  double recall = 0;
  v1::DescribeIndexResponse index;
  double online_bytes = 0;
};

// A daemon that was started on what is there, searched, and looked at.
Seen Look(const std::vector<std::string>& command, const TempFolder& folder, const VectorSet& set,
          const Neighbours& truth) {
  const Server daemon(command, folder.path() + "/port");
  VectorClient client(daemon, set.rows.dimension);
  client.Settle();
  Seen seen;
  seen.recall = Recall(truth, client.SearchAll(set.queries));
  seen.memory = daemon.MemoryOf(folder.path());
  seen.index = client.Describe();
  seen.online_bytes = static_cast<double>(client.Status().online_bytes());
  return seen;
}

// Anonymous bytes of a daemon that holds none.
double EmptyBytes(const Options& options, const VectorSet& set) {
  const TempFolder folder;
  const Server daemon(FletchdCommand(options.fletchd, folder.path()), folder.path() + "/port");
  VectorClient client(daemon, set.rows.dimension);
  client.Declare();
  client.SearchAll(set.queries);
  return daemon.MemoryOf(folder.path()).anonymous;
}

// The store's caches are bounded, whatever there is to keep: the figure is of a daemon with a small
// one, beside that of default settings.
void ReportMemory(const Options& options, const VectorSet& set) {
  const double count = static_cast<double>(set.rows.count());
  const Neighbours truth = NearestRows(set.rows, set.queries, 10);
  const TempFolder folder;
  auto command = FletchdCommand(options.fletchd, folder.path());
  double built = 0;
  {
    const Server daemon(command, folder.path() + "/port");
    VectorClient client(daemon, set.rows.dimension);
    client.Declare();
    client.WriteAll(set.rows);
    client.Settle();
    client.AwaitFile();
    client.Compact();
    built = daemon.MemoryOf(folder.path()).anonymous;
  }
  const Seen by_default = Look(command, folder, set, truth);
  command.insert(command.end(), {"--block-cache", "1MiB"});
  const Seen seen = Look(command, folder, set, truth);
  const double base = EmptyBytes(options, set);
  // A mapped graph is counted whole, resident or not; mapped full-precision rows are not.
  const double graph = std::min(static_cast<double>(seen.index.graph_bytes()), seen.memory.mapped);
  const double bytes = (seen.memory.anonymous - base + graph) / count;
  const double reference = ReferenceBytes(set.rows);
  Result("P8", "bytes a vector / hnswlib's, " + set.name, {bytes / reference})
      .AtMost(0.33)
      .Detail("bytes", {bytes})
      .Detail("hnswlib_bytes", {reference})
      .Detail("anonymous_bytes", {(seen.memory.anonymous - base) / count})
      .Detail("anonymous_bytes_default_cache", {(by_default.memory.anonymous - base) / count})
      .Detail("anonymous_bytes_before_restart", {(built - base) / count})
      .Detail("mapped_graph_bytes", {graph / count})
      .Detail("mapped_resident_bytes", {seen.memory.mapped / count})
      .Detail("full_precision_bytes", {static_cast<double>(seen.index.vector_bytes()) / count})
      .Detail("described_other_bytes", {static_cast<double>(seen.index.other_bytes()) / count})
      .Detail("online_table_bytes", {seen.online_bytes / count})
      .Detail("recall", {seen.recall})
      .Note("encoding", seen.index.encoding())
      .Print();
}

double ProcessCpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// All rows into one graph, as the daemon does it.
double OurBuildSeconds(const VectorRows& rows) {
  VectorIndex index({.metric = VectorMetric::kDot, .dimension = rows.dimension});
  for (size_t i = 0; i < rows.count(); ++i) index.Add({rows.row(i), rows.dimension});
  const double begin = ProcessCpuSeconds();
  const absl::Status built =
      index.ExtendGraph([](RowId) { return true; }, [] { return false; }, [](double) {});
  if (!built.ok()) std::abort();
  return ProcessCpuSeconds() - begin;
}

double ReferenceBuildSeconds(const VectorRows& rows) {
  ReferenceHnsw reference(rows.dimension, rows.count());
  const double begin = ProcessCpuSeconds();
  for (size_t i = 0; i < rows.count(); ++i) reference.Add(rows.row(i), static_cast<uint32_t>(i));
  return ProcessCpuSeconds() - begin;
}

}  // namespace

int RunP8(const Options& options) {
  std::vector<std::pair<std::string, size_t>> sets = {{"glove100", 340'000},
                                                      {"minilm384", 100'000}};
  if (!options.set.empty()) sets = {{options.set, 350'000}};
  if (options.quick) sets = {{"made", 10'000}};
  for (const auto& [name, rows] : sets) {
    auto set = LoadSet(options, name, rows, 1000);
    if (!set) return 1;
    ReportMemory(options, *set);
  }
  return 0;
}

int RunP12(const Options& options) {
  std::vector<std::string> names = {"glove100", "minilm384"};
  if (options.quick) names = {"made"};
  if (!options.set.empty()) names = {options.set};
  for (const std::string& name : names) {
    auto set = LoadSet(options, name, 50'000, 1, 5'000);
    if (!set) return 1;
    const double count = static_cast<double>(set->rows.count());
    std::vector<double> ratios, rate, reference_rate;
    for (int i = 0; i < options.repeats; ++i) {
      const double ours = OurBuildSeconds(set->rows), reference = ReferenceBuildSeconds(set->rows);
      ratios.push_back(reference / ours);
      rate.push_back(count / ours);
      reference_rate.push_back(count / reference);
    }
    Result("P12", "vectors built into a graph a CPU second / hnswlib's, one thread, " + set->name,
           ratios)
        .AtLeast(0.9)
        .Detail("vectors_per_cpu_s", rate)
        .Detail("hnswlib_vectors_per_cpu_s", reference_rate)
        .Print();
  }
  return 0;
}

}  // namespace fletch::bench
