// SPDX-License-Identifier: Apache-2.0
// What can be read: stored views, windows over them, expressions. Immutable once made; held by the
// catalog's snapshots and by plans.
#ifndef FLETCH_SERVER_ENGINE_VIEW_H_
#define FLETCH_SERVER_ENGINE_VIEW_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "server/engine/aggregate.h"
#include "server/engine/expression.h"
#include "storage/row_codec.h"
#include "storage/schema.h"

namespace fletch {

// A feature view: rows are stored. A view's schema with its layout.
struct View {
  ViewSchema schema;
  RowLayout layout;
};

// Windows over the events of one feature view. What it says of an entity is a row of `layout`:
// first the value of each aggregation, then as many TIMESTAMP fields, the event time of the newest
// event that each counted (null: none).
struct AggregationView {
  std::string project;
  std::string name;
  uint64_t version = 1;
  std::shared_ptr<const View> source;  // in the version it was applied with
  std::vector<Aggregation> aggregations;
  RowLayout layout;
  int64_t longest_window_micros = 0;

  std::string versioned_name() const { return name + "@v" + std::to_string(version); }
};

// Expressions over fields of other views and over the request's context.
struct OnDemandView {
  struct Input {  // a view it reads: one of the two
    std::shared_ptr<const View> view;
    std::shared_ptr<const AggregationView> windows;

    // Whose entity and join keys it has: the view's, the windows' source's.
    const ViewSchema& schema() const {
      return view != nullptr ? view->schema : windows->source->schema;
    }
    const std::string& name() const { return view != nullptr ? view->schema.name : windows->name; }
    std::string versioned_name() const {
      return view != nullptr ? view->schema.versioned_name() : windows->versioned_name();
    }
    // Its fields (of `windows`: aggregations) are the first so many of its layout.
    size_t field_count() const {
      return view != nullptr ? view->schema.fields.size() : windows->aggregations.size();
    }
    const FieldSchema& field(size_t i) const {
      return view != nullptr ? view->layout.field(i) : windows->layout.field(i);
    }
  };
  // Where an input of the program comes from: a field of inputs[input], or of `request`.
  struct Source {
    static constexpr size_t kRequest = SIZE_MAX;
    size_t input = kRequest;
    size_t field = 0;
  };
  std::string project;
  std::string name;
  uint64_t version = 1;
  std::vector<Input> inputs;
  std::vector<KeyFieldSchema> join_keys;  // of all inputs, each name once
  std::vector<FieldSchema> request;       // scalar columns of the request_context
  std::vector<FieldSchema> fields;        // what the expressions yield
  std::shared_ptr<const ExpressionProgram> program;
  std::vector<Source> sources;  // parallel to the inputs of `program`

  std::string versioned_name() const { return name + "@v" + std::to_string(version); }
};

using AnyView = std::variant<std::shared_ptr<const View>, std::shared_ptr<const AggregationView>,
                             std::shared_ptr<const OnDemandView>>;

// As an input of expressions; nullopt for an on-demand view, which is none.
inline std::optional<OnDemandView::Input> InputOf(const AnyView& view) {
  if (const auto* stored = std::get_if<std::shared_ptr<const View>>(&view))
    return OnDemandView::Input{*stored, nullptr};
  if (const auto* windows = std::get_if<std::shared_ptr<const AggregationView>>(&view))
    return OnDemandView::Input{nullptr, *windows};
  return std::nullopt;
}

// "view@v2".
inline std::string VersionedName(const AnyView& view) {
  if (const auto* stored = std::get_if<std::shared_ptr<const View>>(&view))
    return (*stored)->schema.versioned_name();
  if (const auto* windows = std::get_if<std::shared_ptr<const AggregationView>>(&view))
    return (*windows)->versioned_name();
  return std::get<std::shared_ptr<const OnDemandView>>(view)->versioned_name();
}

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_VIEW_H_
