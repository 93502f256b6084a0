// SPDX-License-Identifier: Apache-2.0
// apply, get, list, delete-object.
#include <iterator>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "command.h"
#include "kinds.h"
#include "plan.h"
#include "records.h"
#include "result.h"
#include "specs.h"
#include "table.h"

namespace fletch::ctl {
namespace {

struct ApplyArgs {
  std::vector<std::string> files = {};
  bool dry_run = false;
  bool allow_breaking = false;
};

constexpr char kKindHelp[] = "project, entity, view, aggregation-view, on-demand-view or service";

struct ObjectArgs {
  std::string kind = {};
  std::string name = {};
};

absl::StatusOr<std::string> ReadAll(const std::string& path) {
  CTL_ASSIGN(InputFile file, InputFile::Open(path));
  return std::string(std::istreambuf_iterator<char>(file.stream()), {});
}

// The project: the flag's and the files' one must agree.
absl::StatusOr<std::string> ProjectOf(const v1::ApplyRequest& request, std::string project) {
  for (const v1::Object& object : request.objects()) {
    if (!object.has_project() || object.project().name() == project) continue;
    if (!project.empty()) {
      return UsageError(absl::StrCat("the specs are of project '", object.project().name(),
                                     "', but '", project,
                                     "' is asked for; one apply is of one project"));
    }
    project = object.project().name();
  }
  if (!project.empty()) return project;
  return UsageError(
      "no project is named; add a `kind: Project` spec, --project NAME or FLETCH_PROJECT");
}

absl::Status Apply(const ApplyArgs& args, const Context& context) {
  v1::ApplyRequest request;
  for (const std::string& path : args.files) {
    CTL_ASSIGN(const std::string text, ReadAll(path));
    CTL_ASSIGN(const std::vector<v1::Object> objects, ParseSpecs(text, path));
    request.mutable_objects()->Add(objects.begin(), objects.end());
  }
  CTL_ASSIGN(*request.mutable_project(), ProjectOf(request, context.project));
  request.set_dry_run(args.dry_run);
  request.set_allow_breaking(args.allow_breaking);
  CTL_ASSIGN(const client::Client client, context.ConnectWithoutProject());
  CTL_ASSIGN(const v1::ApplyResponse plan, client.Apply(request));
  if (context.json) {
    PrintJson(PlanJson(plan, args.dry_run));
  } else {
    Print(PlanText(plan, args.dry_run));
  }
  return absl::OkStatus();
}

// What only the daemon says, as a comment, so that the text can be applied again.
std::string AnswerComment(const v1::GetResponse& response) {
  const v1::Object& object = response.object();
  std::vector<std::string> reads(object.feature_service().resolved_features().begin(),
                                 object.feature_service().resolved_features().end());
  if (object.has_aggregation_view()) reads = {object.aggregation_view().resolved_source()};
  if (object.has_on_demand_feature_view()) {
    const auto& inputs = object.on_demand_feature_view().resolved_inputs();
    reads.assign(inputs.begin(), inputs.end());
  }
  std::string text;
  if (VersionOf(object) != 0) absl::StrAppend(&text, "# version ", VersionOf(object), "\n");
  if (!reads.empty()) absl::StrAppend(&text, "# reads ", absl::StrJoin(reads, ", "), "\n");
  if (response.has_horizon_micros()) {
    absl::StrAppend(&text, "# history is kept from ",
                    client::FormatTimeMicros(response.horizon_micros()), " on\n");
  }
  return text;
}

absl::Status Get(const ObjectArgs& args, const Context& context) {
  v1::GetRequest request;
  CTL_ASSIGN(const v1::ObjectKind kind, ParseKind(args.kind));
  request.set_kind(kind);
  request.set_name(args.name);
  if (kind == v1::PROJECT) request.set_project(args.name);
  CTL_ASSIGN(const client::Client client,
             kind == v1::PROJECT ? context.ConnectWithoutProject() : context.Connect());
  CTL_ASSIGN(const v1::GetResponse response, client.Get(request));
  if (context.json) {
    Json spec = ToSpec(response.object(), /*answers=*/true);
    if (response.has_horizon_micros()) {
      spec["horizon"] = client::FormatTimeMicros(response.horizon_micros());
    }
    PrintJson(spec);
    return absl::OkStatus();
  }
  Print(AnswerComment(response));
  Print(ToYaml(ToSpec(response.object(), /*answers=*/false)));
  return absl::OkStatus();
}

absl::Status List(const std::string& kind, const Context& context) {
  v1::ListRequest request;
  if (!kind.empty()) {
    CTL_ASSIGN(const v1::ObjectKind parsed, ParseKind(kind));
    request.set_kind(parsed);
  }
  const bool any_project = request.kind() == v1::PROJECT;
  CTL_ASSIGN(const client::Client client,
             any_project ? context.ConnectWithoutProject() : context.Connect());
  Json objects = Json::array();
  Table table({"KIND", "NAME", "VERSION", "SUMMARY"});
  do {
    CTL_ASSIGN(const v1::ListResponse page, client.List(request));
    for (const v1::Object& object : page.objects()) {
      const uint64_t version = VersionOf(object);
      table.Add({KindName(KindOf(object)), NameOf(object),
                 version == 0 ? "" : absl::StrCat(version), Summary(object)});
      objects.push_back(ToSpec(object, /*answers=*/true));
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  if (context.json) {
    PrintJson(objects);
  } else {
    Print(table.ToText());
  }
  return absl::OkStatus();
}

absl::Status DeleteObject(const ObjectArgs& args, const Context& context) {
  v1::DeleteObjectRequest request;
  CTL_ASSIGN(const v1::ObjectKind kind, ParseKind(args.kind));
  request.set_kind(kind);
  request.set_name(args.name);
  if (kind == v1::PROJECT) request.set_project(args.name);
  CTL_ASSIGN(const client::Client client,
             kind == v1::PROJECT ? context.ConnectWithoutProject() : context.Connect());
  CTL_ASSIGN(const v1::DeleteObjectResponse response, client.DeleteObject(request));
  if (context.json) {
    PrintJson(
        {{"deleted", args.name}, {"kind", KindName(kind)}, {"revision", response.revision()}});
  } else {
    Print(absl::StrCat("deleted ", KindName(kind), " ", args.name, "; revision ",
                       response.revision(), "\n"));
  }
  return absl::OkStatus();
}

}  // namespace

void AddRegistryCommands(CLI::App& app, Context& context) {
  auto apply_args = std::make_shared<ApplyArgs>();
  CLI::App* apply = app.add_subcommand("apply", "Make the registry hold the specs of YAML files");
  apply->add_option("files", apply_args->files, "YAML files of specs; - is standard input")
      ->required();
  apply->add_flag("--dry-run", apply_args->dry_run, "Only print the plan");
  apply->add_flag("--allow-breaking", apply_args->allow_breaking,
                  "Let a breaking change of a view make a new version");
  AddExample(*apply, "fletchctl apply features.yaml --dry-run");
  apply->callback([&context, apply_args] {
    context.action = [&context, apply_args] { return Apply(*apply_args, context); };
  });

  auto get_args = std::make_shared<ObjectArgs>();
  CLI::App* get = app.add_subcommand("get", "Print an object as a spec");
  get->add_option("kind", get_args->kind, kKindHelp)->required();
  get->add_option("name", get_args->name, "Its name; a view also as view@v2")->required();
  AddExample(*get,
             "fletchctl get view airport_weather\nfletchctl get aggregation-view airport_delays");
  get->callback([&context, get_args] {
    context.action = [&context, get_args] { return Get(*get_args, context); };
  });

  auto list_kind = std::make_shared<std::string>();
  CLI::App* list = app.add_subcommand("list", "List objects");
  list->add_option("kind", *list_kind, absl::StrCat(kKindHelp, "; default all"));
  AddExample(*list, "fletchctl list view");
  list->callback([&context, list_kind] {
    context.action = [&context, list_kind] { return List(*list_kind, context); };
  });

  auto delete_args = std::make_shared<ObjectArgs>();
  CLI::App* remove = app.add_subcommand(
      "delete-object", "Remove an object from the registry (a view: with all its facts)");
  remove->add_option("kind", delete_args->kind, kKindHelp)->required();
  remove->add_option("name", delete_args->name, "Its name")->required();
  AddExample(*remove, "fletchctl delete-object service delay_model");
  remove->callback([&context, delete_args] {
    context.action = [&context, delete_args] { return DeleteObject(*delete_args, context); };
  });
}

}  // namespace fletch::ctl
