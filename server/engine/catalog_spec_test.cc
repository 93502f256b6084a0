// SPDX-License-Identifier: Apache-2.0
#include "server/engine/catalog_spec.h"

#include <string>
#include <vector>

#include "server/engine/catalog_test_support.h"

namespace fletch {
namespace {

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kRange = absl::StatusCode::kOutOfRange;

TEST(CatalogSpecTest, Names) {
  for (const std::string& name : {std::string("a"), std::string("z9_"), std::string(64, 'a')}) {
    EXPECT_TRUE(CheckName(name, "p").ok()) << name;
  }
  for (const std::string name : {"", "A", "9a", "_a", "a-b", "a b", "a@v2", "a:b", "ä", "aB"}) {
    EXPECT_EQ(CheckName(name, "p").code(), kInvalid) << name;
    EXPECT_EQ(ErrorField(CheckName(name, "p")), "p");
  }
  EXPECT_EQ(CheckName(std::string(65, 'a'), "p").code(), kInvalid);
}

v1::Entity Airport() {
  return FromText<v1::Entity>("name: 'airport' join_keys { name: 'airport' type: STRING }");
}

absl::StatusOr<ViewSchema> Schema(const std::string& text) {
  return MakeViewSchema(FromText<v1::FeatureView>(text), Airport(), "v");
}

TEST(CatalogSpecTest, EverythingOfAViewReachesTheSchema) {
  const auto schema = Schema(R"(
      name: 'weather' entity: 'airport' ttl { seconds: 3600 nanos: 5000 } max_future_skew { nanos: 1000 }
      event_key { name: 'station' type: INT64 }
      fields { name: 'temperature' type: DOUBLE forbid_nan: true default_value { value { floats { values: 1.5 } } } }
      fields { name: 'tags' type: STRING array: true
               default_value { value { arrays { lengths: 2 elements { strings { values: ['a', 'b'] } } } } } }
      fields { name: 'profile' type: FLOAT_VECTOR dimension: 4096 index { metric: L2 } }
      fields { name: 'seen' type: TIMESTAMP
               default_value { value { timestamps { rfc3339: '1970-01-01T00:00:01Z' } } } }
      fields { name: 'extra' type: JSON default_value { value { strings { values: '{"a":1}' } } } })");
  ASSERT_TRUE(schema.ok()) << schema.status();
  EXPECT_EQ(schema->name, "weather");
  EXPECT_EQ(schema->entity, "airport");
  EXPECT_EQ(schema->ttl_micros, 3'600'000'005);
  EXPECT_EQ(schema->max_future_skew_micros, 1);
  ASSERT_EQ(schema->join_keys.size(), 1u);
  EXPECT_EQ(schema->join_keys[0].type, ValueType::kString);
  ASSERT_EQ(schema->event_keys.size(), 1u);
  EXPECT_EQ(schema->event_keys[0].type, ValueType::kInt64);
  ASSERT_EQ(schema->fields.size(), 5u);
  EXPECT_TRUE(schema->fields[0].forbid_nan);
  EXPECT_EQ(schema->fields[0].default_value->type.type, ValueType::kDouble);
  EXPECT_EQ(schema->fields[0].default_value->doubles, std::vector<double>{1.5});
  EXPECT_EQ(DataTypeName(schema->fields[1].type), "STRING[]");
  EXPECT_EQ(schema->fields[1].default_value->strings, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(DataTypeName(schema->fields[2].type), "FLOAT_VECTOR(4096)");
  EXPECT_EQ(schema->fields[2].index_metric, Metric::kL2);
  EXPECT_EQ(schema->fields[3].default_value->int64s, std::vector<int64_t>{1'000'000});
  EXPECT_EQ(schema->fields[4].default_value->type.type, ValueType::kJson);
}

struct BadView {
  std::string text;
  absl::StatusCode code;
  std::string field;
  std::string message;
};

void ExpectRefused(const std::vector<BadView>& cases) {
  for (const BadView& bad : cases) {
    SCOPED_TRACE(bad.text);
    ExpectError(Schema(bad.text).status(), bad.code, bad.field, bad.message);
  }
}

TEST(CatalogSpecTest, BadViewsAreRefusedWithThePath) {
  const std::string f = "fields { name: 'f' type: DOUBLE } ";
  ExpectRefused({
      {"name: 'V' " + f, kInvalid, "v.name", "no name"},
      {"name: 'v'", kInvalid, "v.fields", "at least one field"},
      {"name: 'v' fields { name: '' type: DOUBLE }", kInvalid, "v.fields[0].name", "missing"},
      {"name: 'v' " + f + f, kInvalid, "v.fields[1].name", "choose another"},
      {"name: 'v' fields { name: 'airport' type: DOUBLE }", kInvalid, "v.fields[0].name",
       "join key"},
      {"name: 'v' event_key { name: 'f' type: INT64 } " + f, kInvalid, "v.fields[0].name",
       "event key"},
      {"name: 'v' event_key { name: 'airport' type: INT64 } " + f, kInvalid, "v.event_key[0].name",
       "join key"},
      {"name: 'v' event_key { name: 'k' type: DOUBLE } " + f, kInvalid, "v.event_key[0].type",
       "INT64 or STRING"},
      {"name: 'v' fields { name: 'f' }", kInvalid, "v.fields[0].type", "say one of BOOL"},
      {"name: 'v' fields { name: 'f' type: JSON array: true }", kInvalid, "v.fields[0].array",
       "JSON"},
      {"name: 'v' fields { name: 'f' type: FLOAT_VECTOR array: true }", kInvalid,
       "v.fields[0].array", "FLOAT_VECTOR"},
      {"name: 'v' fields { name: 'f' type: FLOAT_VECTOR }", kRange, "v.fields[0].dimension",
       "1 to 4096"},
      {"name: 'v' fields { name: 'f' type: FLOAT_VECTOR dimension: 4097 }", kRange,
       "v.fields[0].dimension", "4097"},
      {"name: 'v' fields { name: 'f' type: FLOAT dimension: 3 }", kInvalid, "v.fields[0].dimension",
       "FLOAT"},
      {"name: 'v' fields { name: 'f' type: INT64 forbid_nan: true }", kInvalid,
       "v.fields[0].forbid_nan", "NaN"},
      {"name: 'v' fields { name: 'f' type: INT64 default_value { } }", kInvalid,
       "v.fields[0].default_value.value", "no values"},
      {"name: 'v' fields { name: 'f' type: INT64 default_value { value { int64s { values: [1, 2] } "
       "} } }",
       kInvalid, "v.fields[0].default_value.value", "2 values for 1 rows"},
      {"name: 'v' fields { name: 'f' type: INT64 default_value { value { int64s { values: 0 } "
       "null_rows: 0 } } }",
       kInvalid, "v.fields[0].default_value.value", "not null"},
      {"name: 'v' fields { name: 'f' type: INT64 default_value { value { strings { values: 'x' } } "
       "} }",
       kInvalid, "v.fields[0].default_value.value", ""},
      {"name: 'v' fields { name: 'f' type: FLOAT forbid_nan: true default_value { value { floats { "
       "values: nan } } } }",
       kInvalid, "v.fields[0].default_value.value", "NaN"},
      {"name: 'v' fields { name: 'f' type: FLOAT_VECTOR dimension: 1 "
       "default_value { value { vectors { dimension: 1 values: 1 } } } }",
       kInvalid, "v.fields[0].default_value", "no default"},
      {"name: 'v' ttl { seconds: -1 } " + f, kInvalid, "v.ttl", "negative"},
      {"name: 'v' ttl { nanos: 1500 } " + f, kInvalid, "v.ttl", "whole microseconds"},
      {"name: 'v' ttl { nanos: 1000000000 } " + f, kInvalid, "v.ttl", "seconds"},
      {"name: 'v' ttl { seconds: 315537897600 } " + f, kRange, "v.ttl", "at most"},
      {"name: 'v' ttl { seconds: 9223372036854775807 } " + f, kRange, "v.ttl", "at most"},
      {"name: 'v' max_future_skew { seconds: 31622400 nanos: 1000 } " + f, kRange,
       "v.max_future_skew", "31622400"},
      {"name: 'v' max_future_skew { seconds: -1 } " + f, kInvalid, "v.max_future_skew", "negative"},
  });
}

TEST(CatalogSpecTest, BadIndexesAreRefusedWithThePath) {
  ExpectRefused({
      {"name: 'v' fields { name: 'f' type: FLOAT index { metric: DOT } }", kInvalid,
       "v.fields[0].index", "FLOAT_VECTOR"},
      {"name: 'v' fields { name: 'f' type: FLOAT_VECTOR dimension: 2 index { } }", kInvalid,
       "v.fields[0].index.metric", "COSINE"},
      {"name: 'v' fields { name: 'f' type: FLOAT_VECTOR dimension: 2 index { metric: L2 m: 3 } }",
       kRange, "v.fields[0].index.m", "4 to 64"},
      {"name: 'v' fields { name: 'f' type: FLOAT_VECTOR dimension: 2 index { metric: L2 m: 65 } }",
       kRange, "v.fields[0].index.m", "4 to 64"},
      {"name: 'v' fields { name: 'f' type: FLOAT_VECTOR dimension: 2"
       " index { metric: L2 m: 20 ef_construction: 19 } }",
       kRange, "v.fields[0].index.ef_construction", "m (20) to 2000"},
      {"name: 'v' fields { name: 'f' type: FLOAT_VECTOR dimension: 2"
       " index { metric: L2 ef_construction: 2001 } }",
       kRange, "v.fields[0].index.ef_construction", "m (16) to 2000"},
      {"name: 'v' fields { name: 'f' type: FLOAT_VECTOR dimension: 2"
       " index { metric: L2 target_recall: 0.49 } }",
       kRange, "v.fields[0].index.target_recall", "0.5 to 0.999"},
      {"name: 'v' fields { name: 'f' type: FLOAT_VECTOR dimension: 2"
       " index { metric: L2 target_recall: nan } }",
       kRange, "v.fields[0].index.target_recall", "0.5 to 0.999"},
      {"name: 'v' fields { name: 'f' type: BYTES indexed: true }", kInvalid, "v.fields[0].indexed",
       "BYTES"},
      {"name: 'v' fields { name: 'f' type: INT64 array: true indexed: true }", kInvalid,
       "v.fields[0].indexed", "INT64[]"},
      {"name: 'v' fields { name: 'f' type: FLOAT_VECTOR dimension: 2 indexed: true }", kInvalid,
       "v.fields[0].indexed", "index: {metric"},
  });
}

TEST(CatalogSpecTest, LimitsHoldAtTheirEdges) {
  v1::FeatureView view = FromText<v1::FeatureView>("name: 'v'");
  for (int i = 0; i < 1024; ++i) {
    view.add_fields()->set_name("f" + std::to_string(i));
    view.mutable_fields(i)->set_type(v1::BOOL);
  }
  for (int i = 0; i < 8; ++i) {
    view.add_event_key()->set_name("k" + std::to_string(i));
    view.mutable_event_key(i)->set_type(v1::INT64);
  }
  view.set_description(std::string(4096, 'x'));
  view.mutable_ttl()->set_seconds(315537897599);
  view.mutable_max_future_skew()->set_seconds(366 * 24 * 3600);
  EXPECT_TRUE(MakeViewSchema(view, Airport(), "v").ok());
  for (int i = 0; i < 32; ++i) view.mutable_fields(i)->set_indexed(true);
  EXPECT_TRUE(MakeViewSchema(view, Airport(), "v").ok());
  v1::FeatureView bad = view;
  bad.mutable_fields(32)->set_indexed(true);
  ExpectError(MakeViewSchema(bad, Airport(), "v").status(), kRange, "v.fields",
              "33 indexed fields; at most 32");
  bad = view;
  bad.add_fields()->set_name("one_more");
  ExpectError(MakeViewSchema(bad, Airport(), "v").status(), kRange, "v.fields", "at most 1024");
  bad = view;
  bad.add_event_key()->set_name("one_more");
  ExpectError(MakeViewSchema(bad, Airport(), "v").status(), kRange, "v.event_key", "at most 8");
  bad = view;
  bad.set_description(std::string(4097, 'x'));
  ExpectError(MakeViewSchema(bad, Airport(), "v").status(), kRange, "v.description", "4096");
}

TEST(CatalogSpecTest, Entities) {
  const auto check = [](const std::string& text) {
    return CheckEntitySpec(FromText<v1::Entity>(text), "e");
  };
  EXPECT_TRUE(
      check("name: 'a' join_keys { name: 'x' type: INT64 } join_keys { name: 'y' type: STRING }")
          .ok());
  ExpectError(check("name: 'a'"), kInvalid, "e.join_keys", "1 to 8");
  ExpectError(check("name: 'a' join_keys { name: 'x' type: INT32 }"), kInvalid,
              "e.join_keys[0].type", "INT64 or STRING");
  ExpectError(
      check("name: 'a' join_keys { name: 'x' type: INT64 } join_keys { name: 'x' type: INT64 }"),
      kInvalid, "e.join_keys[1].name", "join key");
  std::string nine = "name: 'a'";
  for (int i = 0; i < 9; ++i)
    nine += " join_keys { name: 'x" + std::to_string(i) + "' type: INT64 }";
  ExpectError(check(nine), kRange, "e.join_keys", "at most 8");
}

struct Change {
  std::string before;
  std::string after;
  v1::ChangeKind kind;
  std::string detail;  // a part of the one expected sentence; empty: none
};

TEST(CatalogSpecTest, ComparesVersions) {
  const std::string a = "fields { name: 'a' type: INT64 } ";
  const std::string b = "fields { name: 'b' type: INT64 } ";
  const std::string d1 = "default_value { value { int64s { values: 1 } } } ";
  const auto field = [](const std::string& rest) { return "fields { name: 'a' " + rest + " } "; };
  const std::string nan = field("type: DOUBLE default_value { value { doubles { values: nan } } }");
  const std::vector<Change> cases = {
      {a, a, v1::UNCHANGED, ""},
      {a, a + "version: 7", v1::UNCHANGED, ""},
      {a, a + "ttl { }", v1::UNCHANGED, ""},
      {a, a + "max_future_skew { seconds: 300 }", v1::UNCHANGED, ""},
      {nan, nan, v1::UNCHANGED, ""},
      {field("type: INT64 " + d1),
       field("type: INT64 default_value { value { int32s { values: 1 } } }"), v1::UNCHANGED, ""},
      {a, a + b, v1::CHANGED, "field b INT64 is added"},
      {a, a + "fields { name: 'c' type: INT64 " + d1 + "}", v1::CHANGED, "added with a default"},
      {a, a + "description: 'x'", v1::CHANGED, "description"},
      {a, field("type: INT64 description: 'x'"), v1::CHANGED, "description of field a"},
      {a, a + "max_future_skew { seconds: 1 }", v1::CHANGED,
       "max_future_skew was 300 s and becomes 1 s"},
      {a, a + "ttl { seconds: 1 }", v1::BREAKING, "ttl was for ever and becomes 1 s"},
      {a + "ttl { seconds: 1 }", a + "ttl { seconds: 1 nanos: 1000 }", v1::BREAKING, "1000001 µs"},
      {a, a + "event_key { name: 'k' type: INT64 }", v1::BREAKING,
       "event key was () and becomes (k INT64)"},
      {a + b, b + a, v1::BREAKING, "another order"},
      {b, a + b, v1::BREAKING, ""},  // two sentences: added, and another order
      {a + b, b, v1::BREAKING, "field a is removed"},
      {a, b, v1::BREAKING, ""},  // renamed: removed and added
      {a, field("type: DOUBLE"), v1::BREAKING, "was INT64 and becomes DOUBLE"},
      {a, field("type: INT64 array: true"), v1::BREAKING, "becomes INT64[]"},
      {a, field("type: INT64 " + d1), v1::BREAKING, "gets a default"},
      {field("type: INT64 " + d1), a, v1::BREAKING, "loses its default"},
      {field("type: INT64 " + d1),
       field("type: INT64 default_value { value { int64s { values: 2 } } }"), v1::BREAKING,
       "another default"},
      {field("type: DOUBLE"), field("type: DOUBLE forbid_nan: true"), v1::BREAKING, "forbids NaN"},
      {a, field("type: INT64 indexed: true"), v1::CHANGED, "is indexed"},
      {field("type: INT64 indexed: true"), a, v1::CHANGED, "is indexed no more"},
      {field("type: FLOAT_VECTOR dimension: 2"), field("type: FLOAT_VECTOR dimension: 3"),
       v1::BREAKING, "FLOAT_VECTOR(3)"},
      {field("type: FLOAT_VECTOR dimension: 2"),
       field("type: FLOAT_VECTOR dimension: 2 index { metric: L2 }"), v1::BREAKING,
       "was none and becomes L2"},
      {field("type: FLOAT_VECTOR dimension: 2 index { metric: L2 }"),
       field("type: FLOAT_VECTOR dimension: 2 index { metric: L2 m: 16 ef_construction: 200"
             " target_recall: 0.95 }"),
       v1::UNCHANGED, ""},
      {field("type: FLOAT_VECTOR dimension: 2 index { metric: L2 }"),
       field("type: FLOAT_VECTOR dimension: 2 index { metric: L2 m: 24 target_recall: 0.9 }"),
       v1::CHANGED, "m 24, ef_construction 200, target_recall 0.9"},
      {field("type: FLOAT_VECTOR dimension: 2 index { metric: DOT }"),
       field("type: FLOAT_VECTOR dimension: 2 index { metric: L2 }"), v1::BREAKING,
       "was DOT and becomes L2"},
  };
  for (const Change& change : cases) {
    SCOPED_TRACE(change.before + " -> " + change.after);
    const auto before_spec = FromText<v1::FeatureView>("name: 'v' " + change.before);
    const auto after_spec = FromText<v1::FeatureView>("name: 'v' " + change.after);
    const auto before = MakeViewSchema(before_spec, Airport(), "v");
    const auto after = MakeViewSchema(after_spec, Airport(), "v");
    ASSERT_TRUE(before.ok() && after.ok()) << before.status() << after.status();
    const ViewDifference difference = CompareViews({before_spec, *before}, {after_spec, *after});
    EXPECT_EQ(difference.change, change.kind);
    EXPECT_EQ(difference.details.empty(), change.kind == v1::UNCHANGED);
    if (change.detail.empty()) continue;
    ASSERT_EQ(difference.details.size(), 1u) << difference.details[1];
    EXPECT_NE(difference.details[0].find(change.detail), std::string::npos)
        << difference.details[0];
  }
}

}  // namespace
}  // namespace fletch
