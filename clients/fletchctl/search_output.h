// SPDX-License-Identifier: Apache-2.0
// Hits for people and for programs.
#ifndef FLETCH_CLIENTS_FLETCHCTL_SEARCH_OUTPUT_H_
#define FLETCH_CLIENTS_FLETCHCTL_SEARCH_OUTPUT_H_

#include <string>

#include "cells.h"
#include "fletch/v1/vector.pb.h"

namespace fletch::ctl {

// A table of the hits, a line that counts them, and the plan if there is one.
std::string HitsText(const v1::SearchResponse& answer);
Json HitsJson(const v1::SearchResponse& answer);

// The same of a batch: the hits say which query, from 0, they are of.
std::string HitsText(const v1::BatchSearchResponse& answer);
Json HitsJson(const v1::BatchSearchResponse& answer);

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_SEARCH_OUTPUT_H_
