// SPDX-License-Identifier: Apache-2.0
#include "server/engine/filter.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "base/limits.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/filter_node.h"

namespace fletch {

namespace {

using Kind = FilterSpec::Kind;
using Op = FilterSpec::Op;

std::partial_ordering CompareField(const RowView& row, size_t field, ValueType type,
                                   const Literal& literal) {
  switch (type) {
    case ValueType::kBool:
      return row.GetBool(field) <=> std::get<bool>(literal);
    case ValueType::kInt32:
    case ValueType::kInt64:
    case ValueType::kTimestamp:
      return CompareInt(row.GetInt(field), literal);
    case ValueType::kFloat:
    case ValueType::kDouble:
      return CompareReal(row.GetDouble(field), literal);
    case ValueType::kBytes:
      return row.GetBytes(field) <=> std::string_view(std::get<BytesLiteral>(literal).bytes);
    default:
      return row.GetBytes(field) <=> std::string_view(std::get<std::string>(literal));
  }
}

// Microseconds, floored as everywhere.
absl::StatusOr<Literal> TimestampLiteral(const std::string& text, std::string_view path) {
  absl::Time time;
  std::string error;
  const bool parsed = absl::ParseTime(absl::RFC3339_full, text, &time, &error);
  if (!parsed || time == absl::InfiniteFuture() || time == absl::InfinitePast()) {
    return InvalidArgument("this is no RFC 3339 time (2026-11-22T00:00:00Z)", path);
  }
  return absl::ToUnixMicros(time);
}

// `literal` as a value of `type`; of the kinds that CompareField expects.
absl::StatusOr<Literal> CheckLiteral(const Literal& literal, ValueType type,
                                     std::string_view path) {
  bool fits = false;
  switch (type) {
    case ValueType::kBool:
      fits = std::holds_alternative<bool>(literal);
      break;
    case ValueType::kInt32:
    case ValueType::kInt64:
    case ValueType::kFloat:
    case ValueType::kDouble:
      fits = std::holds_alternative<int64_t>(literal) || std::holds_alternative<double>(literal);
      break;
    case ValueType::kTimestamp:
      if (const auto* text = std::get_if<std::string>(&literal))
        return TimestampLiteral(*text, path);
      fits = std::holds_alternative<int64_t>(literal);
      break;
    case ValueType::kBytes:
      fits = std::holds_alternative<BytesLiteral>(literal);
      break;
    default:
      fits = std::holds_alternative<std::string>(literal);
  }
  if (!fits) {
    return InvalidArgument(StrCat("the value is not of the field's type, ", ValueTypeName(type)),
                           path);
  }
  if (const auto* real = std::get_if<double>(&literal); real != nullptr && std::isnan(*real)) {
    return InvalidArgument("NaN compares with nothing; leave the condition out or ask is_null",
                           path);
  }
  return literal;
}

// What each kind is called in the proto.
std::string_view KindName(Kind kind) {
  switch (kind) {
    case Kind::kAnd:
      return "and";
    case Kind::kOr:
      return "or";
    case Kind::kNot:
      return "not";
    case Kind::kCompare:
      return "compare";
    case Kind::kIn:
      return "in";
    case Kind::kBetween:
      return "between";
    case Kind::kIsNull:
      return "is_null";
  }
  return "";
}

std::string ValuePath(Kind kind, std::string_view path, size_t i) {
  if (kind == Kind::kCompare) return StrCat(path, ".value");
  if (kind == Kind::kBetween) return StrCat(path, i == 0 ? ".low" : ".high");
  return StrCat(path, ".values[", i, "]");
}

}  // namespace

// Turns a spec into nodes, counting them.
class Filter::Maker {
 public:
  Maker(const CatalogSnapshot& catalog, std::string_view project, EntityId entity_id)
      : catalog_(catalog), project_(project), entity_id_(entity_id) {}

  absl::StatusOr<FilterNode> Make(const FilterSpec& spec, size_t depth, const std::string& parent) {
    if (depth > limits::kMaxFilterDepth) {
      return OutOfRange(StrCat("the filter is deeper than ", limits::kMaxFilterDepth, " levels"),
                        parent);
    }
    if (++node_count_ > limits::kMaxFilterNodes) {
      return OutOfRange(StrCat("the filter has more than ", limits::kMaxFilterNodes, " conditions"),
                        "filter");
    }
    const std::string path = StrCat(parent, ".", KindName(spec.kind));
    const bool is_list = spec.kind == Kind::kAnd || spec.kind == Kind::kOr;
    return is_list || spec.kind == Kind::kNot ? MakeList(spec, depth, path) : MakeLeaf(spec, path);
  }

  std::vector<std::shared_ptr<const View>> TakeViews() { return std::move(views_); }

 private:
  absl::StatusOr<FilterNode> MakeList(const FilterSpec& spec, size_t depth,
                                      const std::string& path) {
    const bool is_not = spec.kind == Kind::kNot;
    if (spec.children.empty() || (is_not && spec.children.size() != 1)) {
      return InvalidArgument(is_not ? "not takes one filter" : "give at least one filter", path);
    }
    if (spec.children.size() > limits::kMaxFilterListItems) {
      return OutOfRange(StrCat("a list has ", spec.children.size(), " filters; the limit is ",
                               limits::kMaxFilterListItems),
                        path);
    }
    FilterNode node{.kind = spec.kind};
    for (size_t i = 0; i < spec.children.size(); ++i) {
      const std::string child_path = is_not ? path : StrCat(path, ".filters[", i, "]");
      ASSIGN_OR_RETURN(FilterNode child, Make(spec.children[i], depth + 1, child_path));
      node.children.push_back(std::move(child));
    }
    return node;
  }

  absl::StatusOr<FilterNode> MakeLeaf(const FilterSpec& spec, const std::string& path) {
    FilterNode node{.kind = spec.kind, .op = spec.op};
    RETURN_IF_ERROR(Resolve(spec.ref, StrCat(path, ".ref"), &node));
    node.ref = spec.ref;
    if (spec.kind == Kind::kIsNull) return node;
    const DataType& type = views_[node.view]->layout.type(node.field);
    if (type.array || type.is_vector() || type.type == ValueType::kJson) {
      return InvalidArgument(StrCat("a field of type ", DataTypeName(type),
                                    " cannot be compared; it can only be asked is_null"),
                             StrCat(path, ".ref"));
    }
    if (spec.kind == Kind::kCompare && IsTextOp(spec.op) && type.type != ValueType::kString) {
      return InvalidArgument(StrCat(spec.op == Op::kPrefix ? "PREFIX" : "CONTAINS",
                                    " asks a STRING; the field is of type ", DataTypeName(type)),
                             StrCat(path, ".op"));
    }
    node.type = type.type;
    RETURN_IF_ERROR(CheckValueCount(spec, path));
    for (size_t i = 0; i < spec.values.size(); ++i) {
      ASSIGN_OR_RETURN(Literal literal,
                       CheckLiteral(spec.values[i], type.type, ValuePath(spec.kind, path, i)));
      node.values.push_back(std::move(literal));
    }
    return node;
  }

  static absl::Status CheckValueCount(const FilterSpec& spec, const std::string& path) {
    const size_t count = spec.values.size();
    if (spec.kind == Kind::kIn) {
      if (count == 0) return InvalidArgument("give at least one value", StrCat(path, ".values"));
      if (count <= limits::kMaxInValues) return absl::OkStatus();
      return OutOfRange(
          StrCat("the list has ", count, " values; the limit is ", limits::kMaxInValues),
          StrCat(path, ".values"));
    }
    if (spec.kind == Kind::kBetween && count != 2) {
      return InvalidArgument("between takes low and high", path);
    }
    if (spec.kind == Kind::kCompare && count != 1) {
      return InvalidArgument("compare takes one value", StrCat(path, ".value"));
    }
    return absl::OkStatus();
  }

  // Finds node->view and node->field of "view:field".
  absl::Status Resolve(const std::string& ref, const std::string& path, FilterNode* node) {
    const size_t colon = ref.find(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == ref.size()) {
      return InvalidArgument(StrCat("\"", ref, "\" is not of the form view:field"), path);
    }
    const std::string view_ref = ref.substr(0, colon);
    const std::string field_name = ref.substr(colon + 1);
    absl::StatusOr<std::shared_ptr<const View>> view = catalog_.FindView(project_, view_ref);
    if (!view.ok()) return PrefixField(view.status(), path);
    const ViewSchema& schema = (*view)->schema;
    if (schema.entity_id != entity_id_) {
      return InvalidArgument(StrCat("view ", view_ref, " is of entity ", schema.entity,
                                    "; a filter reads views of the searched entity only"),
                             path);
    }
    const auto field = std::find_if(schema.fields.begin(), schema.fields.end(),
                                    [&](const FieldSchema& f) { return f.name == field_name; });
    if (field == schema.fields.end()) {
      return NotFound(StrCat("view ", schema.versioned_name(), " has no field ", field_name), path);
    }
    node->field = static_cast<size_t>(field - schema.fields.begin());
    const auto known = std::find_if(views_.begin(), views_.end(), [&](const auto& v) {
      return v->schema.view_id == schema.view_id;
    });
    node->view = static_cast<size_t>(known - views_.begin());
    if (known == views_.end()) views_.push_back(*std::move(view));
    return absl::OkStatus();
  }

  const CatalogSnapshot& catalog_;
  const std::string_view project_;
  const EntityId entity_id_;
  size_t node_count_ = 0;
  std::vector<std::shared_ptr<const View>> views_;
};

absl::StatusOr<Filter> Filter::Make(const CatalogSnapshot& catalog, std::string_view project,
                                    EntityId entity_id, const FilterSpec& spec) {
  Maker maker(catalog, project, entity_id);
  ASSIGN_OR_RETURN(FilterNode root, maker.Make(spec, 1, "filter"));
  Filter filter;
  filter.views_ = maker.TakeViews();
  filter.root_ = std::make_shared<const FilterNode>(std::move(root));
  return filter;
}

Truth Filter::EvaluateNode(const FilterNode& node, absl::Span<const RowView* const> rows) {
  if (node.kind == Kind::kNot) {
    const Truth truth = EvaluateNode(node.children[0], rows);
    if (truth == Truth::kUnknown) return truth;
    return truth == Truth::kTrue ? Truth::kFalse : Truth::kTrue;
  }
  if (node.kind == Kind::kAnd || node.kind == Kind::kOr) {
    // One false decides an AND, one true an OR, whatever is unknown beside it.
    const Truth deciding = node.kind == Kind::kAnd ? Truth::kFalse : Truth::kTrue;
    Truth result = node.kind == Kind::kAnd ? Truth::kTrue : Truth::kFalse;
    for (const FilterNode& child : node.children) {
      const Truth truth = EvaluateNode(child, rows);
      if (truth == deciding) return deciding;
      if (truth == Truth::kUnknown) result = Truth::kUnknown;
    }
    return result;
  }
  const RowView* const row = rows[node.view];
  const bool is_null = row == nullptr || row->is_null(node.field);
  if (node.kind == Kind::kIsNull) return is_null ? Truth::kTrue : Truth::kFalse;
  if (is_null) return Truth::kUnknown;
  const auto compare = [&](const Literal& value) {
    return CompareField(*row, node.field, node.type, value);
  };
  bool holds = false;
  if (node.kind == Kind::kCompare && IsTextOp(node.op)) {
    holds = HoldsText(node.op, row->GetBytes(node.field), std::get<std::string>(node.values[0]));
  } else if (node.kind == Kind::kCompare) {
    holds = Holds(node.op, compare(node.values[0]));
  } else if (node.kind == Kind::kBetween) {
    holds = compare(node.values[0]) >= 0 && compare(node.values[1]) <= 0;
  } else {
    holds = std::any_of(node.values.begin(), node.values.end(),
                        [&](const Literal& value) { return compare(value) == 0; });
  }
  return holds ? Truth::kTrue : Truth::kFalse;
}

Truth Filter::Evaluate(absl::Span<const RowView* const> rows) const {
  return EvaluateNode(*root_, rows);
}

}  // namespace fletch
