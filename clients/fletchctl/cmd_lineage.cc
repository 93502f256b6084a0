// SPDX-License-Identifier: Apache-2.0
// lineage.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "command.h"
#include "kinds.h"
#include "result.h"
#include "table.h"

namespace fletch::ctl {
namespace {

struct LineageArgs {
  std::string kind_or_name = {};
  std::string name = {};
};

using Items = google::protobuf::RepeatedPtrField<v1::LineageItem>;

// The kinds of the objects that have this name ("name" or "name@v2").
absl::StatusOr<std::vector<v1::ObjectKind>> KindsNamed(const client::Client& client,
                                                       const std::string& name) {
  const std::string bare = name.substr(0, name.find('@'));
  std::vector<v1::ObjectKind> kinds;
  v1::ListRequest request;
  request.set_page_size(1000);
  do {
    CTL_ASSIGN(const v1::ListResponse page, client.List(request));
    for (const v1::Object& object : page.objects()) {
      const v1::ObjectKind kind = KindOf(object);
      if (kind == v1::PROJECT || NameOf(object) != bare) continue;
      if (kinds.empty() || kinds.back() != kind) kinds.push_back(kind);  // a kind's versions: once
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  v1::GetTrainingSetRequest set;
  set.set_name(name);
  set.set_describe_only(true);
  const absl::Status status = client.GetTrainingSet(set).status();
  if (status.ok()) kinds.push_back(v1::TRAINING_SET);
  // "view@v2" is no training set's name at all.
  if (status.ok() || absl::IsNotFound(status) || absl::IsInvalidArgument(status)) return kinds;
  return status;
}

absl::StatusOr<v1::GetLineageRequest> ToRequest(const LineageArgs& args,
                                                const client::Client& client) {
  v1::GetLineageRequest request;
  if (!args.name.empty()) {
    CTL_ASSIGN(const v1::ObjectKind kind, ParseKind(args.kind_or_name, true));
    request.set_kind(kind);
    request.set_name(args.name);
    return request;
  }
  const std::string& name = args.kind_or_name;
  CTL_ASSIGN(const std::vector<v1::ObjectKind> kinds, KindsNamed(client, name));
  if (kinds.empty()) {
    return WithAdvice(absl::NotFoundError(absl::StrCat("nothing is named '", name, "'")),
                      "`fletchctl list` and `fletchctl training-set list` show what there is");
  }
  if (kinds.size() > 1) {
    return UsageError(
        absl::StrCat("'", name, "' is the name of several; say which: ",
                     absl::StrJoin(kinds, ", ", [&](std::string* out, v1::ObjectKind kind) {
                       absl::StrAppend(out, "fletchctl lineage ", KindName(kind), " ", name);
                     })));
  }
  request.set_kind(kinds[0]);
  request.set_name(name);
  return request;
}

Json ItemJson(const v1::LineageItem& item) {
  Json json = {{"kind", KindName(item.kind())}, {"name", item.name()}};
  if (item.version() != 0) json["version"] = item.version();
  if (item.kind() == v1::TRAINING_SET) json["read_seq"] = item.read_seq();
  return json;
}

Json ItemsJson(const Items& items) {
  Json list = Json::array();
  for (const v1::LineageItem& item : items) {
    list.push_back(ItemJson(item));
    list.back()["direct"] = item.direct();
  }
  return list;
}

// The direct ones first, else in the daemon's order.
void AddItems(Items items, const char* direct, const char* indirect, Table& table) {
  std::stable_partition(items.begin(), items.end(),
                        [](const v1::LineageItem& item) { return item.direct(); });
  for (const v1::LineageItem& item : items) {
    table.Add({item.direct() ? direct : indirect, KindName(item.kind()), item.name(),
               item.version() == 0 ? "" : absl::StrCat(item.version()),
               item.kind() == v1::TRAINING_SET ? absl::StrCat(item.read_seq()) : ""});
  }
}

std::string Text(const v1::GetLineageResponse& lineage) {
  std::string text = absl::StrCat(KindName(lineage.object().kind()), " ", lineage.object().name());
  if (lineage.object().version() != 0) {
    absl::StrAppend(&text, " (version ", lineage.object().version(), ")");
  }
  if (lineage.last_commit_seq() != 0) {
    absl::StrAppend(&text, ", facts of commits ", lineage.first_commit_seq(), " to ",
                    lineage.last_commit_seq());
  }
  if (lineage.upstream().empty() && lineage.downstream().empty()) {
    return absl::StrCat(text, ": reads nothing and is read by nothing\n");
  }
  Table table({"RELATION", "KIND", "NAME", "VERSION", "AT COMMIT"});
  AddItems(lineage.upstream(), "reads", "reads through others", table);
  AddItems(lineage.downstream(), "is read by", "is read through others", table);
  return absl::StrCat(text, "\n", table.ToText());
}

absl::Status Lineage(const LineageArgs& args, const Context& context) {
  CTL_ASSIGN(const client::Client client, context.Connect());
  CTL_ASSIGN(const v1::GetLineageRequest request, ToRequest(args, client));
  CTL_ASSIGN(const v1::GetLineageResponse lineage, client.GetLineage(request));
  if (!context.json) {
    Print(Text(lineage));
    return absl::OkStatus();
  }
  Json document = {{"object", ItemJson(lineage.object())},
                   {"upstream", ItemsJson(lineage.upstream())},
                   {"downstream", ItemsJson(lineage.downstream())}};
  if (lineage.last_commit_seq() != 0) {
    document["first_commit_seq"] = lineage.first_commit_seq();
    document["last_commit_seq"] = lineage.last_commit_seq();
  }
  PrintJson(document);
  return absl::OkStatus();
}

}  // namespace

void AddLineageCommand(CLI::App& app, Context& context) {
  auto args = std::make_shared<LineageArgs>();
  CLI::App* lineage = app.add_subcommand("lineage", "What an object is made of and what reads it");
  lineage
      ->add_option(
          "kind", args->kind_or_name,
          "entity, view, aggregation-view, on-demand-view, service or training-set; or the "
          "name alone, when only one object has it")
      ->required();
  lineage->add_option("name", args->name, "Its name; a view also as view@v2");
  AddExample(*lineage,
             "fletchctl lineage departures\nfletchctl lineage training-set delays-2001q1");
  lineage->callback(
      [&context, args] { context.action = [&context, args] { return Lineage(*args, context); }; });
}

}  // namespace fletch::ctl
