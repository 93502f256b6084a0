// SPDX-License-Identifier: Apache-2.0
#include "storage/row_columns.h"

#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "storage/random_rows_testing.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

using testing_rows::Cell;
using testing_rows::EmptyCell;

CellStatus StatusOf(const Column& column, size_t row) {
  return column.statuses.empty() ? CellStatus::kPresent : column.statuses[row];
}

// Rows written with some of the fields, or with more than the reader knows.
std::string RandomRow(const std::vector<FieldSchema>& fields, size_t written,
                      std::mt19937_64& random) {
  const std::vector<FieldSchema> first(fields.begin(), fields.begin() + static_cast<long>(written));
  const RowLayout layout(first);
  std::vector<Column> columns;
  for (const FieldSchema& field : first) {
    columns.push_back(testing_rows::RandomColumn(field.type, 1, random));
  }
  std::vector<const Column*> pointers;
  for (const Column& column : columns) {
    pointers.push_back(random() % 5 == 0 ? nullptr : &column);
  }
  return RowEncoder(&layout, pointers).Encode(0);
}

VisibleRow RandomVisible(const std::string& bytes, std::mt19937_64& random) {
  switch (random() % 6) {
    case 0:
      return {};
    case 1:
      return {CellStatus::kOutsideMaxAge, 5, {}};
    default:
      return {CellStatus::kPresent, 5, bytes};
  }
}

// Against RowView, cell by cell, in pieces of any size.
TEST(RowColumnsTest, GivesWhatRowViewGives) {
  std::mt19937_64 random = SeededRandom();
  for (int round = 0; round < 60; ++round) {
    const std::vector<FieldSchema> all = testing_rows::RandomFields(2 + random() % 12, random);
    const size_t known = 1 + random() % all.size();
    const RowLayout layout({all.begin(), all.begin() + static_cast<long>(known)});
    const size_t row_count = random() % 700;
    std::vector<std::string> bytes(row_count);
    std::vector<VisibleRow> rows;
    for (std::string& row : bytes) {
      row = RandomRow(all, random() % 4 == 0 ? 1 + random() % all.size() : known, random);
      rows.push_back(RandomVisible(row, random));
    }
    std::vector<Column> columns(known);
    std::vector<FieldTarget> targets;
    for (size_t f = 0; f < known; ++f) {
      columns[f].type = layout.type(f);
      targets.push_back({f, &columns[f]});
    }
    for (size_t begin = 0; begin < row_count;) {
      const size_t count = std::min<size_t>(1 + random() % 400, row_count - begin);
      AppendRows(layout, absl::MakeConstSpan(rows).subspan(begin, count), targets);
      begin += count;
    }
    for (size_t f = 0; f < known; ++f) {
      ASSERT_EQ(columns[f].row_count, row_count);
      for (size_t i = 0; i < row_count; ++i) {
        CellStatus status = rows[i].status;
        std::string cell = EmptyCell(layout.type(f));
        if (status == CellStatus::kPresent) {
          const auto view = RowView::Parse(&layout, rows[i].row);
          ASSERT_TRUE(view.ok()) << view.status();
          Column one{.type = layout.type(f)};
          view->AppendTo(f, &one);
          cell = Cell(one, 0);
          if (view->is_null(f)) status = CellStatus::kNullValue;
        }
        ASSERT_EQ(StatusOf(columns[f], i), status) << "row " << i << " field " << f;
        ASSERT_EQ(Cell(columns[f], i), cell) << "row " << i << " field " << f;
      }
    }
  }
}

TEST(RowColumnsTest, NoStatusesWhileAllIsThere) {
  std::vector<FieldSchema> fields(1);
  fields[0].type = {ValueType::kInt64};
  const RowLayout layout(fields);
  const Column values{.type = {ValueType::kInt64}, .row_count = 1, .int64s = {7}};
  const std::string row = RowEncoder(&layout, {&values}).Encode(0);
  const std::vector<VisibleRow> rows(3, VisibleRow{CellStatus::kPresent, 1, row});
  Column column{.type = {ValueType::kInt64}};
  const FieldTarget target{0, &column};
  AppendRows(layout, rows, {&target, 1});
  EXPECT_EQ(column.int64s, (std::vector<int64_t>{7, 7, 7}));
  EXPECT_TRUE(column.statuses.empty());
  const VisibleRow none;
  AppendRows(layout, {&none, 1}, {&target, 1});
  EXPECT_EQ(column.statuses,
            (std::vector<CellStatus>{CellStatus::kPresent, CellStatus::kPresent,
                                     CellStatus::kPresent, CellStatus::kNotFound}));
}

}  // namespace
}  // namespace fletch
