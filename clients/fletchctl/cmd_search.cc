// SPDX-License-Identifier: Apache-2.0
// search.
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "command.h"
#include "count_text.h"
#include "filter.h"
#include "records.h"
#include "result.h"
#include "table.h"

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
  bool exact = false;
  uint64_t ef = 0;
  bool explain = false;
};

// "0.1,0.2", "[0.1,0.2]", or "@FILE" with either in it.
absl::Status PutVector(std::string text, v1::SearchRequest& request) {
  if (text.starts_with("@")) {
    CTL_ASSIGN(InputFile file, InputFile::Open(text.substr(1)));
    text.assign(std::istreambuf_iterator<char>(file.stream()), {});
  }
  if (text.find('[') == std::string::npos) text = absl::StrCat("[", text, "]");
  const Json list = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  bool numbers = list.is_array() && !list.empty();
  for (const Json& element : list) numbers = numbers && element.is_number();
  if (!numbers) return UsageError("--vector: write numbers, 0.1,0.2,… or [0.1, 0.2, …], or @FILE");
  for (const Json& element : list) request.add_vector(element.get<float>());
  return absl::OkStatus();
}

absl::StatusOr<v1::SearchRequest> ToRequest(const SearchArgs& args) {
  v1::SearchRequest request;
  request.set_index(args.index);
  request.set_top_k(args.top_k);
  request.set_include_self(args.include_self);
  request.set_explain(args.explain);
  request.mutable_params()->set_exact(args.exact);
  request.mutable_params()->set_ef(args.ef);
  PutSelection(args.selection, request);
  CTL_RETURN_IF_ERROR(CheckSelection(args.selection, /*optional=*/true));
  CTL_RETURN_IF_ERROR(PutMoment(args.moment, request));
  if (args.index.find(':') == std::string::npos) {
    return UsageError(absl::StrCat("'", args.index, "' is not an index; write view:field"));
  }
  if (!args.keys.empty() && !args.vector.empty()) {
    return UsageError("--key and --vector are both given; give one of the two");
  }
  if (args.keys.empty() && args.vector.empty()) {
    return UsageError("say what to look for: --key NAME=VALUE or --vector 0.1,0.2,…");
  }
  if (!args.request_context.empty() && args.selection.features.empty() &&
      args.selection.service.empty()) {
    return UsageError("--context is for the hits' features; add --features or --service");
  }
  if (!args.vector.empty()) CTL_RETURN_IF_ERROR(PutVector(args.vector, request));
  if (!args.filter.empty()) {
    CTL_ASSIGN(*request.mutable_filter(), ParseFilter(args.filter));
  }
  return request;
}

std::vector<ColumnReader> KeyReaders(const v1::SearchResponse& answer) {
  std::vector<ColumnReader> readers;
  for (const v1::NamedColumn& key : answer.keys()) readers.emplace_back(key.column());
  return readers;
}

void PrintTable(const v1::SearchResponse& answer) {
  std::vector<std::string> header;
  for (const v1::NamedColumn& key : answer.keys()) header.push_back(key.name());
  header.insert(header.end(), {"SCORE", "EVENT TIME"});
  for (const v1::ResolvedFeature& feature : answer.features()) header.push_back(feature.ref());
  Table table(std::move(header));
  const std::vector<ColumnReader> keys = KeyReaders(answer);
  const std::vector<ColumnReader> columns = Readers(answer.columns());
  for (uint64_t hit = 0; hit < answer.hit_count(); ++hit) {
    std::vector<std::string> cells;
    for (const ColumnReader& key : keys) cells.push_back(key.TextAt(hit));
    cells.push_back(NumberText(answer.scores(hit)));
    cells.push_back(client::FormatTimeMicros(answer.event_timestamps().micros(hit)));
    for (const ColumnReader& column : columns) cells.push_back(ShownCell(column, hit));
    table.Add(std::move(cells));
  }
  if (answer.hit_count() > 0) Print(table.ToText());
  Print(absl::StrCat(CountText(answer.hit_count(), "hit"), ", as_of ",
                     client::FormatTimeMicros(answer.as_of_micros()), ", read_seq ",
                     answer.read_seq(), "\n"));
  if (!answer.has_plan()) return;
  const v1::SearchPlan& plan = answer.plan();
  Print(absl::StrCat("plan: ", plan.strategy(), ", selectivity ", plan.selectivity(), ", ",
                     CountText(plan.candidates_visited(), "candidate"), " visited, ",
                     CountText(plan.segments(), "segment"), ", ",
                     CountText(plan.buffered_vectors(), "buffered vector"), "\n"));
}

void PrintDocument(const v1::SearchResponse& answer) {
  const std::vector<ColumnReader> keys = KeyReaders(answer);
  const std::vector<ColumnReader> columns = Readers(answer.columns());
  Json hits = Json::array();
  for (uint64_t hit = 0; hit < answer.hit_count(); ++hit) {
    Json line = {{"keys", Json::object()}};
    for (int i = 0; i < answer.keys_size(); ++i) {
      line["keys"][answer.keys(i).name()] = keys[i].JsonAt(hit);
    }
    line["score"] = NumberJson(answer.scores(hit));
    line["event_timestamp"] = client::FormatTimeMicros(answer.event_timestamps().micros(hit));
    if (!columns.empty()) line.update(FeatureCells(answer.features(), columns, hit));
    hits.push_back(std::move(line));
  }
  Json document = {{"as_of", client::FormatTimeMicros(answer.as_of_micros())},
                   {"read_seq", answer.read_seq()},
                   {"hits", hits}};
  if (answer.has_plan()) {
    document["plan"] = {{"strategy", answer.plan().strategy()},
                        {"selectivity", answer.plan().selectivity()},
                        {"candidates_visited", answer.plan().candidates_visited()},
                        {"segments", answer.plan().segments()},
                        {"buffered_vectors", answer.plan().buffered_vectors()}};
  }
  PrintJson(document);
}

absl::Status Search(const SearchArgs& args, const Context& context) {
  CTL_ASSIGN(v1::SearchRequest request, ToRequest(args));
  CTL_ASSIGN(const client::Client client, context.Connect());
  if (!args.keys.empty()) {
    CTL_ASSIGN(const ViewSchema schema,
               GetViewSchema(client, args.index.substr(0, args.index.find(':'))));
    CTL_ASSIGN(const KeyColumns keys, ParseKeys(args.keys, schema.JoinKeys()));
    if (keys.row_count > 1) return UsageError("a search is for one entity: one value a key");
    PutKeys(keys, *request.mutable_entity_key());
  }
  if (!args.request_context.empty()) {
    CTL_ASSIGN(const ReadColumns columns,
               GetReadColumns(client, args.selection.service, args.selection.features));
    CTL_ASSIGN(const KeyColumns request_context,
               ParseContext(args.request_context, columns.context, /*row_count=*/1));
    PutKeys(request_context, *request.mutable_request_context());
  }
  CTL_ASSIGN(const v1::SearchResponse answer, client.Search(request));
  if (context.json) {
    PrintDocument(answer);
  } else {
    PrintTable(answer);
  }
  return absl::OkStatus();
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
  search->add_flag("--exact", args->exact, "Compare with every vector");
  search->add_option("--ef", args->ef, "Candidates kept while walking the graph; default: chosen");
  search->add_flag("--explain", args->explain, "Say how the search was done");
  AddExample(*search,
             "fletchctl search airport_profile:profile --key airport=SFO --top-k 3 --features "
             "airport_place:city");
  search->callback(
      [&context, args] { context.action = [&context, args] { return Search(*args, context); }; });
}

}  // namespace fletch::ctl
