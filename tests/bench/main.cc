// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "processes.h"
#include "report.h"

namespace {

using fletch::bench::Options;

struct Bar {
  const char* name;
  const char* what;
  int (*run)(const Options&);
};

constexpr Bar kBars[] = {
    {"p1", "online, 1 key x 10 doubles, against an echo server", fletch::bench::RunP1},
    {"p2", "online, 100 keys x 50 fields of 5 views, against an echo server", fletch::bench::RunP2},
    {"p4", "search in process, one thread, against hnswlib at equal recall", fletch::bench::RunP4},
    {"p5", "search through gRPC, CPU a query, against hnswlib in process", fletch::bench::RunP5},
    {"p6", "filtered search by selectivity, against scans and the unfiltered search",
     fletch::bench::RunP6},
    {"p7", "search while 1,000 vectors a second arrive, against itself idle", fletch::bench::RunP7},
    {"p8", "memory a vector, against hnswlib", fletch::bench::RunP8},
    {"p10", "training join, against DuckDB's ASOF join", fletch::bench::RunP10},
    {"p12", "building a graph, against hnswlib", fletch::bench::RunP12},
    {"p14", "windows, training against DuckDB and online as they grow", fletch::bench::RunP14},
    {"p15", "half of the vectors replaced while searching", fletch::bench::RunP15},
    {"churn", "rounds of replaced vectors, then half deleted, against a fresh build",
     fletch::bench::RunChurn},
    {"restart", "kill -9 and damaged index files: time to ready and the first search (p9)",
     fletch::bench::RunRestart},
    {"scale", "a million vectors: time to build, memory, QPS", fletch::bench::RunScale},
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Measures Fletch's bars (docs/performance.md), each against its reference in the same run. "
      "One JSON line a result."};
  Options options;
  options.fletchd =
      (std::filesystem::path(fletch::bench::SelfPath()).parent_path() / "fletchd").string();
  options.python = "python3";
  app.add_flag("--quick", options.quick,
               "smaller data and shorter runs: all bars in some two minutes");
  app.add_option("--repeats", options.repeats, "alternating repeats")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--fletchd", options.fletchd, "the daemon's binary")->capture_default_str();
  app.add_option("--python", options.python,
                 "a Python with duckdb, pyarrow and fletch, for p10 and p14")
      ->envname("FLETCH_BENCH_PYTHON")
      ->capture_default_str();
  options.vectors = "/tmp/vectors";
  app.add_option("--vectors", options.vectors, "the folder of get_vectors.py")
      ->envname("FLETCH_BENCH_VECTORS")
      ->capture_default_str();
  app.add_option("--set", options.set, "only this set, for bars over vectors; default: each bar's");
  app.require_subcommand(1);
  app.fallthrough();
  int code = 0;
  for (const Bar& bar : kBars) {
    app.add_subcommand(bar.name, bar.what)->callback([&] {
      fletch::bench::RaiseAutogroup();
      code = bar.run(options);
    });
  }
  app.add_subcommand("all", "every bar")->callback([&] {
    fletch::bench::RaiseAutogroup();
    for (const Bar& bar : kBars) code |= bar.run(options);
  });
  app.add_subcommand("search-lane", "our search of --set in process (started by libraries.py)")
      ->callback([&] { code = fletch::bench::RunSearchLane(options); });
  std::string reply, port_file;
  CLI::App* echo =
      app.add_subcommand("echo-server", "the reference of p1 and p2 (started by them)");
  echo->add_option("--reply", reply)->required();
  echo->add_option("--port-file", port_file)->required();
  echo->callback([&] { code = fletch::bench::RunEchoServer(reply, port_file); });
  CLI11_PARSE(app, argc, argv);
  return code;
}
