// SPDX-License-Identifier: Apache-2.0
#include "search_queries.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "records.h"
#include "result.h"

namespace fletch::ctl {
namespace {

constexpr char kVector[] = "vector";

bool IsNumbers(const Json& list) {
  return list.is_array() && !list.empty() &&
         std::all_of(list.begin(), list.end(), [](const Json& e) { return e.is_number(); });
}

// Where each key stands among the names; a usage error unless they are the keys, each once.
absl::StatusOr<std::vector<size_t>> Places(const std::vector<std::string>& names,
                                           const KeyTypes& keys) {
  std::vector<size_t> places;
  std::vector<std::string> wanted;
  for (const auto& [name, type] : keys) {
    wanted.push_back(name);
    const auto found = std::find(names.begin(), names.end(), name);
    if (found != names.end()) places.push_back(static_cast<size_t>(found - names.begin()));
  }
  if (places.size() == keys.size() && names.size() == keys.size()) return places;
  return UsageError(absl::StrCat("the columns are ", absl::StrJoin(names, ", "),
                                 "; a query is a row of ", absl::StrJoin(wanted, ", "),
                                 ", or of one column `vector`"));
}

class QueryReader {
 public:
  QueryReader(const KeyTypes& keys, v1::BatchSearchRequest& request)
      : keys_(keys), request_(request) {
    for (const auto& [name, type] : keys) columns_.emplace_back(CellType{.type = type});
    vector_is_key_ =
        std::any_of(keys.begin(), keys.end(), [](const auto& key) { return key.first == kVector; });
  }

  absl::Status Add(const RecordReader& row) {
    const bool by_vector = row.names() == std::vector<std::string>{kVector} && !vector_is_key_;
    if (request_.query_count() > 0 && by_vector != by_vector_) {
      return UsageError("some rows are vectors and some are keys; give one of the two");
    }
    by_vector_ = by_vector;
    CTL_RETURN_IF_ERROR(by_vector ? AddVector(row.cells().front()) : AddKeys(row));
    request_.set_query_count(request_.query_count() + 1);
    return absl::OkStatus();
  }

  void Finish() {
    if (by_vector_) return;
    for (size_t i = 0; i < keys_.size(); ++i) {
      (*request_.mutable_entity_keys())[keys_[i].first] = columns_[i].Take();
    }
  }

 private:
  absl::Status AddVector(const RecordCell& cell) {
    Json numbers;
    if (const auto* text = std::get_if<std::string>(&cell)) {
      CTL_ASSIGN(numbers, ParseVector(*text));
    } else if (const auto* json = std::get_if<Json>(&cell)) {
      numbers = *json;
    }
    if (!IsNumbers(numbers)) return UsageError("a vector is a list of numbers, [0.1, 0.2, …]");
    if (dimension_ == 0) dimension_ = numbers.size();
    if (numbers.size() != dimension_) {
      return UsageError(absl::StrCat("the vector has ", numbers.size(),
                                     " elements; those before it have ", dimension_));
    }
    for (const Json& number : numbers) request_.add_vectors(number.get<float>());
    return absl::OkStatus();
  }

  absl::Status AddKeys(const RecordReader& row) {
    if (row.shape() != shape_ || places_.empty()) {
      CTL_ASSIGN(places_, Places(row.names(), keys_));
      shape_ = row.shape();
    }
    for (size_t i = 0; i < keys_.size(); ++i) {
      const absl::Status added = AddCell(row.cells()[places_[i]], columns_[i]);
      if (!added.ok()) return Prefixed(added, absl::StrCat(keys_[i].first, ": "));
    }
    return absl::OkStatus();
  }

  const KeyTypes& keys_;
  v1::BatchSearchRequest& request_;
  std::vector<ColumnBuilder> columns_;
  bool vector_is_key_ = false;  // an entity may have a join key of that name
  bool by_vector_ = false;
  size_t dimension_ = 0;
  std::vector<size_t> places_;
  uint64_t shape_ = 0;
};

}  // namespace

absl::StatusOr<Json> ParseVector(std::string text) {
  if (text.find('[') == std::string::npos) text = absl::StrCat("[", text, "]");
  Json list = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!IsNumbers(list)) return UsageError("write numbers, 0.1,0.2,… or [0.1, 0.2, …]");
  return list;
}

absl::Status ReadQueries(const std::string& path, const std::string& format, const KeyTypes& keys,
                         v1::BatchSearchRequest& request) {
  CTL_ASSIGN(const RecordFormat kind, FormatOf(path, format));
  CTL_ASSIGN(InputFile file, InputFile::Open(path));
  auto reader = OpenRecords(file.stream(), kind);
  if (!reader.ok()) return Prefixed(reader.status(), absl::StrCat(path, ": "));
  QueryReader queries(keys, request);
  for (;;) {
    const absl::StatusOr<bool> more = (*reader)->Next();
    if (!more.ok()) return Prefixed(more.status(), absl::StrCat(path, ": "));
    if (!*more) break;
    const absl::Status added = queries.Add(**reader);
    if (!added.ok()) return Prefixed(added, absl::StrCat(path, ":", (*reader)->line(), ": "));
  }
  if (request.query_count() == 0) return UsageError(absl::StrCat(path, ": holds no query"));
  queries.Finish();
  return absl::OkStatus();
}

}  // namespace fletch::ctl
