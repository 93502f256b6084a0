// SPDX-License-Identifier: Apache-2.0
// Plans that read windows and expressions.
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "server/engine/catalog_test_support.h"
#include "server/engine/feature_plan.h"
#include "server/engine/window_plan.h"
#include "storage/memory_kv_store.h"

namespace fletch {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kMissing = absl::StatusCode::kNotFound;
constexpr size_t kUnused = PlanExpressions::kUnused;

// Of entities with other keys: route by (source, number), gate by an INT64 airport.
constexpr char kOthers[] =
    "objects { entity { name: 'route' join_keys { name: 'source' type: STRING } join_keys { name: "
    "'number' type: INT64 } } } objects { feature_view { name: 'flights' entity: 'route' fields { "
    "name: 'seats' type: INT64 } } } objects { entity { name: 'gate' join_keys { name: 'airport' "
    "type: INT64 } } } objects { feature_view { name: 'gates' entity: 'gate' fields { name: 'free' "
    "type: INT64 } } } objects { on_demand_feature_view { name: 'mixed' inputs: 'flights' inputs: "
    "'weather' request { name: 'hour' type: STRING } request { name: 'day' type: TIMESTAMP } "
    "fields { name: 'load' type: INT64 sql: 'seats * wind' } fields { name: 'seats' type: INT64 "
    "sql: 'flights.seats' } fields { name: 'late' type: BOOL sql: \"hour = 'x'\" } fields { name: "
    "'one' type: INT64 sql: '1' } fields { name: 'asked' type: BOOL sql: 'day IS NULL' } } } ";

class FeaturePlanViewsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto applied = ApplyText(
        catalog_.get(), std::string(kAirport) + kWeather + kDepartures + kDelays + kRisk + kOthers);
    ASSERT_TRUE(applied.ok()) << applied.status();
  }

  absl::StatusOr<std::shared_ptr<const FeaturePlan>> Plan(std::vector<std::string> features,
                                                          std::vector<BindingSpec> bindings = {}) {
    return MakeFeaturePlan(
        *catalog_->Snapshot(), "demo",
        {.feature_service = "", .features = std::move(features), .bindings = std::move(bindings)});
  }
  std::shared_ptr<const FeaturePlan> PlanOf(std::vector<std::string> features,
                                            std::vector<BindingSpec> bindings = {}) {
    auto plan = Plan(std::move(features), std::move(bindings));
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.ok() ? *plan : nullptr;
  }

  std::unique_ptr<KvStore> store_ = NewMemoryKvStore();
  std::unique_ptr<Catalog> catalog_ = OpenCatalog(store_.get());
};

std::vector<std::string> Resolved(const std::vector<PlanColumn>& columns) {
  std::vector<std::string> names;
  for (const PlanColumn& column : columns) names.push_back(column.resolved);
  return names;
}

// "delays@v1: 0->1, 1->0 by airport" for each view that is read.
std::vector<std::string> Reads(const FeaturePlan& plan) {
  std::vector<std::string> reads;
  for (const PlanGroup& group : plan.groups) {
    for (const PlanView& view : group.views) {
      EXPECT_NE(view.view == nullptr, view.windows == nullptr);
      std::string text = StrCat(view.view != nullptr ? view.view->schema.versioned_name()
                                                     : view.windows->versioned_name(),
                                ":");
      for (const PlanField& field : view.fields)
        text += StrCat(" ", field.field, "->", field.column);
      for (const std::string& key : group.key_columns) text += StrCat(" ", key);
      reads.push_back(text);
    }
  }
  return reads;
}

// Of an expression view: where each input comes from, by name; what is not used is left out.
std::vector<std::string> Inputs(const PlanExpressions& expressions) {
  std::vector<std::string> inputs;
  const OnDemandView& view = *expressions.view;
  EXPECT_EQ(expressions.input_columns.size(), view.sources.size());
  EXPECT_EQ(expressions.input_slots.size(), view.sources.size());
  for (size_t i = 0; i < view.sources.size(); ++i) {
    const OnDemandView::Source& source = view.sources[i];
    if (expressions.input_columns[i] != kUnused) {
      EXPECT_EQ(expressions.input_slots[i], kUnused);
      inputs.push_back(StrCat(view.inputs[source.input].field(source.field).name, "=column ",
                              expressions.input_columns[i]));
    } else if (expressions.input_slots[i] != kUnused) {
      inputs.push_back(
          StrCat(view.request[source.field].name, "=slot ", expressions.input_slots[i]));
    }
  }
  return inputs;
}

TEST_F(FeaturePlanViewsTest, WindowsAreReadBesideTheRowsOfTheirEntity) {
  const auto plan = PlanOf({"delays:count_1h", "weather:wind", "delays@v1:mean_7d"});
  ASSERT_NE(plan, nullptr);
  EXPECT_THAT(Resolved(plan->columns),
              ElementsAre("delays@v1:count_1h", "weather@v1:wind", "delays@v1:mean_7d"));
  EXPECT_EQ(plan->columns[0].type.type, ValueType::kInt64);
  EXPECT_EQ(plan->columns[2].type.type, ValueType::kDouble);
  EXPECT_EQ(plan->groups.size(), 1u);  // one look-up a row
  EXPECT_THAT(Reads(*plan),
              ElementsAre("delays@v1: 1->0 0->2 airport", "weather@v1: 1->1 airport"));
  EXPECT_THAT(plan->hidden, IsEmpty());
  EXPECT_THAT(plan->context, IsEmpty());
  const PlanView& windows = plan->groups[0].views[0];
  EXPECT_EQ(windows.layout().field(0).name, "mean_7d");
  ASSERT_NE(windows.window_plan, nullptr);
  EXPECT_EQ(windows.window_plan->wanted().size(), 2u);
  EXPECT_EQ(plan->groups[0].views[1].window_plan, nullptr);
}

TEST_F(FeaturePlanViewsTest, ExpressionsReadHiddenColumnsOrThoseThatAreAskedFor) {
  const auto plan = PlanOf({"risk:icy_and_late", "weather:temperature"});
  ASSERT_NE(plan, nullptr);
  EXPECT_THAT(Resolved(plan->columns),
              ElementsAre("risk@v1:icy_and_late", "weather@v1:temperature"));
  EXPECT_EQ(plan->columns[0].type.type, ValueType::kBool);
  EXPECT_THAT(Resolved(plan->hidden), ElementsAre("delays@v1:mean_7d"));
  EXPECT_EQ(plan->hidden[0].type.type, ValueType::kDouble);
  EXPECT_THAT(Reads(*plan), ElementsAre("delays@v1: 0->2 airport", "weather@v1: 0->1 airport"));
  EXPECT_THAT(plan->key_columns, ElementsAre("airport"));
  ASSERT_EQ(plan->expressions.size(), 1u);
  EXPECT_THAT(plan->expressions[0].wanted, ElementsAre(0));
  EXPECT_EQ(plan->expressions[0].fields[0].column, 0u);
  EXPECT_THAT(Inputs(plan->expressions[0]),
              ElementsAre("mean_7d=column 2", "temperature=column 1", "hour=slot 0"));
  ASSERT_EQ(plan->context.size(), 1u);
  EXPECT_EQ(plan->context[0].name, "hour");
  EXPECT_EQ(plan->groups[0].views[0].window_plan->wanted()[0].aggregation, 0u);
}

TEST_F(FeaturePlanViewsTest, OnlyWhatTheWantedExpressionsUseIsRead) {
  auto plan = PlanOf({"risk:busy"});
  ASSERT_NE(plan, nullptr);
  EXPECT_THAT(Reads(*plan), ElementsAre("delays@v1: 1->1 airport"));
  EXPECT_THAT(plan->context, IsEmpty());
  plan = PlanOf({"mixed:seats"});
  EXPECT_THAT(plan->key_columns, ElementsAre("source", "number"));
  plan = PlanOf({"mixed:load", "mixed:seats", "mixed@v1:seats"});
  EXPECT_THAT(plan->key_columns, ElementsAre("source", "number", "airport"));
  EXPECT_THAT(Reads(*plan),
              ElementsAre("flights@v1: 0->3 source number", "weather@v1: 1->4 airport"));
  ASSERT_EQ(plan->expressions.size(), 1u);
  EXPECT_THAT(plan->expressions[0].wanted, ElementsAre(0, 1, 1));
  EXPECT_THAT(Inputs(plan->expressions[0]), ElementsAre("seats=column 3", "wind=column 4"));
  plan = PlanOf({"mixed:one"});
  EXPECT_THAT(plan->groups, IsEmpty());
  EXPECT_THAT(plan->key_columns, IsEmpty());
  EXPECT_TRUE(BindKeys(*plan, {}, 2, "keys").ok());
}

TEST_F(FeaturePlanViewsTest, ARoleRenamesTheKeysOfAllInputs) {
  const auto plan = PlanOf({"from:load", "to:load", "from:one", "origin:busy", "risk:busy"},
                           {{"from", "mixed", {{"airport", "a"}, {"source", "s"}}},
                            {"to", "mixed", {{"airport", "b"}, {"source", "s"}}},
                            {"origin", "risk@v1", {{"airport", "a"}}}});
  ASSERT_NE(plan, nullptr);
  EXPECT_THAT(plan->key_columns, ElementsAre("s", "number", "a", "b", "airport"));
  EXPECT_THAT(Reads(*plan),
              ElementsAre("flights@v1: 0->5 s number", "weather@v1: 1->6 a", "delays@v1: 1->8 a",
                          "weather@v1: 1->7 b", "delays@v1: 1->9 airport"));
  ASSERT_EQ(plan->expressions.size(), 4u);  // from, to, origin, risk
  EXPECT_THAT(plan->expressions[0].wanted, ElementsAre(0, 3));
  EXPECT_THAT(Inputs(plan->expressions[1]), ElementsAre("seats=column 5", "wind=column 7"));
  EXPECT_THAT(Inputs(plan->expressions[2]), ElementsAre("count_1h=column 8"));
}

TEST_F(FeaturePlanViewsTest, RefusesWithThePath) {
  const auto expect = [&](std::vector<std::string> features, std::vector<BindingSpec> bindings,
                          absl::StatusCode code, const std::string& field,
                          const std::string& message) {
    SCOPED_TRACE(message);
    ExpectError(Plan(std::move(features), std::move(bindings)).status(), code, field, message);
  };
  expect({"delays:snow"}, {}, kMissing, "features[0]",
         "aggregation view delays@v1 has no field \"snow\"");
  expect({"risk@v1:snow"}, {}, kMissing, "features[0]",
         "on-demand feature view risk@v1 has no field \"snow\"");
  expect({"risk@v2:busy"}, {}, kMissing, "features[0]", "risk@v1");
  expect({"a:busy"}, {{"a", "risk", {{"gate", "x"}}}}, kInvalid, "bindings[0].join_key_map.gate",
         "no join key of risk@v1; it has airport");
  expect({"a:load"}, {{"a", "mixed", {{"x", "y"}}}}, kInvalid, "bindings[0].join_key_map.x",
         "it has source, number, airport");
  expect({"a:one"}, {{"a", "mixed", {}}, {"risk", "weather", {}}}, kInvalid, "bindings[1].alias",
         "another alias");
  expect({"delays:count_1h", "gates:free"}, {}, kInvalid, "features[1]",
         "\"airport\" would be STRING for one view and INT64 for gates@v1");
  expect({"gates:free", "mixed:load"}, {}, kInvalid, "features[1]", "STRING for weather@v1");
  expect({"risk:icy_and_late", "mixed:late"}, {}, kInvalid, "features[1]",
         "request column \"hour\" is INT64 for risk@v1 and STRING for mixed@v1");
  expect({"a:icy_and_late"}, {{"a", "risk", {{"airport", "hour"}}}}, kInvalid, "bindings",
         "request column \"hour\" of risk@v1 has the name of a key column");
}

NamedColumn Int32s(std::string name, std::vector<int32_t> values) {
  NamedColumn out;
  out.name = std::move(name);
  out.column.type.type = ValueType::kInt32;
  out.column.row_count = values.size();
  out.column.int32s = std::move(values);
  return out;
}

TEST_F(FeaturePlanViewsTest, TheContextIsBoundAndChecked) {
  const auto plan = PlanOf({"risk:icy_and_late", "mixed:asked"});
  ASSERT_NE(plan, nullptr);
  NamedColumn day = Int32s("day", {});
  day.column.type.type = ValueType::kTimestamp;
  day.column.row_count = 3;
  day.column.int64s = {1, 0, 2};
  day.column.null_rows = {1};
  std::vector<NamedColumn> given = {day, Int32s("hour", {7})};
  const auto bound = BindContext(*plan, given, 3, "request_context");
  ASSERT_TRUE(bound.ok()) << bound.status();
  ASSERT_EQ(bound->columns.size(), 2u);
  EXPECT_THAT(bound->columns[0]->int64s, ElementsAre(7));  // hour: INT32 was widened
  EXPECT_EQ(bound->columns[0]->type.type, ValueType::kInt64);
  EXPECT_EQ(bound->columns[1], &given[0].column);

  const auto expect = [&](std::vector<NamedColumn> context, const std::string& field,
                          const std::string& message) {
    SCOPED_TRACE(message);
    ExpectError(BindContext(*plan, context, 3, "request_context").status(), kInvalid, field,
                message);
  };
  expect({}, "request_context.hour", "missing; these features take hour, day");
  expect({Int32s("hour", {1})}, "request_context.day", "missing");
  expect({day, Int32s("hour", {1}), day}, "request_context.day", "given twice");
  expect({day, Int32s("hour", {1}), Int32s("snow", {1})}, "request_context.snow",
         "no request column");
  expect({day, Int32s("hour", {1, 2})}, "request_context.hour", "");
  NamedColumn text = day;
  text.name = "hour";
  text.column.type.type = ValueType::kString;
  text.column.strings = {"a", "b", "c"};
  expect({day, text}, "request_context.hour", "");
  const auto none = PlanOf({"weather:wind"});
  EXPECT_TRUE(BindContext(*none, {}, 3, "request_context").ok());
  ExpectError(BindContext(*none, given, 3, "request_context").status(), kInvalid,
              "request_context.day", "they take none");
}

// The specs of api.md.
class ApiExampleTest : public ::testing::Test {
 protected:
  static v1::ApplyRequest Request() {
    auto request = FromText<v1::ApplyRequest>(
        "project: 'demo' objects { project { name: 'demo' } } objects { entity { name: 'airport' "
        "join_keys { name: 'airport' type: STRING } } } objects { feature_view { name: "
        "'airport_weather' entity: 'airport' ttl { seconds: 10800 } fields { name: 'temperature_c' "
        "type: DOUBLE description: 'air temperature, degrees Celsius' } } } objects { feature_view "
        "{ name: 'airport_profile' entity: 'airport' fields { name: 'profile' type: FLOAT_VECTOR "
        "dimension: 48 index { metric: COSINE } } } } objects { feature_view { name: 'departures' "
        "entity: 'airport' event_key { name: 'flight' type: STRING } fields { name: 'delay_min' "
        "type: INT64 } } } objects { aggregation_view { name: 'airport_delays' source: "
        "'departures' aggregations { name: 'mean_delay_7d' column: 'delay_min' function: MEAN "
        "window { seconds: 604800 } } } } objects { on_demand_feature_view { name: 'risk' inputs: "
        "'airport_delays' inputs: 'airport_weather' request { name: 'hour' type: INT64 } fields { "
        "name: 'icy_and_late' type: BOOL sql: 'temperature_c < 0 AND mean_delay_7d > 15 AND hour < "
        "9' } } } objects { feature_service { name: 'delay_model' features: "
        "'origin:mean_delay_7d' features: 'destination:mean_delay_7d' features: "
        "'origin_risk:icy_and_late' } }");
    auto* service = request.mutable_objects(request.objects_size() - 1)->mutable_feature_service();
    const auto bind = [service](const char* alias, const char* view, const char* column) {
      v1::Binding* binding = service->add_bindings();
      binding->set_alias(alias);
      binding->set_feature_view(view);
      (*binding->mutable_join_key_map())["airport"] = column;
    };
    bind("origin", "airport_delays", "origin");
    bind("destination", "airport_delays", "destination");
    bind("origin_risk", "risk", "origin");
    return request;
  }

  std::unique_ptr<KvStore> store_ = NewMemoryKvStore();
  std::unique_ptr<Catalog> catalog_ = OpenCatalog(store_.get());
};

TEST_F(ApiExampleTest, AppliesAndPlans) {
  const auto applied = catalog_->Apply(Request(), NoReaders);
  ASSERT_TRUE(applied.ok()) << applied.status();
  for (const v1::PlannedChange& change : applied->changes()) EXPECT_EQ(change.change(), v1::ADDED);
  // Later versions of all that it reads, and a later view with an alias's name, change no plan.
  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE(round);
    const auto found =
        MakeFeaturePlan(*catalog_->Snapshot(), "demo",
                        {.feature_service = "delay_model", .features = {}, .bindings = {}});
    ASSERT_TRUE(found.ok()) << found.status();
    const FeaturePlan& plan = **found;
    EXPECT_THAT(Resolved(plan.columns),
                ElementsAre("airport_delays@v1:mean_delay_7d", "airport_delays@v1:mean_delay_7d",
                            "risk@v1:icy_and_late"));
    EXPECT_EQ(plan.columns[2].ref, "origin_risk:icy_and_late");
    EXPECT_THAT(plan.key_columns, ElementsAre("origin", "destination"));
    EXPECT_THAT(Resolved(plan.hidden), ElementsAre("airport_weather@v1:temperature_c"));
    // The expression reads the mean that is asked for anyway.
    EXPECT_THAT(Reads(plan),
                ElementsAre("airport_delays@v1: 0->0 origin", "airport_weather@v1: 0->3 origin",
                            "airport_delays@v1: 0->1 destination"));
    ASSERT_EQ(plan.expressions.size(), 1u);
    EXPECT_THAT(Inputs(plan.expressions[0]),
                ElementsAre("mean_delay_7d=column 0", "temperature_c=column 3", "hour=slot 0"));
    if (round == 0) catalog_ = OpenCatalog(store_.get());
    if (round != 1) continue;
    v1::ApplyRequest next = Request();
    next.mutable_objects()->DeleteSubrange(next.objects_size() - 1, 1);
    for (v1::Object& object : *next.mutable_objects()) {
      if (!object.has_feature_view()) continue;
      object.mutable_feature_view()->mutable_ttl()->set_seconds(77);
    }
    v1::Object* origin = next.add_objects();
    *origin = next.objects(2);
    origin->mutable_feature_view()->set_name("origin");
    next.set_allow_breaking(true);
    const auto changed = catalog_->Apply(next, NoReaders);
    ASSERT_TRUE(changed.ok()) << changed.status();
    EXPECT_EQ(changed->changes(6).name(), "risk");
    EXPECT_EQ(changed->changes(6).version(), 2u);
    EXPECT_THAT(changed->changes(6).affected_services(), ElementsAre("delay_model"));
  }
}

}  // namespace
}  // namespace fletch
