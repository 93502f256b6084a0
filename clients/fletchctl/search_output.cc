// SPDX-License-Identifier: Apache-2.0
#include "search_output.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "command.h"
#include "count_text.h"
#include "table.h"

namespace fletch::ctl {
namespace {

std::vector<ColumnReader> KeyReaders(const v1::SearchResponse& answer) {
  std::vector<ColumnReader> readers;
  for (const v1::NamedColumn& key : answer.keys()) readers.emplace_back(key.column());
  return readers;
}

std::string TimeText(const v1::SearchResponse& answer, uint64_t hit) {
  return client::FormatTimeMicros(answer.event_timestamps().micros(static_cast<int>(hit)));
}

// Rows of hits; `queries`, if there are any, is the first column.
std::string HitTable(const v1::SearchResponse& answer, const std::vector<uint64_t>& queries) {
  if (answer.hit_count() == 0) return "";
  std::vector<std::string> header;
  if (!queries.empty()) header.push_back("QUERY");
  for (const v1::NamedColumn& key : answer.keys()) header.push_back(key.name());
  header.insert(header.end(), {"SCORE", "EVENT TIME"});
  for (const v1::ResolvedFeature& feature : answer.features()) header.push_back(feature.ref());
  Table table(std::move(header));
  const std::vector<ColumnReader> keys = KeyReaders(answer);
  const std::vector<ColumnReader> columns = Readers(answer.columns());
  for (uint64_t hit = 0; hit < answer.hit_count(); ++hit) {
    std::vector<std::string> cells;
    if (!queries.empty()) cells.push_back(absl::StrCat(queries[hit]));
    for (const ColumnReader& key : keys) cells.push_back(key.TextAt(hit));
    cells.push_back(NumberText(answer.scores(static_cast<int>(hit))));
    cells.push_back(TimeText(answer, hit));
    for (const ColumnReader& column : columns) cells.push_back(ShownCell(column, hit));
    table.Add(std::move(cells));
  }
  return table.ToText();
}

Json HitList(const v1::SearchResponse& answer, uint64_t first, uint64_t end) {
  const std::vector<ColumnReader> keys = KeyReaders(answer);
  const std::vector<ColumnReader> columns = Readers(answer.columns());
  Json hits = Json::array();
  for (uint64_t hit = first; hit < end; ++hit) {
    Json line = {{"keys", Json::object()}};
    for (int i = 0; i < answer.keys_size(); ++i) {
      line["keys"][answer.keys(i).name()] = keys[i].JsonAt(hit);
    }
    line["score"] = NumberJson(answer.scores(static_cast<int>(hit)));
    line["event_timestamp"] = TimeText(answer, hit);
    if (!columns.empty()) line.update(FeatureCells(answer.features(), columns, hit));
    hits.push_back(std::move(line));
  }
  return hits;
}

std::string PlanText(const v1::SearchPlan& plan) {
  std::string text = absl::StrCat(plan.strategy(), ", selectivity ", plan.selectivity(), ", ",
                                  CountText(plan.candidates_visited(), "candidate"), " visited, ",
                                  CountText(plan.segments(), "segment"), ", ",
                                  CountText(plan.buffered_vectors(), "buffered vector"));
  if (plan.ef() > 0) absl::StrAppend(&text, ", ef ", plan.ef(), ", ", plan.rescored(), " rescored");
  if (plan.indexed_refs_size() > 0) {
    absl::StrAppend(&text, ", by index of ", absl::StrJoin(plan.indexed_refs(), ", "));
  }
  if (!plan.reason().empty()) absl::StrAppend(&text, ": ", plan.reason());
  return text;
}

Json PlanJson(const v1::SearchPlan& plan) {
  return {{"strategy", plan.strategy()},
          {"selectivity", plan.selectivity()},
          {"candidates_visited", plan.candidates_visited()},
          {"segments", plan.segments()},
          {"buffered_vectors", plan.buffered_vectors()},
          {"ef", plan.ef()},
          {"rescored", plan.rescored()},
          {"indexed_refs",
           Json(std::vector<std::string>(plan.indexed_refs().begin(), plan.indexed_refs().end()))},
          {"reason", plan.reason()}};
}

std::string MomentText(const v1::SearchResponse& answer) {
  return absl::StrCat("as_of ", client::FormatTimeMicros(answer.as_of_micros()), ", read_seq ",
                      answer.read_seq(), "\n");
}

Json MomentJson(const v1::SearchResponse& answer) {
  return {{"as_of", client::FormatTimeMicros(answer.as_of_micros())},
          {"read_seq", answer.read_seq()}};
}

}  // namespace

std::string HitsText(const v1::SearchResponse& answer) {
  std::string text = absl::StrCat(HitTable(answer, {}), CountText(answer.hit_count(), "hit"), ", ",
                                  MomentText(answer));
  if (answer.has_plan()) absl::StrAppend(&text, "plan: ", PlanText(answer.plan()), "\n");
  return text;
}

Json HitsJson(const v1::SearchResponse& answer) {
  Json document = MomentJson(answer);
  document["hits"] = HitList(answer, 0, answer.hit_count());
  if (answer.has_plan()) document["plan"] = PlanJson(answer.plan());
  return document;
}

std::string HitsText(const v1::BatchSearchResponse& answer) {
  std::vector<uint64_t> queries;
  for (int query = 0; query < answer.hit_counts_size(); ++query) {
    queries.insert(queries.end(), answer.hit_counts(query), static_cast<uint64_t>(query));
  }
  std::string text = absl::StrCat(
      HitTable(answer.hits(), queries), CountText(answer.hits().hit_count(), "hit"), " of ",
      CountText(answer.hit_counts_size(), "query", "queries"), ", ", MomentText(answer.hits()));
  for (int query = 0; query < answer.plans_size(); ++query) {
    absl::StrAppend(&text, "plan of query ", query, ": ", PlanText(answer.plans(query)), "\n");
  }
  return text;
}

Json HitsJson(const v1::BatchSearchResponse& answer) {
  Json document = MomentJson(answer.hits());
  document["queries"] = Json::array();
  uint64_t first = 0;
  for (int query = 0; query < answer.hit_counts_size(); ++query) {
    const uint64_t end = first + answer.hit_counts(query);
    Json one = {{"hits", HitList(answer.hits(), first, end)}};
    if (answer.plans_size() > 0) one["plan"] = PlanJson(answer.plans(query));
    document["queries"].push_back(std::move(one));
    first = end;
  }
  return document;
}

}  // namespace fletch::ctl
