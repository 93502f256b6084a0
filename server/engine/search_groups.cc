// SPDX-License-Identifier: Apache-2.0
#include "server/engine/search_groups.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "storage/entity_key.h"
#include "storage/row_codec.h"

namespace fletch {
namespace {

constexpr size_t kFirstFactor = 4;  // hits asked for, for each that is wanted
constexpr size_t kGrowth = 16;      // when that was not enough
constexpr std::string_view kPath = "group_by.ref";

std::string Bytes(uint64_t value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
}

std::string DoubleBytes(double value) {
  if (std::isnan(value)) return "NaN";
  uint64_t bits = 0;
  value += 0.0;  // -0 becomes 0
  std::memcpy(&bits, &value, sizeof(bits));
  return Bytes(bits);
}

// Not empty: that is the group of what has no value.
std::string ValueBytes(const RowView& row, size_t field, ValueType type) {
  switch (type) {
    case ValueType::kBool:
      return row.GetBool(field) ? "t" : "f";
    case ValueType::kInt32:
    case ValueType::kInt64:
    case ValueType::kTimestamp:
      return Bytes(static_cast<uint64_t>(row.GetInt(field)));
    case ValueType::kFloat:
    case ValueType::kDouble:
      return DoubleBytes(row.GetDouble(field));
    default:
      return StrCat("=", row.GetBytes(field));
  }
}

// Hits that were kept so far, best first.
class KeptHits {
 public:
  using GroupOf = absl::FunctionRef<absl::StatusOr<std::string>(std::string_view entity_key)>;
  KeptHits(size_t top_k, size_t size, GroupOf group_of)
      : top_k_(top_k), size_(size), group_of_(group_of) {}

  bool full() const { return hits_.size() >= top_k_; }
  void Clear() {
    hits_.clear();
    keys_.clear();
    counts_.clear();
  }
  // The next in order of nearness; each is offered once.
  absl::Status Offer(VectorHit hit) {
    if (full()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const std::string group, group_of_(hit.entity_key));
    size_t& count = counts_[group];
    if (count >= size_) return absl::OkStatus();
    ++count;
    keys_.insert(hit.entity_key);
    hits_.push_back(std::move(hit));
    return absl::OkStatus();
  }
  // Whether an entity behind those that were offered could be kept.
  absl::StatusOr<bool> Wants(std::string_view entity_key) const {
    if (keys_.contains(ToAbsl(entity_key))) return false;
    ASSIGN_OR_RETURN(const std::string group, group_of_(entity_key));
    const auto found = counts_.find(group);
    return found == counts_.end() || found->second < size_;
  }
  std::vector<VectorHit> Take() { return std::move(hits_); }

 private:
  const size_t top_k_;
  const size_t size_;
  const GroupOf group_of_;
  std::vector<VectorHit> hits_;
  absl::flat_hash_set<std::string> keys_;
  absl::flat_hash_map<std::string, size_t> counts_;
};

absl::Status OfferAll(VectorAnswer* answer, KeptHits* kept) {
  for (VectorHit& hit : answer->hits) RETURN_IF_ERROR(kept->Offer(std::move(hit)));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Grouping> Grouping::Make(const CatalogSnapshot& catalog, std::string_view project,
                                        const ViewSchema& searched, const GroupBy& group_by) {
  Grouping grouping;
  grouping.size_ = group_by.size;
  grouping.join_keys_ = searched.join_keys;
  const size_t colon = group_by.ref.find(':');
  if (colon == std::string::npos) {
    const auto& keys = searched.join_keys;
    const auto key = std::find_if(keys.begin(), keys.end(),
                                  [&](const auto& k) { return k.name == group_by.ref; });
    if (key == keys.end()) {
      return NotFound(StrCat("entity ", searched.entity, " has no join key ", group_by.ref,
                             "; give one, or a field as view:field"),
                      kPath);
    }
    grouping.field_ = static_cast<size_t>(key - keys.begin());
    return grouping;
  }
  auto view = catalog.FindView(project, group_by.ref.substr(0, colon));
  if (!view.ok()) return PrefixField(view.status(), kPath);
  grouping.view_ = *std::move(view);
  const ViewSchema& schema = grouping.view_->schema;
  if (schema.entity_id != searched.entity_id) {
    return InvalidArgument(
        StrCat("view ", schema.versioned_name(), " is of entity ", schema.entity, ", the index of ",
               searched.entity, "; group by a view of the same entity"),
        kPath);
  }
  const std::string name = group_by.ref.substr(colon + 1);
  const auto field = std::find_if(schema.fields.begin(), schema.fields.end(),
                                  [&](const auto& f) { return f.name == name; });
  if (field == schema.fields.end()) {
    return NotFound(StrCat("view ", schema.versioned_name(), " has no field ", name), kPath);
  }
  if (field->type.array || field->type.is_vector() || field->type.type == ValueType::kJson) {
    return InvalidArgument(
        StrCat(group_by.ref, " is ", DataTypeName(field->type), "; group by a scalar, not JSON"),
        kPath);
  }
  grouping.field_ = static_cast<size_t>(field - schema.fields.begin());
  return grouping;
}

absl::StatusOr<std::string> Grouping::GroupOf(std::string_view entity_key,
                                              Snapshot* snapshot) const {
  if (view_ == nullptr) {
    ASSIGN_OR_RETURN(const std::vector<KeyValue> values, DecodeKey(join_keys_, entity_key));
    const KeyValue& value = values[field_];
    if (const auto* number = std::get_if<int64_t>(&value)) {
      return Bytes(static_cast<uint64_t>(*number));
    }
    return std::get<std::string>(value);
  }
  const ViewSchema& schema = view_->schema;
  std::optional<VisibleRow> visible =
      snapshot->FromMemory(*view_, snapshot->FindRecord(schema.entity_id, entity_key));
  if (!visible.has_value()) {
    ASSIGN_OR_RETURN(visible, snapshot->FromFacts(*view_, entity_key));
  }
  if (visible->status != CellStatus::kPresent) return std::string();
  ASSIGN_OR_RETURN(const RowView row, RowView::Parse(&view_->layout, visible->row));
  return row.is_null(field_) ? std::string()
                             : ValueBytes(row, field_, schema.fields[field_].type.type);
}

absl::StatusOr<VectorAnswer> SearchGroups(
    const VectorQuery& query, size_t size,
    absl::FunctionRef<absl::StatusOr<VectorAnswer>(const VectorQuery&)> ask,
    absl::FunctionRef<absl::StatusOr<std::string>(std::string_view entity_key)> group_of) {
  KeptHits kept(query.top_k, size, group_of);
  VectorQuery wider = query;
  wider.top_k = std::min(limits::kMaxTopK, kFirstFactor * query.top_k);
  uint64_t visited = 0;
  VectorAnswer answer;
  const auto ask_more = [&]() -> absl::StatusOr<bool> {
    ASSIGN_OR_RETURN(answer, ask(wider));
    visited += answer.visited;
    answer.visited = visited;
    const bool all_seen = answer.hits.size() < wider.top_k;
    RETURN_IF_ERROR(OfferAll(&answer, &kept));
    return all_seen || kept.full();
  };
  for (;;) {
    kept.Clear();
    ASSIGN_OR_RETURN(const bool done, ask_more());
    if (done) break;
    if (wider.top_k == limits::kMaxTopK) {
      // What comes behind so many is asked exactly, without the groups that are full.
      if (answer.strategy.find("graph") != std::string::npos) kept.Clear();
      wider.exact = true;
      wider.filter = nullptr;
      wider.passes = [&](std::string_view entity_key) -> absl::StatusOr<bool> {
        if (query.passes) {
          ASSIGN_OR_RETURN(const bool passes, query.passes(entity_key));
          if (!passes) return false;
        }
        return kept.Wants(entity_key);
      };
      for (bool ended = false; !ended;) {
        ASSIGN_OR_RETURN(ended, ask_more());
      }
      answer.reason = StrCat("the nearest ", limits::kMaxTopK, " are of too few groups");
      break;
    }
    const bool dear = wider.exact || answer.strategy == "as_of_scan";  // again as dear: ask at once
    wider.top_k = dear ? limits::kMaxTopK : std::min(limits::kMaxTopK, kGrowth * wider.top_k);
  }
  answer.hits = kept.Take();
  return answer;
}

}  // namespace fletch
