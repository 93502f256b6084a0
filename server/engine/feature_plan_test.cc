// SPDX-License-Identifier: Apache-2.0
#include "server/engine/feature_plan.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "server/engine/catalog_test_support.h"
#include "storage/memory_kv_store.h"

namespace fletch {
namespace {

using ::testing::ElementsAre;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kRange = absl::StatusCode::kOutOfRange;
constexpr auto kMissing = absl::StatusCode::kNotFound;

class FeaturePlanTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto applied = ApplyText(
        catalog_.get(),
        std::string(kAirport) + kWeather +
            "objects { feature_view { name: 'profile' entity: 'airport' fields { name: 'open' "
            "type: BOOL } "
            "fields { name: 'vector' type: FLOAT_VECTOR dimension: 2 } } } "
            "objects { entity { name: 'route' join_keys { name: 'source' type: STRING } join_keys "
            "{ name: 'number' "
            "type: INT64 } } } "
            "objects { feature_view { name: 'delays' entity: 'route' fields { name: 'mean' type: "
            "DOUBLE } } } "
            "objects { entity { name: 'gate' join_keys { name: 'airport' type: INT64 } } } "
            "objects { feature_view { name: 'gates' entity: 'gate' fields { name: 'free' type: "
            "BOOL } } }");
    ASSERT_TRUE(applied.ok()) << applied.status();
  }

  absl::StatusOr<std::shared_ptr<const FeaturePlan>> Plan(const Selection& selection) {
    return MakeFeaturePlan(*catalog_->Snapshot(), "demo", selection);
  }
  std::shared_ptr<const FeaturePlan> PlanOf(std::vector<std::string> features,
                                            std::vector<BindingSpec> bindings = {}) {
    auto plan = Plan(
        {.feature_service = "", .features = std::move(features), .bindings = std::move(bindings)});
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.ok() ? *plan : nullptr;
  }

  std::unique_ptr<KvStore> store_ = NewMemoryKvStore();
  std::unique_ptr<Catalog> catalog_ = OpenCatalog(store_.get());
};

std::vector<std::string> Resolved(const FeaturePlan& plan) {
  std::vector<std::string> names;
  for (const PlanColumn& column : plan.columns)
    names.push_back(column.ref + " = " + column.resolved);
  return names;
}

TEST_F(FeaturePlanTest, ViewsOfOneEntityAreOneGroup) {
  const auto plan =
      PlanOf({"weather:wind", "delays:mean", "profile:open", "weather@v1:temperature"});
  ASSERT_NE(plan, nullptr);
  EXPECT_EQ(plan->catalog_revision, 1u);
  EXPECT_THAT(Resolved(*plan),
              ElementsAre("weather:wind = weather@v1:wind", "delays:mean = delays@v1:mean",
                          "profile:open = profile@v1:open",
                          "weather@v1:temperature = weather@v1:temperature"));
  EXPECT_THAT(plan->key_columns, ElementsAre("airport", "source", "number"));
  EXPECT_FALSE(plan->reads_vectors);
  ASSERT_EQ(plan->groups.size(), 2u);
  const PlanGroup& airport = plan->groups[0];
  EXPECT_THAT(airport.key_columns, ElementsAre("airport"));
  ASSERT_EQ(airport.views.size(), 2u);
  ASSERT_EQ(airport.views[0].fields.size(), 2u);
  EXPECT_EQ(airport.views[0].fields[0].field, 1u);
  EXPECT_EQ(airport.views[0].fields[0].column, 0u);
  EXPECT_EQ(airport.views[0].fields[1].field, 0u);
  EXPECT_EQ(airport.views[0].fields[1].column, 3u);
  EXPECT_EQ(airport.views[1].fields[0].column, 2u);
  EXPECT_THAT(plan->groups[1].key_slots, ElementsAre(1, 2));
  EXPECT_EQ(plan->groups[1].join_keys[1].type, ValueType::kInt64);
}

TEST_F(FeaturePlanTest, RolesOfOneEntityAreGroupsOfTheirOwn) {
  const std::vector<BindingSpec> bindings = {
      {"origin", "weather", {{"airport", "from"}}},
      {"origin_profile", "profile@v1", {{"airport", "from"}}},
      {"destination", "weather", {{"airport", "to"}}},
      {"plain", "weather", {}}};
  const auto plan = PlanOf(
      {"origin:wind", "destination:wind", "origin_profile:vector", "plain:wind", "weather:wind"},
      bindings);
  ASSERT_NE(plan, nullptr);
  ASSERT_EQ(plan->groups.size(), 3u);
  EXPECT_THAT(plan->key_columns, ElementsAre("from", "to", "airport"));
  ASSERT_EQ(plan->groups[0].views.size(), 2u);
  EXPECT_FALSE(plan->groups[0].views[0].reads_vectors);
  EXPECT_TRUE(plan->groups[0].views[1].reads_vectors);
  EXPECT_TRUE(plan->reads_vectors);
  ASSERT_EQ(plan->groups[2].views.size(),
            1u);  // an alias and the view itself, with the same key: one look-up
  EXPECT_EQ(plan->groups[2].views[0].fields.size(), 2u);
  EXPECT_EQ(plan->columns[0].ref, "origin:wind");
  EXPECT_EQ(plan->columns[0].resolved, "weather@v1:wind");
  EXPECT_EQ(plan->columns[2].type.dimension, 2u);
}

TEST_F(FeaturePlanTest, AServiceIsReadAsItWasApplied) {
  ASSERT_TRUE(
      ApplyText(catalog_.get(),
                "objects { feature_service { name: 'model' features: 'weather:wind' features: "
                "'origin:wind' "
                "bindings { alias: 'origin' feature_view: 'weather' } } }")
          .ok());
  ASSERT_TRUE(
      ApplyText(catalog_.get(),
                "allow_breaking: true objects { feature_view { name: 'weather' entity: 'airport' "
                "fields { name: 'wind' type: STRING } } } "
                "objects { feature_view { name: 'origin' entity: 'airport' fields { name: 'wind' "
                "type: BOOL } } }")
          .ok());
  const auto plan = Plan({.feature_service = "model", .features = {}, .bindings = {}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(Resolved(**plan),
              ElementsAre("weather:wind = weather@v1:wind", "origin:wind = weather@v1:wind"));
  EXPECT_EQ((*plan)->columns[0].type.type, ValueType::kInt64);
  EXPECT_EQ(PlanOf({"weather:wind"})->columns[0].resolved, "weather@v2:wind");
}

// A ref of a service is no ref of the project: its aliases are the service's own.
TEST_F(FeaturePlanTest, AnAliasOfAServiceAloneIsRefusedWithAHint) {
  ASSERT_TRUE(ApplyText(catalog_.get(),
                        "objects { feature_service { name: 'model' features: 'origin:wind' "
                        "bindings { alias: 'origin' feature_view: 'weather' } } }")
                  .ok());
  ExpectError(
      Plan({.feature_service = "", .features = {"weather:wind", "origin:wind"}, .bindings = {}})
          .status(),
      kMissing, "features[1]", "aliases belong to a feature service");
}

TEST_F(FeaturePlanTest, RefusesWithThePath) {
  const auto expect = [this](const Selection& selection, absl::StatusCode code,
                             const std::string& field, const std::string& message) {
    SCOPED_TRACE(message);
    ExpectError(Plan(selection).status(), code, field, message);
  };
  const auto features = [](std::vector<std::string> refs) {
    return Selection{.feature_service = "", .features = std::move(refs), .bindings = {}};
  };
  const auto bound = [](std::vector<BindingSpec> bindings, std::string ref) {
    return Selection{
        .feature_service = "", .features = {std::move(ref)}, .bindings = std::move(bindings)};
  };
  expect({}, kInvalid, "features", "at least one");
  for (const char* ref : {"weather", "", ":", "weather:", ":wind", "weather:wind:x"}) {
    expect(features({"weather:wind", ref}), kInvalid, "features[1]", "no feature ref");
  }
  expect(features({"weather:wind", "weather:wind"}), kInvalid, "features[1]", "twice");
  expect(features({"snow:wind"}), kMissing, "features[0]",
         "no view \"snow\"; aliases belong to a feature service, or to bindings of the request");
  expect(features({"weather@v2:wind"}), kMissing, "features[0]", "weather@v1");
  expect(features({"weather:snow"}), kMissing, "features[0]", "weather@v1 has no field \"snow\"");
  expect(features({"weather:wind", "gates:free"}), kInvalid, "features[1]",
         "\"airport\" would be STRING");
  expect(features(std::vector<std::string>(1025, "weather:wind")), kRange, "features",
         "at most 1024");
  expect(bound(std::vector<BindingSpec>(65), "a:wind"), kRange, "bindings", "at most 64");
  expect(bound({{"A", "weather", {}}}, "A:wind"), kInvalid, "bindings[0].alias", "no name");
  expect(bound({{"a", "weather", {}}, {"a", "weather", {}}}, "a:wind"), kInvalid,
         "bindings[1].alias", "twice");
  expect(bound({{"profile", "weather", {}}}, "profile:wind"), kInvalid, "bindings[0].alias",
         "another alias");
  expect(bound({{"a", "snow", {}}}, "a:wind"), kMissing, "bindings[0].feature_view", "snow");
  expect(bound({{"a", "weather", {{"gate", "x"}}}}, "a:wind"), kInvalid,
         "bindings[0].join_key_map.gate", "it has airport");
  expect(bound({{"a", "weather", {{"airport", ""}}}}, "a:wind"), kInvalid,
         "bindings[0].join_key_map.airport", "missing");
  expect(bound({{"a", "weather", {{"airport", "a:wind"}}}}, "a:wind"), kInvalid, "bindings",
         "output column");
  expect({.feature_service = "model", .features = {}, .bindings = {}}, kMissing, "feature_service",
         "model");
  expect({.feature_service = "model", .features = {"weather:wind"}, .bindings = {}}, kInvalid,
         "features", "both");
  expect({.feature_service = "model", .features = {}, .bindings = {{"a", "weather", {}}}}, kInvalid,
         "bindings", "own");
  ExpectError(MakeFeaturePlan(*catalog_->Snapshot(), "x", features({"weather:wind"})).status(),
              kMissing, "project", "x");
}

NamedColumn Strings(std::string name, std::vector<std::string> values) {
  NamedColumn key;
  key.name = std::move(name);
  key.column.type.type = ValueType::kString;
  key.column.row_count = values.size();
  key.column.strings = std::move(values);
  return key;
}

NamedColumn Int32s(std::string name, std::vector<int32_t> values) {
  NamedColumn key;
  key.name = std::move(name);
  key.column.type.type = ValueType::kInt32;
  key.column.row_count = values.size();
  key.column.int32s = std::move(values);
  return key;
}

TEST_F(FeaturePlanTest, KeysAreBoundInJoinKeyOrder) {
  const auto plan = PlanOf({"delays:mean", "origin:wind", "weather:wind"},
                           {{"origin", "weather", {{"airport", "source"}}}});
  ASSERT_NE(plan, nullptr);
  EXPECT_THAT(plan->key_columns, ElementsAre("source", "number", "airport"));
  const std::vector<NamedColumn> keys = {
      Int32s("number", {7, -1}), Strings("airport", {"SFO", "JFK"}), Strings("source", {"a", "b"})};
  const auto bound = BindKeys(*plan, keys, 2, "keys");
  ASSERT_TRUE(bound.ok()) << bound.status();
  ASSERT_EQ(bound->groups.size(), 3u);
  ASSERT_EQ(bound->groups[0].size(), 2u);
  EXPECT_EQ(bound->groups[0][0], &keys[2].column);
  EXPECT_EQ(bound->groups[0][1]->type.type, ValueType::kInt64);  // INT32 was widened
  EXPECT_THAT(bound->groups[0][1]->int64s, ElementsAre(7, -1));
  EXPECT_THAT(bound->groups[1], ElementsAre(&keys[2].column));
  EXPECT_THAT(bound->groups[2], ElementsAre(&keys[1].column));
}

TEST_F(FeaturePlanTest, KeysAreChecked) {
  const auto plan = PlanOf({"delays:mean"});
  ASSERT_NE(plan, nullptr);
  const auto expect = [&](std::vector<NamedColumn> keys, const std::string& field,
                          const std::string& message) {
    SCOPED_TRACE(message);
    ExpectError(BindKeys(*plan, keys, 2, "keys").status(), kInvalid, field, message);
  };
  const NamedColumn source = Strings("source", {"a", "b"});
  const NamedColumn number = Int32s("number", {1, 2});
  expect({source}, "keys.number", "these features take source, number");
  expect({}, "keys.source", "missing");
  expect({source, number, Strings("airport", {"a", "b"})}, "keys.airport",
         "no key of these features");
  expect({source, number, source}, "keys.source", "given twice");
  expect({source, Strings("number", {"1", "2"})}, "keys.number", "");
  expect({Strings("source", {"a", ""}), number}, "keys.source", "");
  expect({Strings("source", {"a"}), number}, "keys.source", "");
  NamedColumn null = Int32s("number", {1, 0});
  null.column.null_rows = {1};
  expect({source, null}, "keys.number", "");
  expect({source, Int32s("number", {1, 2, 3})}, "keys.number", "");
}

}  // namespace
}  // namespace fletch
