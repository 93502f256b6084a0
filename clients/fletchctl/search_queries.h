// SPDX-License-Identifier: Apache-2.0
// The queries of a batch search, from a file.
#ifndef FLETCH_CLIENTS_FLETCHCTL_SEARCH_QUERIES_H_
#define FLETCH_CLIENTS_FLETCHCTL_SEARCH_QUERIES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cells.h"
#include "fletch/v1/vector.pb.h"
#include "schema.h"

namespace fletch::ctl {

// A list of numbers: "0.1,0.2" or "[0.1, 0.2]". INVALID_ARGUMENT (a usage error) otherwise.
absl::StatusOr<Json> ParseVector(std::string text);

// Adds the rows of a CSV or JSON-lines file ("-": standard input) to `request`: a row a query, its
// columns the join keys, or one column `vector`. Errors are usage errors that name the file and the
// line.
absl::Status ReadQueries(const std::string& path, const std::string& format, const KeyTypes& keys,
                         v1::BatchSearchRequest& request);

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_SEARCH_QUERIES_H_
