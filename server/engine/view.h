// SPDX-License-Identifier: Apache-2.0
// What can be read: stored views, windows over them, expressions. Immutable once made; held by the
// catalog's snapshots and by plans.
#ifndef FLETCH_SERVER_ENGINE_VIEW_H_
#define FLETCH_SERVER_ENGINE_VIEW_H_

#include <cstdint>
#include <memory>
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
  };
  std::string project;
  std::string name;
  uint64_t version = 1;
  std::vector<Input> inputs;
  std::vector<FieldSchema> request;             // scalar columns of the request_context
  std::vector<FieldSchema> fields;              // what the expressions yield
  // Reads only the inputs that its expressions use; program->inputs() names them.
  std::shared_ptr<const ExpressionProgram> program;

  std::string versioned_name() const { return name + "@v" + std::to_string(version); }
};

using AnyView = std::variant<std::shared_ptr<const View>, std::shared_ptr<const AggregationView>,
                             std::shared_ptr<const OnDemandView>>;

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_VIEW_H_
