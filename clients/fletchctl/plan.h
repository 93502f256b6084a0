// SPDX-License-Identifier: Apache-2.0
// The plan of an Apply, for people and for programs.
#ifndef FLETCH_CLIENTS_FLETCHCTL_PLAN_H_
#define FLETCH_CLIENTS_FLETCHCTL_PLAN_H_

#include <string>

#include "cells.h"
#include "fletch/v1/registry.pb.h"

namespace fletch::ctl {

std::string PlanText(const v1::ApplyResponse& plan, bool dry_run);
Json PlanJson(const v1::ApplyResponse& plan, bool dry_run);

}  // namespace fletch::ctl

#endif  // FLETCH_CLIENTS_FLETCHCTL_PLAN_H_
