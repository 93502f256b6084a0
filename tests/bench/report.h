// SPDX-License-Identifier: Apache-2.0
// What a bar's measurement comes to: ratios of alternating repeats, one JSON line a result.
#ifndef FLETCH_TESTS_BENCH_REPORT_H_
#define FLETCH_TESTS_BENCH_REPORT_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fletch::bench {

struct Options {
  bool quick = false;   // all of a bar within 15 s; else minutes
  int repeats = 5;      // alternating, ours and the reference
  std::string fletchd;  // the daemon's binary
  std::string python;   // with duckdb, pyarrow and the fletch package (p10)
  std::string vectors;  // the folder of get_vectors.py
  std::string set;      // the vector set of the bars that take one; empty: each bar's own
};

double Median(std::vector<double> values);

// One result. value is the median of the repeats' ratios.
class Result {
 public:
  Result(std::string bar, std::string what, std::vector<double> ratios);
  Result& AtLeast(double bound);
  Result& AtMost(double bound);
  // A figure beside it: its median and, of more than one, the least and greatest.
  Result& Detail(const std::string& name, const std::vector<double>& values);
  Result& Note(const std::string& name, const std::string& text);
  // Of value; "ratio" unless said.
  Result& Unit(const std::string& unit);
  // One line on standard output:
  // {"bar":"P1","what":…,"value":…,"unit":"ratio","at_least":…,"holds":…,"detail":{…}}
  void Print() const;

 private:
  const std::string bar_;
  const std::string what_;
  const std::vector<double> ratios_;
  std::string unit_ = "ratio";
  std::optional<double> at_least_;
  std::optional<double> at_most_;
  std::vector<std::pair<std::string, std::string>> detail_;  // name -> JSON
};

// The bars. Each prints its results and returns 0, or says on standard error why it could not run
// and returns 1.
int RunP1(const Options& options);
int RunP2(const Options& options);
int RunP4(const Options& options);
int RunP5(const Options& options);
int RunP6(const Options& options);
int RunP7(const Options& options);
int RunP8(const Options& options);
int RunP10(const Options& options);
int RunP12(const Options& options);
int RunP14(const Options& options);
int RunP15(const Options& options);
int RunChurn(const Options& options);
int RunRestart(const Options& options);
int RunScale(const Options& options);

// Takes an ef a line from standard input, answers recall and queries a CPU second of options.set.
int RunSearchLane(const Options& options);

// The echo server's main: answers GetOnlineFeatures with the bytes of `reply_file`; its address
// goes to `port_file`.
int RunEchoServer(const std::string& reply_file, const std::string& port_file);

}  // namespace fletch::bench

#endif  // FLETCH_TESTS_BENCH_REPORT_H_
