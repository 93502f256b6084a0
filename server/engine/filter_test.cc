// SPDX-License-Identifier: Apache-2.0
#include "server/engine/filter.h"

#include <cmath>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/engine/catalog_test_support.h"
#include "storage/memory_kv_store.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

using Kind = FilterSpec::Kind;
using Op = FilterSpec::Op;

constexpr char kViews[] =
    "objects { entity { name: 'airport' join_keys { name: 'airport' type: STRING } } } "
    "objects { entity { name: 'route' join_keys { name: 'route' type: STRING } } } "
    "objects { feature_view { name: 'a' entity: 'airport' "
    "fields { name: 'i' type: INT64 } fields { name: 'd' type: DOUBLE } } } "
    "objects { feature_view { name: 'b' entity: 'airport' "
    "fields { name: 's' type: STRING } fields { name: 'y' type: BYTES } "
    "fields { name: 'o' type: BOOL } fields { name: 't' type: TIMESTAMP } "
    "fields { name: 'f' type: FLOAT } fields { name: 'n' type: INT32 } "
    "fields { name: 'j' type: JSON } fields { name: 'l' type: INT64 array: true } "
    "fields { name: 'v' type: FLOAT_VECTOR dimension: 2 } } } "
    "objects { feature_view { name: 'other' entity: 'route' fields { name: 'i' type: INT64 } } } ";

FilterSpec Compare(const std::string& ref, Op op, Literal value) {
  FilterSpec spec;
  spec.kind = Kind::kCompare;
  spec.ref = ref;
  spec.op = op;
  spec.values = {std::move(value)};
  return spec;
}

FilterSpec Values(Kind kind, const std::string& ref, std::vector<Literal> values) {
  FilterSpec spec;
  spec.kind = kind;
  spec.ref = ref;
  spec.values = std::move(values);
  return spec;
}

FilterSpec List(Kind kind, std::vector<FilterSpec> children) {
  FilterSpec spec;
  spec.kind = kind;
  spec.children = std::move(children);
  return spec;
}

class FilterTest : public testing::Test {
 protected:
  FilterTest() : store_(NewMemoryKvStore()), catalog_(OpenCatalog(store_.get())) {
    EXPECT_TRUE(ApplyText(catalog_.get(), kViews).ok());
    snapshot_ = catalog_->Snapshot();
    entity_id_ = View("a").schema.entity_id;
  }
  const fletch::View& View(const std::string& name) { return **snapshot_->FindView("demo", name); }
  absl::StatusOr<Filter> Make(const FilterSpec& spec) {
    return Filter::Make(*snapshot_, "demo", entity_id_, spec);
  }
  void ExpectRefused(const FilterSpec& spec, absl::StatusCode code, const std::string& field) {
    const absl::StatusOr<Filter> filter = Make(spec);
    ASSERT_FALSE(filter.ok()) << field;
    EXPECT_EQ(filter.status().code(), code) << filter.status();
    EXPECT_EQ(ErrorField(filter.status()), field) << filter.status();
  }
  // A row of view "a".
  std::string RowA(std::optional<int64_t> i, std::optional<double> d) {
    Column ints{.type = {ValueType::kInt64}, .row_count = 1};
    ints.int64s = {i.value_or(0)};
    if (!i) ints.null_rows = {0};
    Column doubles{.type = {ValueType::kDouble}, .row_count = 1};
    doubles.doubles = {d.value_or(0)};
    if (!d) doubles.null_rows = {0};
    return RowEncoder(&View("a").layout, {&ints, &doubles}).Encode(0);
  }
  Truth OnRowA(const FilterSpec& spec, std::optional<int64_t> i, std::optional<double> d) {
    const absl::StatusOr<Filter> filter = Make(spec);
    EXPECT_TRUE(filter.ok()) << filter.status();
    const std::string bytes = RowA(i, d);
    const RowView row(&View("a").layout, bytes);
    return filter->Evaluate({&row});
  }
  // A row of view "b" with every comparable field set.
  std::string RowB() {
    const auto one = [](ValueType type) { return Column{.type = {type}, .row_count = 1}; };
    Column s = one(ValueType::kString), y = one(ValueType::kBytes), o = one(ValueType::kBool);
    Column t = one(ValueType::kTimestamp), f = one(ValueType::kFloat), n = one(ValueType::kInt32);
    s.strings = {"mm"};
    y.strings = {std::string("\xff\0", 2)};
    o.bools = {1};
    t.int64s = {1'000'000};
    f.floats = {0.5f};
    n.int32s = {-3};
    return RowEncoder(&View("b").layout, {&s, &y, &o, &t, &f, &n, nullptr, nullptr, nullptr})
        .Encode(0);
  }

  const std::unique_ptr<KvStore> store_;
  const std::unique_ptr<Catalog> catalog_;
  std::shared_ptr<const CatalogSnapshot> snapshot_;
  EntityId entity_id_ = 0;
};

TEST_F(FilterTest, EveryTypeIsComparedInItsOrder) {
  const std::string bytes = RowB();
  const RowView row(&View("b").layout, bytes);
  const std::vector<FilterSpec> hold = {
      Compare("b:s", Op::kGt, std::string("m")),
      Compare("b:s", Op::kEq, std::string("mm")),
      Compare("b@v1:s", Op::kLt, std::string("n")),
      Compare("b:y", Op::kGe, BytesLiteral{"\x7f"}),
      Compare("b:o", Op::kEq, true),
      Compare("b:o", Op::kNe, false),
      Compare("b:t", Op::kEq, std::string("1970-01-01T00:00:01.0000009Z")),
      Compare("b:t", Op::kLe, int64_t{1'000'000}),
      Compare("b:f", Op::kEq, 0.5),
      Compare("b:f", Op::kLt, int64_t{1}),
      Compare("b:n", Op::kLt, -2.5),
      Values(Kind::kIn, "b:n", {int64_t{4}, -3.0}),
      Values(Kind::kBetween, "b:s", {std::string("mm"), std::string("mm")}),
      Values(Kind::kIsNull, "b:j", {}),
      Values(Kind::kIsNull, "b:l", {}),
      Values(Kind::kIsNull, "b:v", {}),
  };
  for (const FilterSpec& spec : hold) {
    const auto filter = Make(spec);
    ASSERT_TRUE(filter.ok()) << filter.status();
    EXPECT_EQ(filter->Evaluate({&row}), Truth::kTrue)
        << spec.ref << " " << static_cast<int>(spec.op);
    EXPECT_EQ(Make(List(Kind::kNot, {spec}))->Evaluate({&row}), Truth::kFalse) << spec.ref;
    const bool asks_null = spec.kind == Kind::kIsNull;
    EXPECT_EQ(filter->Evaluate({nullptr}), asks_null ? Truth::kTrue : Truth::kUnknown);
  }
}

TEST_F(FilterTest, TextsAreAskedForTheirBeginningAndTheirParts) {
  const std::string bytes = RowB();
  const RowView row(&View("b").layout, bytes);
  const auto truth = [&](Op op, const std::string& text) {
    return Make(Compare("b:s", op, text))->Evaluate({&row});
  };
  EXPECT_EQ(truth(Op::kPrefix, ""), Truth::kTrue);
  EXPECT_EQ(truth(Op::kPrefix, "m"), Truth::kTrue);
  EXPECT_EQ(truth(Op::kPrefix, "mm"), Truth::kTrue);
  EXPECT_EQ(truth(Op::kPrefix, "mmm"), Truth::kFalse);
  EXPECT_EQ(truth(Op::kPrefix, "l"), Truth::kFalse);
  EXPECT_EQ(truth(Op::kContains, ""), Truth::kTrue);
  EXPECT_EQ(truth(Op::kContains, "m"), Truth::kTrue);
  EXPECT_EQ(truth(Op::kContains, "M"), Truth::kFalse);
  EXPECT_EQ(truth(Op::kContains, "mmm"), Truth::kFalse);
  EXPECT_EQ(Make(Compare("b:s", Op::kPrefix, std::string()))->Evaluate({nullptr}), Truth::kUnknown);
}

TEST_F(FilterTest, IntegersAndDoublesCompareWithoutRounding) {
  const int64_t big = (int64_t{1} << 53) + 1;
  const double near = 9007199254740992.0;  // 2^53
  EXPECT_EQ(OnRowA(Compare("a:i", Op::kEq, near), big, 0), Truth::kFalse);
  EXPECT_EQ(OnRowA(Compare("a:i", Op::kGt, near), big, 0), Truth::kTrue);
  EXPECT_EQ(OnRowA(Compare("a:d", Op::kLt, big), 0, near), Truth::kTrue);
  EXPECT_EQ(OnRowA(Compare("a:i", Op::kLt, 9223372036854775808.0), INT64_MAX, 0), Truth::kTrue);
  EXPECT_EQ(OnRowA(Compare("a:i", Op::kEq, -9223372036854775808.0), INT64_MIN, 0), Truth::kTrue);
  EXPECT_EQ(OnRowA(Compare("a:i", Op::kGt, -INFINITY), INT64_MIN, 0), Truth::kTrue);
  EXPECT_EQ(OnRowA(Compare("a:i", Op::kLt, -2.5), -3, 0), Truth::kTrue);
  EXPECT_EQ(OnRowA(Compare("a:i", Op::kLt, -2.5), -2, 0), Truth::kFalse);
}

TEST_F(FilterTest, OfNaNOnlyNotEqualIsTrue) {
  for (const Op op : {Op::kEq, Op::kNe, Op::kLt, Op::kLe, Op::kGt, Op::kGe}) {
    const Truth expected = op == Op::kNe ? Truth::kTrue : Truth::kFalse;
    EXPECT_EQ(OnRowA(Compare("a:d", op, 1.0), 0, NAN), expected);
    EXPECT_EQ(OnRowA(Compare("a:d", op, int64_t{1}), 0, NAN), expected);
  }
  EXPECT_EQ(OnRowA(Values(Kind::kBetween, "a:d", {-INFINITY, INFINITY}), 0, NAN), Truth::kFalse);
  EXPECT_EQ(OnRowA(Values(Kind::kIn, "a:d", {1.0}), 0, NAN), Truth::kFalse);
}

TEST_F(FilterTest, RefusalsSayWhatAndWhere) {
  using absl::StatusCode;
  const auto bad = StatusCode::kInvalidArgument;
  ExpectRefused(Compare("ai", Op::kEq, int64_t{1}), bad, "filter.compare.ref");
  ExpectRefused(Compare("a:zz", Op::kEq, int64_t{1}), StatusCode::kNotFound, "filter.compare.ref");
  ExpectRefused(Compare("zz:i", Op::kEq, int64_t{1}), StatusCode::kNotFound, "filter.compare.ref");
  ExpectRefused(Compare("other:i", Op::kEq, int64_t{1}), bad, "filter.compare.ref");
  ExpectRefused(Compare("b:j", Op::kEq, std::string("{}")), bad, "filter.compare.ref");
  ExpectRefused(Compare("b:l", Op::kEq, int64_t{1}), bad, "filter.compare.ref");
  ExpectRefused(Compare("b:v", Op::kEq, 1.0), bad, "filter.compare.ref");
  ExpectRefused(Compare("a:i", Op::kEq, std::string("1")), bad, "filter.compare.value");
  ExpectRefused(Compare("b:s", Op::kEq, BytesLiteral{"x"}), bad, "filter.compare.value");
  ExpectRefused(Compare("b:o", Op::kEq, int64_t{1}), bad, "filter.compare.value");
  ExpectRefused(Compare("b:t", Op::kEq, std::string("yesterday")), bad, "filter.compare.value");
  ExpectRefused(Compare("a:d", Op::kEq, NAN), bad, "filter.compare.value");
  ExpectRefused(Compare("a:i", Op::kPrefix, std::string("1")), bad, "filter.compare.op");
  ExpectRefused(Compare("b:y", Op::kContains, BytesLiteral{"x"}), bad, "filter.compare.op");
  ExpectRefused(Compare("b:s", Op::kContains, int64_t{1}), bad, "filter.compare.value");
  ExpectRefused(Values(Kind::kIn, "a:i", {}), bad, "filter.in.values");
  ExpectRefused(Values(Kind::kIn, "a:i", {int64_t{1}, true}), bad, "filter.in.values[1]");
  ExpectRefused(Values(Kind::kBetween, "a:i", {int64_t{1}}), bad, "filter.between");
  ExpectRefused(Values(Kind::kBetween, "a:i", {int64_t{1}, true}), bad, "filter.between.high");
  ExpectRefused(List(Kind::kAnd, {}), bad, "filter.and");
  ExpectRefused(List(Kind::kOr, {Values(Kind::kIsNull, "a:i", {}),
                                 List(Kind::kNot, {Compare("a:i", Op::kEq, true)})}),
                bad, "filter.or.filters[1].not.compare.value");
}

TEST_F(FilterTest, LimitsHoldAtTheirEdges) {
  using absl::StatusCode;
  const FilterSpec leaf = Values(Kind::kIsNull, "a:i", {});
  FilterSpec deep = leaf;
  for (size_t i = 1; i < limits::kMaxFilterDepth; ++i) deep = List(Kind::kNot, {deep});
  EXPECT_TRUE(Make(deep).ok());
  EXPECT_EQ(Make(List(Kind::kNot, {deep})).status().code(), StatusCode::kOutOfRange);
  std::vector<FilterSpec> many(limits::kMaxFilterListItems, leaf);
  EXPECT_TRUE(Make(List(Kind::kAnd, many)).ok());
  std::vector<FilterSpec> lists(limits::kMaxFilterNodes / (many.size() + 1) + 1,
                                List(Kind::kOr, many));
  EXPECT_EQ(Make(List(Kind::kAnd, lists)).status().code(), StatusCode::kOutOfRange);
  lists.resize(lists.size() - 1);
  EXPECT_TRUE(Make(List(Kind::kAnd, lists)).ok());
  many.push_back(leaf);
  EXPECT_EQ(Make(List(Kind::kAnd, many)).status().code(), StatusCode::kOutOfRange);
  std::vector<Literal> values(limits::kMaxInValues, int64_t{1});
  EXPECT_TRUE(Make(Values(Kind::kIn, "a:i", values)).ok());
  values.push_back(int64_t{1});
  EXPECT_EQ(Make(Values(Kind::kIn, "a:i", values)).status().code(), StatusCode::kOutOfRange);
}

// The oracle: truth as -1 false, 0 unknown, 1 true, so AND is min, OR max and NOT the sign; over
// small integers.
int Oracle(const FilterSpec& spec, const std::optional<int64_t>& i,
           const std::optional<int64_t>& d) {
  const auto& field = spec.ref == "a:i" ? i : d;
  const auto value = [&](size_t n) { return std::get<int64_t>(spec.values[n]); };
  const auto truth = [](bool holds) { return holds ? 1 : -1; };
  int result = spec.kind == Kind::kAnd ? 1 : -1;
  switch (spec.kind) {
    case Kind::kAnd:
      for (const auto& child : spec.children) result = std::min(result, Oracle(child, i, d));
      return result;
    case Kind::kOr:
      for (const auto& child : spec.children) result = std::max(result, Oracle(child, i, d));
      return result;
    case Kind::kNot:
      return -Oracle(spec.children[0], i, d);
    case Kind::kIsNull:
      return truth(!field);
    case Kind::kIn:
      if (!field) return 0;
      for (size_t n = 0; n < spec.values.size(); ++n) {
        if (*field == value(n)) result = 1;
      }
      return result;
    case Kind::kBetween:
      return field ? truth(value(0) <= *field && *field <= value(1)) : 0;
    case Kind::kCompare:
      break;
  }
  if (!field) return 0;
  const int64_t other = value(0);
  const bool by_op[] = {*field == other, *field != other,
                        *field<other, *field <= other, *field> other, *field >= other};
  return truth(by_op[static_cast<int>(spec.op)]);
}

FilterSpec RandomSpec(int depth, std::mt19937_64& random) {
  const auto value = [&random] { return Literal(static_cast<int64_t>(random() % 5)); };
  const std::string ref = random() % 2 == 0 ? "a:i" : "a:d";
  const uint64_t kind = depth == 0 ? 3 + random() % 4 : random() % 7;
  if (kind < 3) {
    std::vector<FilterSpec> children;
    const uint64_t count = kind == 2 ? 1 : 1 + random() % 3;
    for (uint64_t n = 0; n < count; ++n) children.push_back(RandomSpec(depth - 1, random));
    return List(static_cast<Kind>(kind), std::move(children));
  }
  if (kind == 3) return Compare(ref, static_cast<Op>(random() % 6), value());
  if (kind == 4) return Values(Kind::kIn, ref, {value(), value()});
  if (kind == 5) return Values(Kind::kBetween, ref, {value(), value()});
  return Values(Kind::kIsNull, ref, {});
}

TEST_F(FilterTest, ThreeValuedLogicEqualsAnOracle) {
  std::mt19937_64 random = SeededRandom();
  const auto maybe = [&random]() -> std::optional<int64_t> {
    if (random() % 4 == 0) return std::nullopt;
    return static_cast<int64_t>(random() % 5);
  };
  for (int round = 0; round < 3000; ++round) {
    const FilterSpec spec = RandomSpec(4, random);
    const auto filter = Make(spec);
    ASSERT_TRUE(filter.ok()) << filter.status();
    ASSERT_EQ(filter->views().size(), 1u);
    for (int n = 0; n < 10; ++n) {
      auto i = maybe();
      auto d = maybe();
      const std::string bytes = RowA(i, d);
      const RowView row(&View("a").layout, bytes);
      const bool missing = random() % 8 == 0;
      if (missing) i = d = std::nullopt;
      const int oracle = Oracle(spec, i, d);
      const Truth expected = oracle == 0  ? Truth::kUnknown
                             : oracle > 0 ? Truth::kTrue
                                          : Truth::kFalse;
      ASSERT_EQ(filter->Evaluate({missing ? nullptr : &row}), expected) << "round " << round;
    }
  }
}

TEST_F(FilterTest, ViewsAreListedOnceInTheOrderOfTheirRows) {
  const auto filter =
      Make(List(Kind::kAnd, {Values(Kind::kIsNull, "b:s", {}), Compare("a:i", Op::kGt, int64_t{1}),
                             Values(Kind::kIsNull, "b:y", {})}));
  ASSERT_TRUE(filter.ok());
  ASSERT_EQ(filter->views().size(), 2u);
  EXPECT_EQ(filter->views()[0]->schema.name, "b");
  EXPECT_EQ(filter->views()[1]->schema.name, "a");
  const std::string bytes = RowA(2, std::nullopt);
  const RowView row(&View("a").layout, bytes);
  EXPECT_EQ(filter->Evaluate({nullptr, &row}), Truth::kTrue);
}

}  // namespace
}  // namespace fletch
