// SPDX-License-Identifier: Apache-2.0
// Conditions over fields of one entity's views, three-valued as in SQL.
#ifndef FLETCH_SERVER_ENGINE_FILTER_H_
#define FLETCH_SERVER_ENGINE_FILTER_H_

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/engine/catalog.h"
#include "server/engine/types.h"

namespace fletch {

struct FilterNode;

enum class Truth : uint8_t { kFalse, kTrue, kUnknown };

// A filter resolved against a catalog and checked. Immutable, thread-safe.
class Filter {
 public:
  // Refs must be of views of `entity_id`. NOT_FOUND: unknown view or field. INVALID_ARGUMENT: a
  // view of another entity, a field that cannot be compared (arrays, JSON, FLOAT_VECTOR; those may
  // only be asked is_null), PREFIX or CONTAINS of no STRING, a literal of the wrong kind, NaN.
  // OUT_OF_RANGE: limits.h's kMaxFilter*, kMaxInValues. Field paths start with "filter".
  static absl::StatusOr<Filter> Make(const CatalogSnapshot& catalog, std::string_view project,
                                     EntityId entity_id, const FilterSpec& spec);

  // The views it reads, each once.
  const std::vector<std::shared_ptr<const View>>& views() const { return views_; }

  // `rows[i]` is the visible row of views()[i], or nullptr where there is none or it is expired
  // (all its fields read as null). INT against DOUBLE compares exactly, not by conversion. NaN: no
  // comparison is true but NE.
  Truth Evaluate(absl::Span<const RowView* const> rows) const;

  // As a tree, for those who evaluate it by other means (filter_node.h).
  const FilterNode& root() const { return *root_; }

 private:
  class Maker;
  static Truth EvaluateNode(const FilterNode& node, absl::Span<const RowView* const> rows);
  std::vector<std::shared_ptr<const View>> views_;
  std::shared_ptr<const FilterNode> root_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_FILTER_H_
