// SPDX-License-Identifier: Apache-2.0
// search.
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "command.h"
#include "effort.h"
#include "filter.h"
#include "records.h"
#include "result.h"
#include "search_output.h"
#include "search_queries.h"

namespace fletch::ctl {
namespace {

struct SearchArgs {
  std::string index = {};
  std::vector<std::string> keys = {};
  std::string vector = {};
  uint64_t top_k = 10;
  bool include_self = false;
  SelectionArgs selection = {};
  std::vector<std::string> request_context = {};
  MomentArgs moment = {};
  std::string filter = {};
  std::optional<float> threshold = {};
  std::string group_by = {};
  uint64_t group_size = 1;
  EffortArgs effort = {};
  bool exact = false;
  bool explain = false;
  std::string queries = {};
  std::string format = {};
};

// "0.1,0.2", "[0.1,0.2]", or "@FILE" with either in it.
absl::Status PutVector(std::string text, v1::SearchRequest& request) {
  if (text.starts_with("@")) {
    CTL_ASSIGN(InputFile file, InputFile::Open(text.substr(1)));
    text.assign(std::istreambuf_iterator<char>(file.stream()), {});
  }
  const absl::StatusOr<Json> numbers = ParseVector(text);
  if (!numbers.ok())
    return UsageError("--vector: write numbers, 0.1,0.2,… or [0.1, 0.2, …], or @FILE");
  for (const Json& number : *numbers) request.add_vector(number.get<float>());
  return absl::OkStatus();
}

absl::Status CheckArgs(const SearchArgs& args) {
  CTL_RETURN_IF_ERROR(CheckSelection(args.selection, /*optional=*/true));
  if (args.index.find(':') == std::string::npos) {
    return UsageError(absl::StrCat("'", args.index, "' is not an index; write view:field"));
  }
  if (!args.keys.empty() && !args.vector.empty()) {
    return UsageError("--key and --vector are both given; give one of the two");
  }
  const bool one = !args.keys.empty() || !args.vector.empty();
  if (one == !args.queries.empty()) {
    return UsageError(
        "say what to look for: --key NAME=VALUE or --vector 0.1,0.2,…, or --queries FILE for many");
  }
  if (!args.request_context.empty() && args.selection.features.empty() &&
      args.selection.service.empty()) {
    return UsageError("--context is for the hits' features; add --features or --service");
  }
  if (args.group_by.empty() && args.group_size != 1) {
    return UsageError("--group-size is for the hits of one group; add --group-by");
  }
  return absl::OkStatus();
}

// All but what is looked for.
absl::StatusOr<v1::SearchRequest> ToRequest(const SearchArgs& args) {
  CTL_RETURN_IF_ERROR(CheckArgs(args));
  v1::SearchRequest request;
  request.set_index(args.index);
  request.set_top_k(args.top_k);
  request.set_include_self(args.include_self);
  request.set_explain(args.explain);
  PutEffort(args.effort, *request.mutable_params());
  request.mutable_params()->set_exact(args.exact);
  if (args.threshold.has_value()) request.set_score_threshold(*args.threshold);
  if (!args.group_by.empty()) {
    request.mutable_group_by()->set_ref(args.group_by);
    request.mutable_group_by()->set_size(args.group_size);
  }
  PutSelection(args.selection, request);
  CTL_RETURN_IF_ERROR(PutMoment(args.moment, request));
  if (!args.filter.empty()) {
    CTL_ASSIGN(*request.mutable_filter(), ParseFilter(args.filter));
  }
  return request;
}

absl::StatusOr<KeyTypes> JoinKeysOf(const client::Client& client, const std::string& index) {
  CTL_ASSIGN(const ViewSchema schema, GetViewSchema(client, index.substr(0, index.find(':'))));
  return schema.JoinKeys();
}

absl::Status SearchMany(const SearchArgs& args, const Context& context,
                        const client::Client& client, v1::SearchRequest common) {
  v1::BatchSearchRequest request;
  *request.mutable_common() = std::move(common);
  CTL_ASSIGN(const KeyTypes keys, JoinKeysOf(client, args.index));
  CTL_RETURN_IF_ERROR(ReadQueries(args.queries, args.format, keys, request));
  CTL_ASSIGN(const v1::BatchSearchResponse answer, client.BatchSearch(std::move(request)));
  if (context.json) {
    PrintJson(HitsJson(answer));
  } else {
    Print(HitsText(answer));
  }
  return absl::OkStatus();
}

absl::Status SearchOne(const SearchArgs& args, const Context& context, const client::Client& client,
                       v1::SearchRequest request) {
  if (!args.vector.empty()) CTL_RETURN_IF_ERROR(PutVector(args.vector, request));
  if (!args.keys.empty()) {
    CTL_ASSIGN(const KeyTypes types, JoinKeysOf(client, args.index));
    CTL_ASSIGN(const KeyColumns keys, ParseKeys(args.keys, types));
    if (keys.row_count > 1) {
      return UsageError("a search is for one entity: one value a key; for many see --queries");
    }
    PutKeys(keys, *request.mutable_entity_key());
  }
  CTL_ASSIGN(const v1::SearchResponse answer, client.Search(std::move(request)));
  if (context.json) {
    PrintJson(HitsJson(answer));
  } else {
    Print(HitsText(answer));
  }
  return absl::OkStatus();
}

absl::Status Search(const SearchArgs& args, const Context& context) {
  CTL_ASSIGN(v1::SearchRequest request, ToRequest(args));
  CTL_ASSIGN(const client::Client client, context.Connect());
  if (!args.request_context.empty()) {
    CTL_ASSIGN(const ReadColumns columns,
               GetReadColumns(client, args.selection.service, args.selection.features));
    CTL_ASSIGN(const KeyColumns request_context,
               ParseContext(args.request_context, columns.context, /*row_count=*/1));
    PutKeys(request_context, *request.mutable_request_context());
  }
  return args.queries.empty() ? SearchOne(args, context, client, std::move(request))
                              : SearchMany(args, context, client, std::move(request));
}

}  // namespace

void AddSearchCommand(CLI::App& app, Context& context) {
  auto args = std::make_shared<SearchArgs>();
  CLI::App* search = app.add_subcommand("search", "Find the entities whose vectors are nearest");
  search->add_option("index", args->index, "A FLOAT_VECTOR field with an index, view:field")
      ->required();
  AddKeyOption(*search, args->keys);
  search->add_option("--vector", args->vector, "The query: numbers with commas, or @FILE");
  search->add_option("--top-k", args->top_k, "Hits wanted")->capture_default_str();
  search->add_flag("--include-self", args->include_self,
                   "With --key: the entity itself may be a hit");
  AddSelection(*search, args->selection);
  AddContextOption(*search, args->request_context);
  AddMoment(*search, args->moment);
  search->add_option("--filter", args->filter,
                     "Such as: weather:temperature_c < 0 and not place:state in ('CA', 'NY')");
  search->add_option("--threshold", args->threshold,
                     "Only hits at least this near: score >= it, with L2 <= it");
  search->add_option("--group-by", args->group_by,
                     "Only the best hits of each group: a join key, or view:field of the entity");
  search->add_option("--group-size", args->group_size, "With --group-by: hits of one group")
      ->capture_default_str();
  search->add_flag("--exact", args->exact, "Compare with every vector");
  AddEffort(*search, args->effort);
  search->add_flag("--explain", args->explain, "Say how the search was done");
  search->add_option("--queries", args->queries,
                     "Many searches at once: a CSV or JSON-lines file, a row a query, its columns "
                     "the join keys or `vector`; - is standard input");
  search->add_option("--format", args->format, "Of --queries: csv or jsonl; default by its name");
  AddExample(
      *search,
      "fletchctl search airport_profile:profile --key airport=SFO --top-k 3 --features "
      "airport_place:city\n"
      "fletchctl search docs:embedding --vector @query.json --group-by doc --threshold 0.5\n"
      "fletchctl search airport_profile:profile --queries airports.csv --target-recall 0.99");
  search->callback(
      [&context, args] { context.action = [&context, args] { return Search(*args, context); }; });
}

}  // namespace fletch::ctl
