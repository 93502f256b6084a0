// SPDX-License-Identifier: Apache-2.0
#include "server/engine/catalog_windows.h"

#include <string>
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
using ::testing::IsEmpty;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kRange = absl::StatusCode::kOutOfRange;
constexpr auto kMissing = absl::StatusCode::kNotFound;
constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;

// departures with a field more, or without gate, or kept for so many seconds.
constexpr char kLonger[] =
    "objects { feature_view { name: 'departures' entity: 'airport' event_key { name: 'flight' "
    "type: STRING } fields { name: 'delay_min' type: INT64 } fields { name: 'gate' type: STRING } "
    "fields { name: 'late' type: BOOL } } } ";
constexpr char kShorter[] =
    "objects { feature_view { name: 'departures' entity: 'airport' event_key { name: 'flight' "
    "type: STRING } fields { name: 'delay_min' type: INT64 } } } ";
std::string Kept(int64_t seconds) {
  return StrCat(
      "objects { feature_view { name: 'departures' entity: 'airport' event_key { name: 'flight' "
      "type: STRING } fields { name: 'delay_min' type: INT64 } fields { name: 'gate' type: STRING "
      "} retention { seconds: ",
      seconds, " } } } ");
}

std::string Delays(const std::string& aggregations, const std::string& source = "departures") {
  return StrCat("objects { aggregation_view { name: 'delays' source: '", source, "' ", aggregations,
                " } } ");
}
std::string Window(const std::string& rest) {
  return StrCat("aggregations { name: 'a' window { seconds: 60 } ", rest, " } ");
}

class CatalogWindowsTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(Apply(std::string(kAirport) + kWeather + kDepartures).ok()); }

  absl::StatusOr<v1::ApplyResponse> Apply(const std::string& text) {
    return ApplyText(catalog_.get(), text);
  }
  std::shared_ptr<const AggregationView> Find(const std::string& ref) const {
    const auto view = catalog_->Snapshot()->FindAnyView("demo", ref);
    EXPECT_TRUE(view.ok()) << view.status();
    if (!view.ok()) return nullptr;
    return std::get<std::shared_ptr<const AggregationView>>(*view);
  }
  absl::StatusOr<v1::GetResponse> Get(const std::string& name) const {
    return catalog_->Snapshot()->Get(FromText<v1::GetRequest>(
        StrCat("project: 'demo' kind: AGGREGATION_VIEW name: '", name, "'")));
  }
  void Reopen() { catalog_ = OpenCatalog(store_.get()); }

  std::unique_ptr<KvStore> store_ = NewMemoryKvStore();
  std::unique_ptr<Catalog> catalog_ = OpenCatalog(store_.get());
};

TEST_F(CatalogWindowsTest, IsReadLikeAView) {
  // Before its source, as one request may be in any order.
  auto other = NewMemoryKvStore();
  const auto fresh = OpenCatalog(other.get());
  ASSERT_TRUE(ApplyText(fresh.get(), std::string(kDelays) + kDepartures + kAirport).ok());

  const auto applied = Apply(kDelays);
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_EQ(applied->changes(0).kind(), v1::AGGREGATION_VIEW);
  EXPECT_EQ(applied->changes(0).change(), v1::ADDED);
  EXPECT_EQ(applied->changes(0).version(), 1u);
  for (int round = 0; round < 2; ++round) {
    const auto view = Find("delays");
    ASSERT_NE(view, nullptr);
    EXPECT_EQ(Find("delays@v1"), view);
    EXPECT_EQ(view->project, "demo");
    EXPECT_EQ(view->versioned_name(), "delays@v1");
    EXPECT_EQ(view->source, *catalog_->Snapshot()->FindView("demo", "departures"));
    EXPECT_EQ(view->longest_window_micros, 604'800'000'000);
    ASSERT_EQ(view->aggregations.size(), 2u);
    EXPECT_EQ(view->aggregations[0].column, 0u);
    EXPECT_EQ(view->aggregations[0].type.type, ValueType::kDouble);
    EXPECT_EQ(view->aggregations[1].column, std::nullopt);
    EXPECT_EQ(view->layout.field(1).name, "count_1h");
    EXPECT_EQ(view->layout.type(1).type, ValueType::kInt64);
    EXPECT_THAT(catalog_->Snapshot()->AllAggregationViews(), ElementsAre(view));
    Reopen();
  }
  const auto got = Get("delays");
  ASSERT_TRUE(got.ok()) << got.status();
  const v1::AggregationView& spec = got->object().aggregation_view();
  EXPECT_EQ(spec.version(), 1u);
  EXPECT_EQ(spec.source(), "departures");
  EXPECT_EQ(spec.resolved_source(), "departures@v1");
  EXPECT_EQ(spec.aggregations(0).type(), v1::DOUBLE);
  EXPECT_EQ(spec.aggregations(1).type(), v1::INT64);
  const auto again = Apply(kDelays);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->changes(0).change(), v1::UNCHANGED);
  EXPECT_EQ(again->changes(0).version(), 1u);
}

TEST_F(CatalogWindowsTest, IsNoFeatureViewAndHasItsNameAlone) {
  ASSERT_TRUE(Apply(kDelays).ok());
  const auto snapshot = catalog_->Snapshot();
  ExpectError(snapshot->FindView("demo", "delays").status(), kMissing, "",
              "has no feature view \"delays\"; delays is an aggregation view");
  ExpectError(snapshot->FindAnyView("demo", "delays@v2").status(), kMissing, "",
              "has no view \"delays@v2\"; it has delays@v1");
  ExpectError(snapshot->FindAnyView("demo", "delays@v01").status(), kMissing, "", "delays@v1");
  ExpectError(snapshot->FindAnyView("x", "delays").status(), kMissing, "project", "x");
  ExpectError(Get("weather").status(), kMissing, "", "weather is a feature view");
  ExpectError(Apply("objects { feature_view { name: 'delays' entity: 'airport' fields { name: 'a' "
                    "type: BOOL } } }")
                  .status(),
              kInvalid, "objects[0].feature_view.name", "is the name of an aggregation view");
  ExpectError(
      Apply("objects { aggregation_view { name: 'weather' source: 'departures' } }").status(),
      kInvalid, "objects[0].aggregation_view.name", "is the name of a feature view already");
  ExpectError(
      Apply("objects { aggregation_view { name: 'x' source: 'departures' aggregations { name: 'a' "
            "function: COUNT window { seconds: 1 } } } } objects { feature_view { name: 'x' "
            "entity: 'airport' fields { name: 'a' type: BOOL } } }")
          .status(),
      kInvalid, "objects[0].aggregation_view.name", "views of all kinds share their names");
}

TEST_F(CatalogWindowsTest, RefusesWithThePath) {
  ASSERT_TRUE(Apply(kDelays).ok());
  ASSERT_TRUE(
      Apply("objects { feature_view { name: 'odd' entity: 'airport' fields { name: 'j' type: JSON "
            "} fields { name: 'v' type: FLOAT_VECTOR dimension: 2 } fields { name: 'l' type: INT64 "
            "array: true } } }")
          .ok());
  const auto expect = [this](const std::string& text, absl::StatusCode code,
                             const std::string& field, const std::string& message) {
    SCOPED_TRACE(text);
    ExpectError(Apply(Delays(text)).status(), code, StrCat("objects[0].aggregation_view.", field),
                message);
  };
  expect("", kInvalid, "aggregations", "at least one");
  expect("aggregations { window { seconds: 1 } function: COUNT }", kInvalid, "aggregations[0].name",
         "missing");
  expect(Window("function: COUNT") + Window("function: COUNT"), kInvalid, "aggregations[1].name",
         "earlier aggregation");
  expect(Window(""), kInvalid, "aggregations[0].function", "APPROX_PERCENTILE");
  expect(Window("function: 99"), kInvalid, "aggregations[0].function", "unknown");
  expect(Window("function: SUM"), kInvalid, "aggregations[0].column", "");
  expect(Window("function: SUM column: 'gate'"), kInvalid, "aggregations[0].column", "");
  expect(Window("function: SUM column: 'snow'"), kInvalid, "aggregations[0].column",
         "departures@v1 has no field \"snow\"");
  for (const char* window : {"", "window { }", "window { seconds: -1 }", "window { nanos: 999 }",
                             "window { nanos: 1500 }"}) {
    expect(StrCat("aggregations { name: 'a' function: COUNT ", window, " }"), kInvalid,
           "aggregations[0].window", "");
  }
  const auto seconds = [](int64_t n) {
    return StrCat("aggregations { name: 'a' function: COUNT window { seconds: ", n, " } }");
  };
  expect(StrCat("aggregations { name: 'a' function: COUNT window { seconds: ", 3660 * 86400,
                " nanos: 1000 } }"),
         kRange, "aggregations[0].window", "");
  EXPECT_TRUE(Apply(StrCat("dry_run: true ", Delays(seconds(3660 * 86400)))).ok());
  for (const char* function : {"LAST_K", "TOP_K"}) {
    const std::string start = StrCat("column: 'gate' function: ", function);
    expect(Window(start), kRange, "aggregations[0].k", "1 to 1000");
    expect(Window(start + " k: 1001"), kRange, "aggregations[0].k", "is 1001");
    EXPECT_TRUE(Apply(StrCat("dry_run: true ", Delays(Window(start + " k: 1000")))).ok());
  }
  expect(Window("function: COUNT k: 1"), kInvalid, "aggregations[0].k", "LAST_K and TOP_K only");
  const std::string percentile = "function: APPROX_PERCENTILE column: 'delay_min' ";
  for (const char* bad : {"", "percentile: 1", "percentile: -0.1", "percentile: nan"})
    expect(Window(percentile + bad), kInvalid, "aggregations[0].percentile", "between 0 and 1");
  expect(Window("function: COUNT percentile: 0.5"), kInvalid, "aggregations[0].percentile",
         "APPROX_PERCENTILE only");
  expect(Window(StrCat("function: COUNT description: '", std::string(4097, 'x'), "'")), kRange,
         "aggregations[0].description", "4097");
  std::string many;
  for (int i = 0; i <= 1024; ++i)
    many += StrCat("aggregations { name: 'a", i, "' function: COUNT window { seconds: 1 } }");
  expect(many, kRange, "aggregations", "has 1025 aggregations; at most 1024");
  many.resize(many.rfind("aggregations"));
  EXPECT_TRUE(Apply(StrCat("dry_run: true ", Delays(many))).ok());

  const std::string path = "objects[0].aggregation_view.";
  for (const auto& [column, function] : std::vector<std::pair<std::string, std::string>>{
           {"v", "FIRST"}, {"j", "LAST_K"}, {"l", "SUM"}}) {
    const std::string text = Window(StrCat("k: 1 column: '", column, "' function: ", function));
    ExpectError(Apply(Delays(text, "odd")).status(), kInvalid, path + "aggregations[0].column", "");
  }
  const std::string count = Window("function: COUNT");
  ExpectError(Apply(Delays(count, "")).status(), kInvalid, path + "source", "missing");
  ExpectError(Apply(Delays(count, "snow")).status(), kMissing, path + "source", "snow");
  ExpectError(Apply(Delays(count, "weather@v2")).status(), kMissing, path + "source", "weather@v1");
  ExpectError(Apply(Delays(count, "delays")).status(), kInvalid, path + "source",
              "delays is an aggregation view");
}

TEST_F(CatalogWindowsTest, PlansInWords) {
  const std::string mean = Window("function: MEAN column: 'delay_min'");
  const std::string more =
      "aggregations { name: 'b' window { seconds: 90000 } function: TOP_K k: 3 column: 'gate' } ";
  std::string more4 = more;
  more4.replace(more4.find("k: 3"), 4, "k: 4");
  struct Case {
    std::string before, after;
    v1::ChangeKind change;
    std::vector<std::string> details;
  };
  const std::vector<Case> cases = {
      {mean, mean, v1::UNCHANGED, {}},
      {mean, mean + "version: 9 resolved_source: 'x'", v1::UNCHANGED, {}},
      {mean,
       Window("function: MEAN column: 'delay_min' type: BOOL array: true"),
       v1::UNCHANGED,
       {}},
      {mean, mean + "description: 'x'", v1::CHANGED, {"the description changes"}},
      {mean,
       Window("function: MEAN column: 'delay_min' description: 'x'"),
       v1::CHANGED,
       {"the description of aggregation a changes"}},
      {mean, mean + more, v1::CHANGED, {"aggregation b top_k(gate, 3) over 25 h is added"}},
      {mean + more, mean, v1::BREAKING, {"aggregation b is removed"}},
      {mean + more,
       more + mean,
       v1::BREAKING,
       {"aggregations stand in another order; add new aggregations at the end"}},
      {mean,
       Window("function: MAX column: 'delay_min'"),
       v1::BREAKING,
       {"aggregation a was mean(delay_min) over 60 s and becomes max(delay_min) over 60 s"}},
      {mean,
       "aggregations { name: 'a' window { nanos: 1000 } function: COUNT }",
       v1::BREAKING,
       {"aggregation a was mean(delay_min) over 60 s and becomes count() over 1 µs"}},
      {more,
       more4,
       v1::BREAKING,
       {"aggregation b was top_k(gate, 3) over 25 h and becomes top_k(gate, 4) over 25 h"}},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.before + " -> " + one.after);
    auto store = NewMemoryKvStore();
    const auto catalog = OpenCatalog(store.get());
    ASSERT_TRUE(
        ApplyText(catalog.get(), std::string(kAirport) + kDepartures + Delays(one.before)).ok());
    const auto plan = ApplyText(catalog.get(), "allow_breaking: true " + Delays(one.after));
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(plan->changes(0).change(), one.change);
    EXPECT_EQ(plan->changes(0).version(), one.change == v1::BREAKING ? 2u : 1u);
    EXPECT_EQ(std::vector<std::string>(plan->changes(0).details().begin(),
                                       plan->changes(0).details().end()),
              one.details);
  }
}

TEST_F(CatalogWindowsTest, TheSourceIsFixedUntilAppliedAgain) {
  ASSERT_TRUE(Apply(std::string(kDelays) +
                    "objects { feature_service { name: 'model' features: 'delays:mean_7d' } }")
                  .ok());
  const Catalog::Readers sets = [](std::string_view, std::string_view ref) {
    return ref == "delays@v1" ? std::vector<std::string>{"t1"} : std::vector<std::string>{};
  };
  const auto refused = ApplyText(catalog_.get(), kShorter, sets);
  ExpectError(refused.status(), kPrecondition, "objects[0].feature_view",
              "feature view departures: field gate is removed (read by feature service model; "
              "aggregation view delays@v1; training set t1; version 2 would start empty)");
  const auto applied =
      ApplyText(catalog_.get(), std::string("allow_breaking: true ") + kShorter, sets);
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_THAT(applied->changes(0).details(),
              ElementsAre("field gate is removed", "delays@v1 goes on reading departures@v1"));
  EXPECT_THAT(applied->changes(0).affected_services(), ElementsAre("model"));
  EXPECT_THAT(applied->changes(0).affected_training_sets(), ElementsAre("t1"));
  EXPECT_EQ(Find("delays")->source->schema.version, 1u);
  Reopen();
  EXPECT_EQ(Find("delays")->source->schema.version, 1u);

  const auto again = ApplyText(catalog_.get(), kDelays, sets);
  ExpectError(again.status(), kPrecondition, "objects[0].aggregation_view",
              "aggregation view delays: the source was departures@v1 and becomes departures@v2 "
              "(read by feature service model; training set t1; version 2 would be made)");
  ASSERT_TRUE(Apply(std::string("allow_breaking: true ") + kDelays).ok());
  EXPECT_EQ(Find("delays")->source->schema.version, 2u);
  EXPECT_EQ(Find("delays@v1")->source->schema.version, 1u);
  const auto pinned = Apply(Delays(Window("function: COUNT"), "departures@v1"));
  EXPECT_THAT(std::string(pinned.status().message()), HasSubstr("becomes departures@v1"));
}

TEST_F(CatalogWindowsTest, OneRequestBreaksBothAndSaysSo) {
  ASSERT_TRUE(Apply(kDelays).ok());
  const auto both = Apply(std::string(kShorter) + kDelays).status();
  ExpectError(both, kPrecondition, "objects[0].feature_view", "field gate is removed");
  EXPECT_THAT(std::string(both.message()), HasSubstr("departures@v1 and becomes departures@v2"));
  // What the removal makes wrong is no news while the removal is not allowed.
  const std::string top = Delays(Window("function: TOP_K k: 1 column: 'gate'"));
  ExpectError(Apply(kShorter + top).status(), kPrecondition, "objects[0].feature_view", "gate");
  ExpectError(Apply("allow_breaking: true " + (kShorter + top)).status(), kInvalid,
              "objects[1].aggregation_view.aggregations[0].column", "departures@v2 has no field");
}

TEST_F(CatalogWindowsTest, ACompatibleChangeOfTheSourceIsSeen) {
  ASSERT_TRUE(Apply(kDelays).ok());
  ASSERT_TRUE(Apply(kLonger).ok());
  const auto view = Find("delays");
  EXPECT_EQ(view->version, 1u);
  EXPECT_EQ(view->source, *catalog_->Snapshot()->FindView("demo", "departures"));
  EXPECT_EQ(view->source->schema.fields.size(), 3u);
  EXPECT_TRUE(Apply(Delays("aggregations { name: 'mean_7d' column: 'delay_min' function: MEAN "
                           "window { seconds: 604800 } } aggregations { name: 'count_1h' "
                           "function: COUNT window { seconds: 3600 } } aggregations { name: "
                           "'last' column: 'late' function: LAST window { seconds: 1 } }"))
                  .ok());
  EXPECT_EQ(Find("delays")->aggregations[2].type.type, ValueType::kBool);
}

TEST_F(CatalogWindowsTest, RetentionHoldsTheLongestWindow) {
  const std::string path = "objects[0].feature_view.retention";
  ExpectError(Apply(Kept(-1)).status(), kInvalid, path, "negative");
  std::string finer = Kept(0);
  finer.replace(finer.find("seconds: 0"), 10, "nanos: 999999000");
  ExpectError(Apply(finer).status(), kInvalid, path, "at least 1 s");
  ASSERT_TRUE(Apply(Kept(1)).ok());
  EXPECT_EQ((*catalog_->Snapshot()->FindView("demo", "departures"))->schema.retention_micros,
            1'000'000);
  // First the retention, then the windows.
  ExpectError(Apply(kDelays).status(), kPrecondition,
              "objects[0].aggregation_view.aggregations[0].window",
              "is 7 d; feature view departures@v1 keeps 1 s of history");
  const auto grown = Apply(Kept(604800) + kDelays);
  ASSERT_TRUE(grown.ok()) << grown.status();
  EXPECT_THAT(grown->changes(0).details(), ElementsAre("retention was 1 s and becomes 7 d"));
  EXPECT_EQ(grown->changes(0).change(), v1::CHANGED);
  // First the windows, then the retention; those of an older version count too.
  const std::string newer = Delays(Window("function: COUNT"));
  ASSERT_TRUE(Apply("allow_breaking: true " + newer).ok());
  ExpectError(Apply(Kept(604799)).status(), kPrecondition, path,
              "aggregation view delays@v1 has a window of 7 d over departures@v1");
  EXPECT_EQ(ErrorReason(Apply(Kept(604799)).status()), "RETENTION_TOO_SHORT");
  Reopen();
  EXPECT_FALSE(Apply(Kept(604799)).ok());
  EXPECT_TRUE(Apply(Kept(604801)).ok());
  const auto forever = Apply(kDepartures);
  ASSERT_TRUE(forever.ok());
  EXPECT_THAT(forever->changes(0).details(),
              ElementsAre("retention was 604801 s and becomes for ever"));
  // Another version of the source has its own history.
  std::string other = Kept(5);
  other.replace(other.find("INT64"), 5, "INT32");
  EXPECT_TRUE(Apply("allow_breaking: true " + other).ok());
}

TEST_F(CatalogWindowsTest, DeletesNameTheReaders) {
  ASSERT_TRUE(Apply(std::string(kDelays) + kRisk).ok());
  const auto remove = [&](const std::string& text, const Catalog::Readers& sets = NoReaders) {
    return DeleteText(catalog_.get(), text, sets).status();
  };
  ExpectError(remove("kind: FEATURE_VIEW name: 'departures'"), kPrecondition, "name",
              "feature view departures is used by aggregation view delays@v1");
  ExpectError(remove("kind: AGGREGATION_VIEW name: 'delays'"), kPrecondition, "name",
              "is used by on-demand feature view risk@v1");
  ExpectError(remove("kind: AGGREGATION_VIEW name: 'delays@v1'"), kInvalid, "name", "version");
  ExpectError(remove("kind: AGGREGATION_VIEW name: 'weather'"), kMissing, "name",
              "weather is a feature view");
  ExpectError(remove("kind: PROJECT"), kPrecondition, "name",
              "aggregation view delays, on-demand feature view risk");
  ExpectError(remove("kind: TRAINING_SET name: 'x'"), kInvalid, "kind", "AGGREGATION_VIEW");
  EXPECT_TRUE(remove("kind: ON_DEMAND_FEATURE_VIEW name: 'risk'").ok());
  const Catalog::Readers sets = [](std::string_view project, std::string_view ref) {
    EXPECT_EQ(project, "demo");
    return std::vector<std::string>{StrCat("set_of_", ref)};
  };
  ExpectError(remove("kind: AGGREGATION_VIEW name: 'delays'", sets), kPrecondition, "name",
              "training set set_of_delays@v1");
  const auto deleted = DeleteText(catalog_.get(), "kind: AGGREGATION_VIEW name: 'delays'");
  ASSERT_TRUE(deleted.ok());
  EXPECT_THAT(deleted->views, IsEmpty());  // it has no facts of its own
  Reopen();
  EXPECT_THAT(catalog_->Snapshot()->AllAggregationViews(), IsEmpty());
  EXPECT_TRUE(remove("kind: FEATURE_VIEW name: 'departures'").ok());
}

TEST_F(CatalogWindowsTest, ADamagedRecordIsDataLoss) {
  ASSERT_TRUE(Apply(kDelays).ok());
  v1::CatalogRecord good;
  ASSERT_TRUE(good.ParseFromString(**store_->Get(Family::kMeta, "catalog")));
  const auto expect = [&](auto damage, const std::string& message) {
    v1::CatalogRecord record = good;
    damage(record.mutable_projects(0)->mutable_aggregation_views(0));
    KvBatch batch;
    batch.Put(Family::kMeta, "catalog", record.SerializeAsString());
    ASSERT_TRUE(store_->Write(batch, true).ok());
    const auto opened = Catalog::Open(store_.get()).status();
    EXPECT_EQ(opened.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(opened.message()), HasSubstr(message));
  };
  expect([](v1::AggregationView* view) { view->set_version(2); }, "delays lacks version 1");
  expect([](v1::AggregationView* view) { view->set_resolved_source("departures@v2"); },
         "delays reads unknown feature view departures@v2");
  expect([](v1::AggregationView* view) { view->mutable_aggregations(0)->set_column("x"); },
         "aggregation view delays: INVALID_ARGUMENT");
}

}  // namespace
}  // namespace fletch
