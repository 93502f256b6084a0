// SPDX-License-Identifier: Apache-2.0
#include "specs.h"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "durations.h"
#include "kinds.h"
#include "result.h"

namespace fletch::ctl {
namespace {

constexpr char kAll[] = R"(kind: Project
name: demo
---
kind: Entity
name: airport
join_keys: [{name: airport, type: STRING}]
---
kind: FeatureView
name: airport_weather
entity: airport
ttl: 3h                 # 0 = never too old
retention: 400d         # 0 = for ever
max_future_skew: 10m
event_key: [{name: flight, type: INT64}]
fields:
  - {name: temperature_c, type: DOUBLE, default: 11.5, forbid_nan: true, description: "air, degrees Celsius"}
  - {name: tags, type: STRING, array: true, default: [a, "null"]}
  - {name: note, type: STRING, default: "", indexed: true}
  - {name: more, type: JSON, default: '{"a": 1}'}
  - {name: profile, type: FLOAT_VECTOR, dimension: 48, index: {metric: COSINE, m: 8, ef_construction: 100, target_recall: 0.9}}
---
kind: AggregationView
name: airport_delays
source: departures
description: trailing windows
aggregations:
  - {name: mean_delay_7d, column: delay_min, function: mean, window: 7d}
  - {name: departures_1h, function: count, window: 1h, description: "per hour"}
  - {name: worst, column: delay_min, function: top_k, window: 90s, k: 3}
  - {name: p95, column: delay_min, function: approx_percentile, window: 30d, percentile: 0.95}
---
kind: OnDemandFeatureView
name: risk
inputs: [airport_delays, airport_weather]
request: [{name: hour, type: INT64, description: "local hour"}]
fields: [{name: icy_and_late, type: BOOL, sql: "temperature_c < 0 AND mean_delay_7d > 15 AND hour < 9"}]
---
kind: FeatureService
name: delay_model
bindings:
  - {alias: origin, feature_view: airport_weather, join_key_map: {airport: origin}}
features: ["origin:temperature_c"]
)";

TEST(Specs, ReadEveryForm) {
  const auto objects = ParseSpecs(kAll, "a.yaml");
  ASSERT_TRUE(objects.ok()) << objects.status();
  ASSERT_EQ(objects->size(), 6u);
  EXPECT_EQ((*objects)[0].project().name(), "demo");
  EXPECT_EQ((*objects)[1].entity().join_keys(0).type(), v1::STRING);
  const v1::FeatureView& view = (*objects)[2].feature_view();
  EXPECT_EQ(view.ttl().seconds(), 10800);
  EXPECT_EQ(view.max_future_skew().seconds(), 600);
  EXPECT_EQ(view.event_key(0).type(), v1::INT64);
  EXPECT_EQ(view.fields(0).default_value().value().doubles().values(0), 11.5);
  EXPECT_TRUE(view.fields(0).forbid_nan());
  EXPECT_EQ(view.fields(0).description(), "air, degrees Celsius");
  EXPECT_TRUE(view.fields(1).array());
  EXPECT_FALSE(view.fields(1).indexed());
  EXPECT_TRUE(view.fields(2).indexed());
  EXPECT_EQ(view.fields(1).default_value().value().arrays().lengths(0), 2u);
  EXPECT_EQ(view.fields(1).default_value().value().arrays().elements().strings().values(1), "null");
  EXPECT_EQ(view.fields(2).default_value().value().strings().values(0), "");
  EXPECT_EQ(view.fields(4).dimension(), 48u);
  EXPECT_EQ(view.fields(4).index().metric(), v1::COSINE);
  EXPECT_EQ(view.fields(4).index().m(), 8u);
  EXPECT_EQ(view.fields(4).index().ef_construction(), 100u);
  EXPECT_EQ(view.fields(4).index().target_recall(), 0.9);
  EXPECT_EQ(view.retention().seconds(), 400 * 86400);
  const v1::FeatureService& service = (*objects)[5].feature_service();
  EXPECT_EQ(service.bindings(0).join_key_map().at("airport"), "origin");
  EXPECT_EQ(service.features(0), "origin:temperature_c");
}

TEST(Specs, ReadWindows) {
  const auto objects = ParseSpecs(kAll, "a.yaml");
  ASSERT_TRUE(objects.ok()) << objects.status();
  const v1::AggregationView& view = (*objects)[3].aggregation_view();
  EXPECT_EQ(view.source(), "departures");
  EXPECT_EQ(view.description(), "trailing windows");
  ASSERT_EQ(view.aggregations_size(), 4);
  EXPECT_EQ(view.aggregations(0).column(), "delay_min");
  EXPECT_EQ(view.aggregations(0).function(), v1::MEAN);
  EXPECT_EQ(view.aggregations(0).window().seconds(), 7 * 86400);
  EXPECT_EQ(view.aggregations(1).function(), v1::COUNT);
  EXPECT_EQ(view.aggregations(1).column(), "");
  EXPECT_EQ(view.aggregations(1).description(), "per hour");
  EXPECT_EQ(view.aggregations(2).k(), 3u);
  EXPECT_EQ(view.aggregations(3).function(), v1::APPROX_PERCENTILE);
  EXPECT_EQ(view.aggregations(3).percentile(), 0.95);
}

TEST(Specs, ReadExpressions) {
  const auto objects = ParseSpecs(kAll, "a.yaml");
  ASSERT_TRUE(objects.ok()) << objects.status();
  const v1::OnDemandFeatureView& view = (*objects)[4].on_demand_feature_view();
  ASSERT_EQ(view.inputs_size(), 2);
  EXPECT_EQ(view.inputs(1), "airport_weather");
  EXPECT_EQ(view.request(0).name(), "hour");
  EXPECT_EQ(view.request(0).type(), v1::INT64);
  EXPECT_EQ(view.request(0).description(), "local hour");
  EXPECT_EQ(view.fields(0).type(), v1::BOOL);
  EXPECT_EQ(view.fields(0).sql(), "temperature_c < 0 AND mean_delay_7d > 15 AND hour < 9");
}

TEST(Specs, AreSummedUp) {
  const auto objects = ParseSpecs(kAll, "a.yaml");
  ASSERT_TRUE(objects.ok());
  std::vector<std::string> summaries;
  for (const v1::Object& object : *objects) summaries.push_back(Summary(object));
  EXPECT_EQ(summaries, (std::vector<std::string>{
                           "", "keys airport", "of airport, 5 fields", "of departures, 4 windows",
                           "1 expression of airport_delays, airport_weather", "1 feature"}));
}

TEST(Specs, SayWhatTheDaemonAdds) {
  v1::Object object;
  v1::AggregationView& view = *object.mutable_aggregation_view();
  view.set_name("d");
  view.set_version(2);
  view.set_source("x");
  view.set_resolved_source("x@v3");
  v1::Aggregation& aggregation = *view.add_aggregations();
  aggregation.set_type(v1::INT64);
  aggregation.set_array(true);
  EXPECT_EQ(VersionOf(object), 2u);
  const Json answer = ToSpec(object, true);
  EXPECT_EQ(answer["resolved_source"], "x@v3");
  EXPECT_EQ(answer["version"], 2);
  EXPECT_EQ(answer["aggregations"][0]["type"], "INT64");
  EXPECT_EQ(answer["aggregations"][0]["array"], true);
  EXPECT_FALSE(ToSpec(object, false)["aggregations"][0].contains("type"));
}

TEST(Specs, WhatIsWrittenReadsBackTheSame) {
  const auto objects = ParseSpecs(kAll, "a.yaml");
  ASSERT_TRUE(objects.ok());
  for (const v1::Object& object : *objects) {
    const std::string yaml = ToYaml(ToSpec(object, false));
    const auto again = ParseSpecs(yaml, "again.yaml");
    ASSERT_TRUE(again.ok()) << again.status() << "\n" << yaml;
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(object, again->front())) << yaml;
  }
}

std::string Error(const std::string& yaml) {
  const auto objects = ParseSpecs(yaml, "f.yaml");
  EXPECT_EQ(ExitCode(objects.status()), 2) << yaml;
  return std::string(objects.status().message());
}

TEST(Specs, ErrorsNameFileLineAndPath) {
  EXPECT_EQ(
      Error("kind: Entity\nname: a\njoin_key: []\n"),
      "f.yaml:3: Entity a: unknown key 'join_key'; known are kind, name, description, join_keys");
  EXPECT_EQ(Error("kind: Entity\nname: a\njoin_keys:\n  - {name: k, type: STRIG}\n").substr(0, 57),
            "f.yaml:4: Entity a.join_keys[0].type: no such type 'STRIG");
  EXPECT_EQ(Error("kind: FeatureView\nname: v\nentity: e\nttl: 3 hours\n"),
            "f.yaml:4: FeatureView v.ttl: '3 hours' is not a duration; write 3h, 7d, 90s, 10m, "
            "500ms or 0");
  EXPECT_EQ(Error("kind: FeatureView\nname: v\nentity: e\nretention: long\n").substr(0, 53),
            "f.yaml:4: FeatureView v.retention: 'long' is not a du");
  const std::string windows = "kind: AggregationView\nname: d\nsource: x\naggregations:\n  - ";
  EXPECT_EQ(
      Error(windows + "{name: a, function: Mean, column: c, window: 7d}\n"),
      "f.yaml:5: AggregationView d.aggregations[0].function: no such function 'Mean'; functions "
      "are count, sum, mean, min, max, variance, stddev, first, last, last_k, count_distinct, "
      "top_k, approx_percentile");
  EXPECT_EQ(
      Error(windows + "{name: a, function: mean, window: 7d, hop: 1h}\n"),
      "f.yaml:5: AggregationView d.aggregations[0]: unknown key 'hop'; known are name, column, "
      "function, window, k, percentile, description");
  EXPECT_EQ(Error(windows + "{name: a, function: count}\n"),
            "f.yaml:5: AggregationView d.aggregations[0]: 'window' is missing; write window: 7d");
  EXPECT_EQ(Error("kind: OnDemandFeatureView\nname: r\nfields:\n  - {name: f, type: BOOL}\n"),
            "f.yaml:4: OnDemandFeatureView r.fields[0]: 'sql' is missing");
  EXPECT_EQ(Error("kind: OnDemandFeatureView\nname: r\nrequests: []\n"),
            "f.yaml:3: OnDemandFeatureView r: unknown key 'requests'; known are kind, name, "
            "description, inputs, request, fields");
  EXPECT_EQ(Error("kind: Entity\nname: a\nname: b\n"),
            "f.yaml:3: Entity a: key 'name' stands twice");
  EXPECT_EQ(Error("kind: Entity\n"), "f.yaml:1: 'name' is missing");
}

TEST(Specs, RefusesTheRest) {
  const std::string view = "kind: FeatureView\nname: v\nentity: e\nfields:\n  - ";
  for (const std::string& yaml :
       {std::string(""), std::string("- a\n"), std::string("kind: [x]\nname: a\n"),
        std::string("a: b: c\n"), std::string("kind: Entiti\nname: a\n"),
        std::string("kind: Entity\nname: a\njoin_keys: x\n"),
        std::string("kind: Entity\nname: {a: b}\n"), view + "{name: f, type: INT64, default: x}\n",
        view + "{name: f, type: INT64, default: [1]}\n",
        view + "{name: f, type: INT64, array: 1}\n",
        view + "{name: f, type: INT64, array: true, default: 1}\n",
        view + "{name: f, type: FLOAT_VECTOR, dimension: -1}\n",
        view + "{name: f, type: FLOAT_VECTOR, dimension: 2, index: {metric: cosine}}\n",
        view + "7\n",
        std::string("kind: AggregationView\nname: d\nsource: x\naggregations:\n  - {name: a, "
                    "function: last_k, window: 1d, k: -1}\n"),
        std::string("kind: AggregationView\nname: d\nsource: x\naggregations:\n  - {name: a, "
                    "function: approx_percentile, window: 1d, percentile: half}\n")}) {
    EXPECT_EQ(ExitCode(ParseSpecs(yaml, "f.yaml").status()), 2) << yaml;
  }
}

TEST(Durations, ReadAndWrite) {
  for (const char* text : {"0", "500ms", "90s", "10m", "3h", "7d", "400d", "1us"}) {
    const auto duration = ParseDuration(text);
    ASSERT_TRUE(duration.ok()) << text;
    EXPECT_EQ(FormatDuration(*duration), text);
  }
  EXPECT_EQ(ParseDuration("500ms")->nanos(), 500'000'000);
  EXPECT_EQ(FormatDuration(*ParseDuration("60s")), "1m");
  for (const char* text : {"", "3", "-3h", "3 h", "h", "1.5h", "3hours", "99999999999999d", "3H"}) {
    EXPECT_FALSE(ParseDuration(text).ok()) << text;
  }
}

TEST(Kinds, HaveNamesThatAreReadAgain) {
  for (int i = v1::ObjectKind_MIN + 1; i <= v1::ObjectKind_MAX; ++i) {
    const auto kind = static_cast<v1::ObjectKind>(i);
    const auto again = ParseKind(KindName(kind), true);
    ASSERT_TRUE(again.ok()) << KindName(kind);
    EXPECT_EQ(*again, kind);
  }
}

TEST(Kinds, AreReadInAnyUsualForm) {
  EXPECT_EQ(*ParseKind("FeatureView"), v1::FEATURE_VIEW);
  EXPECT_EQ(*ParseKind("feature-views"), v1::FEATURE_VIEW);
  EXPECT_EQ(*ParseKind("service"), v1::FEATURE_SERVICE);
  EXPECT_EQ(*ParseKind("aggregation_view"), v1::AGGREGATION_VIEW);
  EXPECT_EQ(*ParseKind("on-demand-views"), v1::ON_DEMAND_FEATURE_VIEW);
  EXPECT_EQ(*ParseKind("entities"), v1::ENTITY);
  EXPECT_EQ(*ParseKind("training-set", true), v1::TRAINING_SET);
  EXPECT_EQ(ExitCode(ParseKind("training-set").status()), 2);
  EXPECT_EQ(ExitCode(ParseKind("table").status()), 2);
}

}  // namespace
}  // namespace fletch::ctl
