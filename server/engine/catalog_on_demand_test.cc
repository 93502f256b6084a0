// SPDX-License-Identifier: Apache-2.0
#include "server/engine/catalog_on_demand.h"

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "fletch/v1/catalog_record.pb.h"
#include "gmock/gmock.h"
#include "server/engine/catalog.h"
#include "server/engine/catalog_test_support.h"
#include "storage/memory_kv_store.h"

namespace fletch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kRange = absl::StatusCode::kOutOfRange;
constexpr auto kMissing = absl::StatusCode::kNotFound;
constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;

std::string OnDemand(const std::string& rest) {
  return StrCat("objects { on_demand_feature_view { name: 'risk' ", rest, " } } ");
}
std::string Field(const std::string& name, const std::string& sql,
                  const std::string& type = "INT64") {
  return StrCat("fields { name: '", name, "' type: ", type, " sql: '", sql, "' } ");
}
// A feature view with scalars of these names, INT64.
std::string Scalars(const std::string& view, const std::vector<std::string>& names) {
  std::string text = StrCat("objects { feature_view { name: '", view, "' entity: 'airport' ");
  for (const std::string& name : names) text += StrCat("fields { name: '", name, "' type: INT64 }");
  return text + " } } ";
}

class CatalogOnDemandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Apply(std::string(kAirport) + kWeather + kDepartures + kDelays).ok());
  }

  absl::StatusOr<v1::ApplyResponse> Apply(const std::string& text) {
    return ApplyText(catalog_.get(), text);
  }
  std::shared_ptr<const OnDemandView> Find(const std::string& ref) const {
    const auto view = catalog_->Snapshot()->FindAnyView("demo", ref);
    EXPECT_TRUE(view.ok()) << view.status();
    if (!view.ok()) return nullptr;
    return std::get<std::shared_ptr<const OnDemandView>>(*view);
  }
  // What expression `wanted` of the view reads, as "view@v1.field" or "request.name".
  static std::vector<std::string> Reads(const OnDemandView& view, size_t wanted) {
    std::vector<std::string> names;
    for (const size_t used : view.program->UsedInputs({wanted})) {
      const OnDemandView::Source& source = view.sources[used];
      if (source.input == OnDemandView::Source::kRequest) {
        names.push_back("request." + view.request[source.field].name);
      } else {
        const OnDemandView::Input& input = view.inputs[source.input];
        names.push_back(input.versioned_name() + "." + input.field(source.field).name);
      }
    }
    return names;
  }
  void Reopen() { catalog_ = OpenCatalog(store_.get()); }

  std::unique_ptr<KvStore> store_ = NewMemoryKvStore();
  std::unique_ptr<Catalog> catalog_ = OpenCatalog(store_.get());
};

TEST_F(CatalogOnDemandTest, IsCompiledAndComesBack) {
  const auto applied = Apply(kRisk);
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_EQ(applied->changes(0).kind(), v1::ON_DEMAND_FEATURE_VIEW);
  EXPECT_EQ(applied->changes(0).change(), v1::ADDED);
  EXPECT_EQ(applied->changes(0).version(), 1u);
  for (int round = 0; round < 2; ++round) {
    const auto view = Find("risk@v1");
    ASSERT_NE(view, nullptr);
    EXPECT_EQ(view->versioned_name(), "risk@v1");
    EXPECT_EQ(view->project, "demo");
    ASSERT_EQ(view->inputs.size(), 2u);
    EXPECT_EQ(view->inputs[0].windows, catalog_->Snapshot()->AllAggregationViews()[0]);
    EXPECT_EQ(view->inputs[1].view, *catalog_->Snapshot()->FindView("demo", "weather"));
    ASSERT_EQ(view->join_keys.size(), 1u);
    EXPECT_EQ(view->join_keys[0].name, "airport");
    EXPECT_EQ(view->fields[1].type.type, ValueType::kBool);
    EXPECT_THAT(Reads(*view, 0),
                ElementsAre("delays@v1.mean_7d", "weather@v1.temperature", "request.hour"));
    EXPECT_THAT(Reads(*view, 1), ElementsAre("delays@v1.count_1h"));
    Reopen();
  }
  const auto got = catalog_->Snapshot()->Get(
      FromText<v1::GetRequest>("project: 'demo' kind: ON_DEMAND_FEATURE_VIEW name: 'risk'"));
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->object().on_demand_feature_view().version(), 1u);
  EXPECT_THAT(got->object().on_demand_feature_view().resolved_inputs(),
              ElementsAre("delays@v1", "weather@v1"));
  const auto list = catalog_->Snapshot()->List(FromText<v1::ListRequest>("project: 'demo'"));
  ASSERT_TRUE(list.ok());
  std::vector<int> kinds;
  for (const v1::Object& object : list->objects()) kinds.push_back(object.object_case());
  EXPECT_THAT(kinds, ElementsAre(v1::Object::kProject, v1::Object::kEntity,
                                 v1::Object::kFeatureView, v1::Object::kFeatureView,
                                 v1::Object::kAggregationView, v1::Object::kOnDemandFeatureView));
  ExpectError(catalog_->Snapshot()
                  ->List(FromText<v1::ListRequest>("project: 'demo' kind: TRAINING_SET"))
                  .status(),
              kInvalid, "kind", "ListTrainingSets");
}

TEST_F(CatalogOnDemandTest, RefusesWithThePath) {
  ASSERT_TRUE(Apply("objects { entity { name: 'gate' join_keys { name: 'airport' type: INT64 } } } "
                    "objects { feature_view { name: 'gates' entity: 'gate' fields { name: 'free' "
                    "type: INT64 } } } objects { feature_view { name: 'request' entity: 'airport' "
                    "fields { name: 'x' type: INT64 } } } objects { feature_view { name: 'more' "
                    "entity: 'airport' fields { name: 'wind' type: INT64 } fields { name: 'list' "
                    "type: INT64 array: true } } }" +
                    std::string(kRisk))
                  .ok());
  const auto expect = [this](const std::string& text, absl::StatusCode code,
                             const std::string& field, const std::string& message) {
    SCOPED_TRACE(text);
    ExpectError(Apply("objects { on_demand_feature_view { name: 'new' " + text + " } }").status(),
                code, StrCat("objects[0].on_demand_feature_view.", field), message);
  };
  const std::string one = Field("a", "1");
  expect("", kInvalid, "fields", "at least one");
  expect("inputs: 'snow' " + one, kMissing, "inputs[0]", "has no view \"snow\"");
  expect("inputs: 'delays' inputs: 'weather@v3' " + one, kMissing, "inputs[1]", "weather@v1");
  expect("inputs: 'risk' " + one, kInvalid, "inputs[0]", "risk is an on-demand feature view");
  expect("inputs: 'weather' inputs: 'weather@v1' " + one, kInvalid, "inputs[1]", "once");
  expect("inputs: 'request' " + one, kInvalid, "inputs[0]", "named \"request\"");
  expect("inputs: 'weather' inputs: 'gates' " + one, kInvalid, "inputs[1]",
         "the join key airport of gates@v1 is INT64, that of weather@v1 is STRING");
  expect("request { name: 'A' type: BOOL } " + one, kInvalid, "request[0].name", "no name");
  expect("request { name: 'a' } " + one, kInvalid, "request[0].type", "no scalar");
  expect("request { name: 'a' type: FLOAT_VECTOR } " + one, kInvalid, "request[0].type", "scalar");
  expect("request { name: 'a' type: BOOL } request { name: 'a' type: BOOL } " + one, kInvalid,
         "request[1].name", "earlier request column");
  expect(one + one, kInvalid, "fields[1].name", "earlier field");
  expect(Field("a", "1", "INT32"), kInvalid, "fields[0].type", "BOOL, INT64, DOUBLE or STRING");
  expect(one + Field("b", ""), kInvalid, "fields[1].sql", "");
  expect(one + Field("b", "snow + 1"), kInvalid, "fields[1].sql", "snow");
  expect("inputs: 'weather' inputs: 'more' " + Field("b", "wind"), kInvalid, "fields[0].sql",
         "weather.wind or more.wind");
  expect("inputs: 'more' " + Field("b", "list"), kInvalid, "fields[0].sql", "scalars only");
  expect(Field("b", "random()"), kInvalid, "fields[0].sql", "random");
  expect(Field("b", StrCat("1", std::string(4096, ' '))), kRange, "fields[0].sql", "4097 bytes");
  EXPECT_TRUE(Apply("dry_run: true " + OnDemand("inputs: 'delays' inputs: 'weather' request { "
                                                "name: 'hour' type: INT64 }" +
                                                Field("b", StrCat("1", std::string(4095, ' ')))))
                  .ok());
  const std::string long_text(4097, 'x');
  expect(StrCat("description: '", long_text, "' ", one), kRange, "description", "4097");
  expect(StrCat("request { name: 'a' type: BOOL description: '", long_text, "' } ", one), kRange,
         "request[0].description", "4097");
  std::string inputs, requests, fields;
  for (int i = 0; i < 33; ++i) inputs += "inputs: 'weather' ";
  for (int i = 0; i < 65; ++i) requests += StrCat("request { name: 'r", i, "' type: BOOL } ");
  for (int i = 0; i < 257; ++i) fields += Field(StrCat("f", i), "1");
  expect(inputs + one, kRange, "inputs", "33 inputs; at most 32");
  expect(requests + one, kRange, "request", "at most 64");
  expect(fields, kRange, "fields", "257 fields; at most 256");
  ExpectError(
      Apply(OnDemand(one) + "objects { feature_view { name: 'risk' entity: 'airport' } }").status(),
      kInvalid, "objects[1].feature_view.name", "name of an on-demand feature view");
}

TEST_F(CatalogOnDemandTest, PlansInWords) {
  const std::string a = "inputs: 'weather' request { name: 'hour' type: INT64 } ";
  const std::string wind = Field("x", "wind");
  struct Case {
    std::string before, after;
    v1::ChangeKind change;
    std::vector<std::string> details;
  };
  const std::vector<Case> cases = {
      {a + wind, a + wind, v1::UNCHANGED, {}},
      {a + wind, a + wind + "version: 3 resolved_inputs: 'x'", v1::UNCHANGED, {}},
      {a + wind, a + wind + "description: 'x'", v1::CHANGED, {"the description changes"}},
      {a + wind,
       "inputs: 'weather@v1' request { name: 'hour' type: INT64 } " + wind,
       v1::CHANGED,
       {"the inputs are written otherwise and stay the same"}},
      {a + wind,
       "inputs: 'weather' request { name: 'hour' type: INT64 description: 'x' } " + wind,
       v1::CHANGED,
       {"the description of request column hour changes"}},
      {a + wind, a + wind + Field("y", "hour"), v1::CHANGED, {"field y INT64 is added"}},
      {a + wind,
       a + Field("y", "hour") + wind,
       v1::BREAKING,
       {"field y INT64 is added", "fields stand in another order; add new fields at the end"}},
      {a + wind, a + Field("x", "wind+1"), v1::BREAKING, {"the expression of field x changes"}},
      {a + wind,
       a + Field("x", "wind", "BOOL"),
       v1::BREAKING,
       {"field x was INT64 and becomes BOOL"}},
      {a + wind,
       a + Field("y", "wind"),
       v1::BREAKING,
       {"field x is removed", "field y INT64 is added"}},
      {a + wind,
       a + "request { name: 'day' type: INT64 } " + wind,
       v1::BREAKING,
       {"request column day INT64 is added"}},
      {a + wind, "inputs: 'weather' " + wind, v1::BREAKING, {"request column hour is removed"}},
      {a + wind,
       "inputs: 'weather' request { name: 'hour' type: STRING } " + wind,
       v1::BREAKING,
       {"request column hour was INT64 and becomes STRING"}},
      {a + wind, "inputs: 'delays' " + a + wind, v1::BREAKING, {"reads delays@v1 too"}},
      {"inputs: 'delays' " + a + wind, a + wind, v1::BREAKING, {"reads delays@v1 no more"}},
      {"inputs: 'delays' inputs: 'weather' " + wind,
       "inputs: 'weather' inputs: 'delays' " + wind,
       v1::BREAKING,
       {"the inputs stand in another order"}},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.before + " -> " + one.after);
    auto store = NewMemoryKvStore();
    const auto catalog = OpenCatalog(store.get());
    const auto made = ApplyText(catalog.get(), std::string(kAirport) + kWeather + kDepartures +
                                                   kDelays + OnDemand(one.before));
    ASSERT_TRUE(made.ok()) << made.status();
    const auto plan = ApplyText(catalog.get(), "allow_breaking: true " + OnDemand(one.after));
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(plan->changes(0).change(), one.change);
    EXPECT_EQ(plan->changes(0).version(), one.change == v1::BREAKING ? 2u : 1u);
    EXPECT_EQ(std::vector<std::string>(plan->changes(0).details().begin(),
                                       plan->changes(0).details().end()),
              one.details);
  }
}

TEST_F(CatalogOnDemandTest, InputsAreFixedUntilAppliedAgain) {
  ASSERT_TRUE(Apply(std::string(kRisk) +
                    "objects { feature_service { name: 'model' features: 'risk:busy' } }")
                  .ok());
  std::string changed = kWeather;
  changed.replace(changed.find("DOUBLE"), 6, "INT64");
  const auto applied = Apply("allow_breaking: true " + changed);
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_THAT(applied->changes(0).details(),
              ElementsAre("field temperature was DOUBLE and becomes INT64",
                          "risk@v1 goes on reading weather@v1"));
  EXPECT_THAT(applied->changes(0).affected_services(), ElementsAre("model"));  // through risk
  EXPECT_EQ(Find("risk")->inputs[1].view->schema.version, 1u);
  const auto again = Apply(kRisk);
  ExpectError(again.status(), kPrecondition, "objects[0].on_demand_feature_view",
              "on-demand feature view risk: reads weather@v2 instead of weather@v1 (read by "
              "feature service model; version 2 would be made)");
  const auto second = Apply(std::string("allow_breaking: true ") + kRisk);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(Find("risk")->inputs[1].view->schema.version, 2u);
  EXPECT_THAT(Reads(*Find("risk@v1"), 0),
              ElementsAre("delays@v1.mean_7d", "weather@v1.temperature", "request.hour"));
  Reopen();
  EXPECT_EQ(Find("risk")->inputs[1].view->schema.version, 2u);
  EXPECT_EQ(Find("risk@v1")->inputs[1].view->schema.version, 1u);
}

// A compatible change of an input must neither be refused nor change what an expression means.
TEST_F(CatalogOnDemandTest, FieldsAddedToInputsLaterMakeNoNameAmbiguous) {
  const std::string inputs = "inputs: 'one' inputs: 'two' ";
  ASSERT_TRUE(
      Apply(Scalars("one", {"a"}) + Scalars("two", {"b"}) + OnDemand(inputs + Field("x", "a")))
          .ok());
  ASSERT_TRUE(Apply(Scalars("two", {"b", "a", "c"})).ok());
  EXPECT_EQ(Find("risk")->inputs[1].view, *catalog_->Snapshot()->FindView("demo", "two"));
  const auto same = Apply(OnDemand(inputs + Field("x", "a")));
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(same->changes(0).change(), v1::UNCHANGED);
  ASSERT_TRUE(Apply(OnDemand(inputs + Field("x", "a") + "description: 'd'")).ok());
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(Reads(*Find("risk"), 0), ElementsAre("one@v1.a"));
    Reopen();
  }
  // A new expression sees the new fields; then the old ones must be clear among them too.
  ExpectError(Apply(OnDemand(inputs + Field("x", "a") + Field("y", "c"))).status(), kInvalid,
              "objects[0].on_demand_feature_view.fields[0].sql", "one.a or two.a");
  ASSERT_TRUE(
      Apply("allow_breaking: true " + OnDemand(inputs + Field("x", "one.a") + Field("y", "c")))
          .ok());
  Reopen();
  EXPECT_THAT(Reads(*Find("risk"), 1), ElementsAre("two@v1.c"));
  EXPECT_THAT(Reads(*Find("risk@v1"), 0), ElementsAre("one@v1.a"));
}

TEST_F(CatalogOnDemandTest, ADamagedRecordIsDataLoss) {
  ASSERT_TRUE(Apply(kRisk).ok());
  v1::CatalogRecord good;
  ASSERT_TRUE(good.ParseFromString(**store_->Get(Family::kMeta, "catalog")));
  const auto expect = [&](auto damage, const std::string& message) {
    v1::CatalogRecord record = good;
    damage(record.mutable_projects(0)->mutable_on_demand_views(0));
    KvBatch batch;
    batch.Put(Family::kMeta, "catalog", record.SerializeAsString());
    ASSERT_TRUE(store_->Write(batch, true).ok());
    const auto opened = Catalog::Open(store_.get()).status();
    EXPECT_EQ(opened.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(opened.message()), HasSubstr(message));
  };
  using Record = v1::OnDemandRecord*;
  const std::string risk = "on-demand feature view risk ";
  expect([](Record record) { record->mutable_spec()->set_version(2); }, risk + "lacks version 1");
  expect([](Record record) { record->mutable_spec()->set_resolved_inputs(0, "x@v1"); },
         risk + "reads unknown view x@v1");
  expect([](Record record) { record->clear_field_counts(); }, risk + "is not resolved");
  expect([](Record record) { record->set_field_counts(0, 3); }, "names 3 fields of delays@v1");
  expect([](Record record) { record->mutable_spec()->mutable_fields(0)->set_sql("nothing"); },
         "on-demand feature view risk: INVALID_ARGUMENT");
}

}  // namespace
}  // namespace fletch
