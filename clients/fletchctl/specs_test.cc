// SPDX-License-Identifier: Apache-2.0
#include "specs.h"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "durations.h"
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
retention: 0            # 0 = for ever
max_future_skew: 10m
event_key: [{name: flight, type: INT64}]
fields:
  - {name: temperature_c, type: DOUBLE, default: 11.5, forbid_nan: true, description: "air, degrees Celsius"}
  - {name: tags, type: STRING, array: true, default: [a, "null"]}
  - {name: note, type: STRING, default: ""}
  - {name: more, type: JSON, default: '{"a": 1}'}
  - {name: profile, type: FLOAT_VECTOR, dimension: 48, index: {metric: COSINE}}
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
  ASSERT_EQ(objects->size(), 4u);
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
  EXPECT_EQ(view.fields(1).default_value().value().arrays().lengths(0), 2u);
  EXPECT_EQ(view.fields(1).default_value().value().arrays().elements().strings().values(1), "null");
  EXPECT_EQ(view.fields(2).default_value().value().strings().values(0), "");
  EXPECT_EQ(view.fields(4).dimension(), 48u);
  EXPECT_EQ(view.fields(4).index().metric(), v1::COSINE);
  const v1::FeatureService& service = (*objects)[3].feature_service();
  EXPECT_EQ(service.bindings(0).join_key_map().at("airport"), "origin");
  EXPECT_EQ(service.features(0), "origin:temperature_c");
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
  EXPECT_EQ(Error("kind: FeatureView\nname: v\nentity: e\nretention: 400d\n"),
            "f.yaml:4: FeatureView v.retention: a retention is not built yet; 0 (for ever) is what "
            "there is");
  EXPECT_EQ(Error("---\nkind: AggregationView\nname: d\nsource: x\n"),
            "f.yaml:2: AggregationView d.kind: AggregationView is not built yet in this version of "
            "Fletch");
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
        view + "7\n"}) {
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

TEST(Kinds, AreReadInAnyUsualForm) {
  EXPECT_EQ(*ParseKind("FeatureView"), v1::FEATURE_VIEW);
  EXPECT_EQ(*ParseKind("feature-views"), v1::FEATURE_VIEW);
  EXPECT_EQ(*ParseKind("service"), v1::FEATURE_SERVICE);
  EXPECT_EQ(ExitCode(ParseKind("table").status()), 2);
}

}  // namespace
}  // namespace fletch::ctl
