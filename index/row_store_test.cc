// SPDX-License-Identifier: Apache-2.0
#include "index/row_store.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fletch {
namespace {

namespace fs = std::filesystem;

class RowStoreTest : public testing::Test {
 protected:
  RowStoreTest() : folder_(testing::TempDir() + "row_store_test." + std::to_string(getpid())) {
    fs::create_directories(folder_);
  }
  ~RowStoreTest() override { fs::remove_all(folder_); }
  const std::string folder_;
};

std::vector<float> VectorOf(uint32_t row, size_t dimension) {
  std::mt19937 random(row);
  std::vector<float> v(dimension);
  for (float& x : v) x = static_cast<float>(random() % 1000) / 10;
  return v;
}

void Fill(RowStore* rows, uint32_t count, size_t dimension) {
  for (uint32_t i = rows->row_count(); i < count; ++i) {
    ASSERT_EQ(rows->Add(VectorOf(i, dimension)), i);
  }
}

void ExpectFilled(const RowStore& rows, uint32_t count, size_t dimension) {
  ASSERT_EQ(rows.row_count(), count);
  for (uint32_t i = 0; i < count; ++i) {
    const std::vector<float> v = VectorOf(i, dimension);
    ASSERT_THAT(rows.vector(i), testing::ElementsAreArray(v)) << i;
    ASSERT_EQ(rows.length(i), std::sqrt(DotDouble(v.data(), v.data(), dimension)));
    ASSERT_EQ(reinterpret_cast<uintptr_t>(rows.vector(i).data()) % 32, 0u);
  }
}

TEST_F(RowStoreTest, RowsStayWhereTheyAre) {
  for (const size_t dimension : {1u, 6u, 7u, 100u, 4096u}) {
    for (const std::string& folder : {std::string(), folder_}) {
      // Past the growing chunks, into those of one size.
      const uint32_t count = dimension == 4096 ? 2000 : 50'000 / static_cast<uint32_t>(dimension);
      RowStore rows(VectorMetric::kDot, dimension, folder);
      Fill(&rows, 1, dimension);
      const float* const first = rows.vector(0).data();
      Fill(&rows, count, dimension);
      EXPECT_EQ(rows.vector(0).data(), first);
      ExpectFilled(rows, count, dimension);
      EXPECT_EQ(rows.warning(), "");
      EXPECT_GE(folder.empty() ? rows.memory_bytes() : rows.file_bytes(),
                count * RowStore::RowBytes(dimension));
      EXPECT_EQ(folder.empty() ? rows.file_bytes() : rows.memory_bytes(), 0u);
      EXPECT_TRUE(fs::is_empty(folder_)) << "the file has a name";
    }
  }
}

TEST_F(RowStoreTest, ScoresAreThoseOfAPlainLoop) {
  for (const auto metric : {VectorMetric::kCosine, VectorMetric::kDot, VectorMetric::kL2}) {
    RowStore rows(metric, 33, folder_);
    Fill(&rows, 200, 33);
    const std::vector<float> query = VectorOf(1000, 33);
    const Scorer scorer(metric, query);
    for (uint32_t i = 0; i < 200; ++i) {
      EXPECT_EQ(rows.Score(scorer, i), Score(metric, query, VectorOf(i, 33)));
    }
  }
}

TEST_F(RowStoreTest, BlankedRowsAreZeros) {
  RowStore rows(VectorMetric::kCosine, 10, folder_);
  Fill(&rows, 100, 10);
  rows.Blank(42);
  EXPECT_THAT(rows.vector(42), testing::Each(0.0f));
  EXPECT_EQ(rows.length(42), 1);
  EXPECT_THAT(rows.vector(41), testing::ElementsAreArray(VectorOf(41, 10)));
  EXPECT_THAT(rows.vector(43), testing::ElementsAreArray(VectorOf(43, 10)));
}

TEST_F(RowStoreTest, RowsFollowThoseOfASavedFile) {
  constexpr size_t kDimension = 20;
  RowStore old(VectorMetric::kL2, kDimension, "");
  Fill(&old, 70, kDimension);
  std::vector<char> bytes;
  for (uint32_t i = 0; i < 70; ++i) {
    bytes.insert(bytes.end(), old.bytes(i).begin(), old.bytes(i).end());
  }
  const auto owner = std::make_shared<std::vector<char>>(std::move(bytes));
  RowStore rows(VectorMetric::kL2, kDimension, folder_, {owner->data(), 70, owner});
  Fill(&rows, 1000, kDimension);
  ASSERT_EQ(rows.row_count(), 1000u);
  for (uint32_t i = 0; i < 1000; ++i) {
    ASSERT_THAT(rows.vector(i), testing::ElementsAreArray(VectorOf(i, kDimension))) << i;
  }
}

TEST_F(RowStoreTest, WithoutRoomOnTheDiskRowsAreInMemory) {
  rlimit was = {};
  getrlimit(RLIMIT_FSIZE, &was);
  std::signal(SIGXFSZ, SIG_IGN);
  RowStore rows(VectorMetric::kL2, 100, folder_);
  const rlimit limit{200'000, was.rlim_max};
  setrlimit(RLIMIT_FSIZE, &limit);
  Fill(&rows, 2000, 100);
  setrlimit(RLIMIT_FSIZE, &was);
  ExpectFilled(rows, 2000, 100);
  EXPECT_GT(rows.file_bytes(), 0u);
  EXPECT_GT(rows.memory_bytes(), 0u);
  EXPECT_THAT(rows.warning(), testing::HasSubstr("kept in memory"));
}

TEST_F(RowStoreTest, AFolderThatIsNotThereIsAWarning) {
  RowStore rows(VectorMetric::kL2, 3, folder_ + "/none");
  Fill(&rows, 10, 3);
  ExpectFilled(rows, 10, 3);
  EXPECT_THAT(rows.warning(), testing::HasSubstr(folder_ + "/none"));
}

}  // namespace
}  // namespace fletch
