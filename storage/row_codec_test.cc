// SPDX-License-Identifier: Apache-2.0
#include "storage/row_codec.h"

#include <random>
#include <string>

#include "gtest/gtest.h"
#include "storage/random_rows_testing.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

using testing_rows::Cell;
using testing_rows::EmptyCell;
using testing_rows::IsNullRow;
using testing_rows::RandomColumn;
using testing_rows::RandomFields;

std::string DecodedCell(const RowView& row, const DataType& type, size_t field) {
  Column out{.type = type};
  row.AppendTo(field, &out);
  EXPECT_EQ(out.row_count, 1u);
  return Cell(out, 0);
}

// What a reader must find: the written value, else the default, else null.
struct Expected {
  bool null;
  std::string cell;
};
Expected ExpectedCell(const FieldSchema& field, const Column* written, size_t row) {
  const bool defaulted = written == nullptr && field.default_value.has_value();
  const Column* column = defaulted ? &*field.default_value : written;
  const size_t at = defaulted ? 0 : row;
  if (column == nullptr || IsNullRow(*column, at)) return {true, EmptyCell(field.type)};
  return {false, Cell(*column, at)};
}

void ExpectGetters(const RowView& row, const DataType& type, size_t field,
                   const std::string& cell) {
  if (row.is_null(field) || type.array) return;
  Column out{.type = type, .row_count = 1};
  switch (type.type) {
    case ValueType::kBool:
      out.bools = {row.GetBool(field)};
      break;
    case ValueType::kInt32:
      out.int32s = {static_cast<int32_t>(row.GetInt(field))};
      break;
    case ValueType::kInt64:
    case ValueType::kTimestamp:
      out.int64s = {row.GetInt(field)};
      break;
    case ValueType::kFloat: {
      const double value = row.GetDouble(field);
      if (value != value) return;  // widening may quieten a signalling NaN
      out.floats = {static_cast<float>(value)};
      break;
    }
    case ValueType::kDouble:
      out.doubles = {row.GetDouble(field)};
      break;
    case ValueType::kFloatVector:
      out.floats = row.GetVector(field);
      EXPECT_EQ(row.GetBytes(field),
                std::string_view(reinterpret_cast<const char*>(out.floats.data()),
                                 4 * out.floats.size()));
      break;
    default:
      out.strings = {std::string(row.GetBytes(field))};
  }
  EXPECT_EQ(Cell(out, 0), cell);
}

TEST(RowCodecTest, RoundTripsUnderOlderEqualAndNewerLayouts) {
  std::mt19937_64 random = SeededRandom();
  for (int i = 0; i < 3'000; ++i) {
    const std::vector<FieldSchema> all = RandomFields(random() % 20, random);
    const size_t written_count = random() % (all.size() + 1);
    const std::vector<FieldSchema> fields(all.begin(),
                                          all.begin() + static_cast<long>(written_count));
    const RowLayout layout(fields);
    const size_t row_count = 1 + random() % 4;
    std::vector<Column> columns;
    for (const FieldSchema& field : fields)
      columns.push_back(RandomColumn(field.type, row_count, random));
    std::vector<const Column*> given;
    for (const Column& column : columns) given.push_back(random() % 4 == 0 ? nullptr : &column);
    RowEncoder encoder(&layout, given);
    for (size_t row = 0; row < row_count; ++row) {
      if (random() % 4 == 0) continue;  // rows may be left out
      const std::string bytes = encoder.Encode(row);
      for (const size_t reader_count : {written_count / 2, written_count, all.size()}) {
        const RowLayout reader({all.begin(), all.begin() + static_cast<long>(reader_count)});
        const absl::StatusOr<RowView> view = RowView::Parse(&reader, bytes);
        ASSERT_TRUE(view.ok()) << view.status();
        for (size_t field = 0; field < reader_count; ++field) {
          const Expected expected =
              ExpectedCell(all[field], field < written_count ? given[field] : nullptr, row);
          ASSERT_EQ(view->is_null(field), expected.null);
          ASSERT_EQ(DecodedCell(*view, all[field].type, field), expected.cell);
          ExpectGetters(*view, all[field].type, field, expected.cell);
        }
      }
    }
  }
}

TEST(RowCodecTest, WithoutVectorsKeepsAllElse) {
  std::mt19937_64 random = SeededRandom();
  for (int i = 0; i < 3'000; ++i) {
    const std::vector<FieldSchema> fields = RandomFields(random() % 12, random);
    const RowLayout layout(fields);
    std::vector<Column> columns;
    std::vector<const Column*> given;
    for (const FieldSchema& field : fields) columns.push_back(RandomColumn(field.type, 1, random));
    for (const Column& column : columns) given.push_back(&column);
    const std::string bytes = RowEncoder(&layout, given).Encode(0);
    const std::string slim = WithoutVectors(layout, bytes);
    const absl::StatusOr<RowView> whole = RowView::Parse(&layout, bytes);
    const absl::StatusOr<RowView> view = RowView::Parse(&layout, slim);
    ASSERT_TRUE(whole.ok() && view.ok()) << view.status();
    size_t left_out = 0;
    for (size_t field = 0; field < fields.size(); ++field) {
      const DataType& type = fields[field].type;
      ASSERT_EQ(view->is_null(field), whole->is_null(field));
      if (type.is_vector()) {
        ASSERT_EQ(DecodedCell(*view, type, field), EmptyCell(type));
        ASSERT_EQ(view->GetVector(field).size(), 0u);
        left_out += whole->is_null(field) ? 0 : 4 * type.dimension;
      } else {
        ASSERT_EQ(DecodedCell(*view, type, field), DecodedCell(*whole, type, field));
      }
    }
    ASSERT_EQ(slim.size() + left_out, bytes.size());
    ASSERT_EQ(WithoutVectors(layout, slim), slim);
  }
}

// The sanitisers see a read beyond the end of `exact`.
absl::Status ParseAndReadAll(const RowLayout& layout, const std::string& bytes) {
  const std::vector<char> exact(bytes.begin(), bytes.end());
  const absl::StatusOr<RowView> view = RowView::Parse(&layout, {exact.data(), exact.size()});
  if (!view.ok()) return view.status();
  for (size_t field = 0; field < layout.field_count(); ++field) {
    const DataType& type = layout.type(field);
    DecodedCell(*view, type, field);
    if (!view->is_null(field) && !type.array) {
      if (type.type == ValueType::kString || type.is_vector()) view->GetBytes(field);
      if (type.type == ValueType::kInt64) view->GetInt(field);
      if (type.type == ValueType::kFloat) view->GetDouble(field);
    }
  }
  WithoutVectors(layout, {exact.data(), exact.size()});
  return absl::OkStatus();
}

TEST(RowCodecTest, DamagedRowsAreDataLossOrReadWithinBounds) {
  std::mt19937_64 random = SeededRandom();
  for (int i = 0; i < 500; ++i) {
    const std::vector<FieldSchema> fields = RandomFields(random() % 12, random);
    const RowLayout layout(fields);
    std::vector<Column> columns;
    std::vector<const Column*> given;
    for (const FieldSchema& field : fields) columns.push_back(RandomColumn(field.type, 1, random));
    for (const Column& column : columns) given.push_back(&column);
    const std::string whole = RowEncoder(&layout, given).Encode(0);
    ASSERT_TRUE(ParseAndReadAll(layout, whole).ok());
    for (size_t size = 0; size < whole.size(); ++size) {
      ASSERT_EQ(ParseAndReadAll(layout, whole.substr(0, size)).code(), absl::StatusCode::kDataLoss)
          << size;
    }
    ASSERT_EQ(ParseAndReadAll(layout, whole + "x").code(), absl::StatusCode::kDataLoss);
    for (int flip = 0; flip < 100; ++flip) {
      std::string flipped = whole;
      for (uint64_t n = 1 + random() % 3; n > 0; --n) {
        // Mostly where the lengths stand.
        const size_t at =
            random() % (random() % 2 == 0 ? std::min<size_t>(flipped.size(), 4) : flipped.size());
        flipped[at] ^= static_cast<char>(1 << (random() % 8));
      }
      const absl::Status status = ParseAndReadAll(layout, flipped);
      ASSERT_TRUE(status.ok() || status.code() == absl::StatusCode::kDataLoss) << status;
    }
  }
}

TEST(RowCodecTest, AppendEmptyOfEveryType) {
  std::mt19937_64 random = SeededRandom();
  for (int i = 0; i < 1'000; ++i) {
    Column column{.type = testing_rows::RandomType(random)};
    AppendEmpty(&column);
    AppendEmpty(&column);
    ASSERT_EQ(column.row_count, 2u);
    ASSERT_EQ(Cell(column, 1), EmptyCell(column.type));
  }
}

}  // namespace
}  // namespace fletch
