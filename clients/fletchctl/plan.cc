// SPDX-License-Identifier: Apache-2.0
#include "plan.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "kinds.h"

namespace fletch::ctl {
namespace {

void AppendAffected(absl::string_view what,
                    const google::protobuf::RepeatedPtrField<std::string>& names,
                    std::string& text) {
  if (names.empty()) return;
  absl::StrAppend(&text, std::string(11, ' '), what,
                  " that keep the older version: ", absl::StrJoin(names, ", "), "\n");
}

}  // namespace

std::string PlanText(const v1::ApplyResponse& plan, bool dry_run) {
  std::string text;
  int changes = 0;
  for (const v1::PlannedChange& change : plan.changes()) {
    changes += change.change() == v1::UNCHANGED ? 0 : 1;
    absl::StrAppend(&text, absl::StrFormat("%-10s", v1::ChangeKind_Name(change.change())), " ",
                    KindName(change.kind()), " ", change.name());
    if (change.version() != 0) absl::StrAppend(&text, " (version ", change.version(), ")");
    text += "\n";
    for (const std::string& detail : change.details()) {
      absl::StrAppend(&text, std::string(11, ' '), detail, "\n");
    }
    AppendAffected("services", change.affected_services(), text);
    AppendAffected("training sets", change.affected_training_sets(), text);
  }
  absl::StrAppend(&text, changes, " of ", plan.changes_size(), " objects ",
                  dry_run ? "would change; nothing was changed (--dry-run)" : "changed",
                  "; revision ", plan.revision(), "\n");
  return text;
}

Json PlanJson(const v1::ApplyResponse& plan, bool dry_run) {
  Json changes = Json::array();
  for (const v1::PlannedChange& change : plan.changes()) {
    Json line = {{"kind", KindName(change.kind())},
                 {"name", change.name()},
                 {"change", v1::ChangeKind_Name(change.change())}};
    if (change.version() != 0) line["version"] = change.version();
    line["details"] = Json(change.details());
    if (change.affected_services_size() > 0) {
      line["affected_services"] = Json(change.affected_services());
    }
    if (change.affected_training_sets_size() > 0) {
      line["affected_training_sets"] = Json(change.affected_training_sets());
    }
    changes.push_back(line);
  }
  return {{"changes", changes}, {"revision", plan.revision()}, {"dry_run", dry_run}};
}

}  // namespace fletch::ctl
