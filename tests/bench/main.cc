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
    {"p10", "training join, against DuckDB's ASOF join", fletch::bench::RunP10},
    {"p14", "windows, training against DuckDB and online as they grow", fletch::bench::RunP14},
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
  app.add_flag("--quick", options.quick, "smaller data and shorter runs: all bars within 60 s");
  app.add_option("--repeats", options.repeats, "alternating repeats")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--fletchd", options.fletchd, "the daemon's binary")->capture_default_str();
  app.add_option("--python", options.python,
                 "a Python with duckdb, pyarrow and fletch, for p10 and p14")
      ->envname("FLETCH_BENCH_PYTHON")
      ->capture_default_str();
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
  std::string reply, port_file;
  CLI::App* echo =
      app.add_subcommand("echo-server", "the reference of p1 and p2 (started by them)");
  echo->add_option("--reply", reply)->required();
  echo->add_option("--port-file", port_file)->required();
  echo->callback([&] { code = fletch::bench::RunEchoServer(reply, port_file); });
  CLI11_PARSE(app, argc, argv);
  return code;
}
