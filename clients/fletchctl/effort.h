// SPDX-License-Identifier: Apache-2.0
// How hard a search looks: what `search` and `audit-recall` share.
#ifndef FLETCH_CLIENTS_FLETCHCTL_EFFORT_H_
#define FLETCH_CLIENTS_FLETCHCTL_EFFORT_H_

#include <CLI/CLI.hpp>
#include <cstdint>

#include "fletch/v1/vector.pb.h"

namespace fletch::ctl {

struct EffortArgs {
  uint64_t ef = 0;
  double target_recall = 0;
  uint64_t rescore = 0;
};

inline void AddEffort(CLI::App& command, EffortArgs& args) {
  command.add_option("--ef", args.ef, "Candidates kept while walking the graph; default: chosen");
  command.add_option(
      "--target-recall", args.target_recall,
      "Share of the exact answer to be found, such as 0.99; default: the index's own");
  command.add_option("--rescore", args.rescore,
                     "Candidates compared again at full precision; default: chosen");
}

inline void PutEffort(const EffortArgs& args, v1::SearchParams& params) {
  params.set_ef(args.ef);
  params.set_target_recall(args.target_recall);
  params.set_rescore(args.rescore);
}

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_EFFORT_H_
