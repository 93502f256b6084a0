// SPDX-License-Identifier: Apache-2.0
#include "index/graph_file.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <iostream>

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/graph_file_testing.h"

namespace fletch {
namespace {

namespace fs = std::filesystem;

class GraphFileTest : public testing::Test {
 protected:
  GraphFileTest() : folder_(testing::TempDir() + "graph_file_test." + std::to_string(getpid())) {
    fs::create_directories(folder_);
  }
  ~GraphFileTest() override { fs::remove_all(folder_); }

  absl::StatusOr<std::shared_ptr<GraphFile>> Open(const IndexOptions& options) const {
    return GraphFile::Open(path(), {options.metric, options.dimension, options.parameters});
  }
  std::string path() const { return folder_ + "/graph"; }

  const std::string folder_;
  const IndexOptions options_{.metric = VectorMetric::kCosine, .dimension = 12};
};

TEST_F(GraphFileTest, WhatWasSavedIsReadAgain) {
  for (const auto metric : {VectorMetric::kCosine, VectorMetric::kDot, VectorMetric::kL2}) {
    IndexOptions options{.metric = metric, .dimension = 12};
    std::mt19937_64 random(1);
    const auto rows = ClusteredVectors(900, 12, 9, &random);
    VectorIndex index(options);
    for (const auto& v : rows) index.Add(v);
    const auto live = [](RowId row) { return row % 7 != 0; };
    const auto label = [&](RowId row) { return live(row) ? "r" + std::to_string(row) : ""; };
    const auto never = [] { return false; };
    ASSERT_TRUE(index.ExtendGraph(live, never, [](double) {}).ok());
    ASSERT_TRUE(index.Save(path(), 99, label, never).ok());

    auto file = Open(options);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ((*file)->commit_seq(), 99u);
    EXPECT_EQ((*file)->file_bytes(), fs::file_size(path()));
    ASSERT_EQ((*file)->row_count(), 900u);
    VectorIndex again(options, *file);
    file->reset();
    ASSERT_EQ(again.row_count(), 900u);
    for (RowId row = 0; row < 900; ++row) {
      const std::vector<float> wanted = live(row) ? rows[row] : std::vector<float>(12);
      ASSERT_THAT(again.vector(row), testing::ElementsAreArray(wanted)) << row;
    }
    for (int i = 0; i < 20; ++i) {
      Ask ask;
      ask.accept = live;
      ask.exact = i % 2 == 0;
      const auto before = SearchIndex(index, rows[i], ask);
      const auto after = SearchIndex(again, rows[i], ask);
      ASSERT_TRUE(before.ok() && after.ok());
      ASSERT_EQ(before->used_graph, after->used_graph);
      ASSERT_EQ(before->hits.size(), after->hits.size());
      for (size_t h = 0; h < before->hits.size(); ++h) {
        EXPECT_EQ(before->hits[h].row, after->hits[h].row);
        EXPECT_EQ(before->hits[h].score, after->hits[h].score);
      }
    }
  }
}

TEST_F(GraphFileTest, LabelsAreThoseThatWereGiven) {
  SaveSmallIndex(path(), options_, 50);
  const auto file = Open(options_);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ((*file)->label(0), "row 0");
  EXPECT_EQ((*file)->label(9), "");
  EXPECT_EQ((*file)->label(48), "row 48");
}

// docs/index-files.md. A change of these bytes needs a new version.
TEST_F(GraphFileTest, TheHeadersBytesAreThoseOfTheDocument) {
  SaveSmallIndex(path(), options_, 50);
  const std::string bytes = ReadBytes(path());
  const auto number = [&bytes](size_t at, size_t size) {
    uint64_t value = 0;
    std::memcpy(&value, bytes.data() + at, size);
    return value;
  };
  EXPECT_EQ(bytes.substr(0, 8), "FLTINDEX");
  EXPECT_EQ(number(8, 4), 1u);   // version
  EXPECT_EQ(number(12, 1), 1u);  // COSINE
  EXPECT_LE(number(13, 1), 2u);  // float or int8
  EXPECT_EQ(number(14, 2), 0u);
  EXPECT_EQ(number(16, 4), 12u);   // dimension
  EXPECT_EQ(number(20, 4), 16u);   // m
  EXPECT_EQ(number(24, 4), 200u);  // ef_construction
  EXPECT_EQ(number(28, 4), 50u);   // row_limit
  EXPECT_LT(number(32, 4), 50u);   // entry
  EXPECT_EQ(number(48, 8), 41u);   // commit
  const uint64_t body = number(56, 8);
  EXPECT_EQ(bytes.size(), 4096 + body + 8 * ((body + (1 << 20) - 1) >> 20));
  EXPECT_EQ(number(64, 8), XXH3_64bits(bytes.data() + 4096 + body, bytes.size() - 4096 - body));
  // Vectors are the tenth section: rows of 12 floats, zeros, and the length.
  const uint64_t vectors = number(72 + 9 * 16, 8);
  EXPECT_EQ(vectors % 64, 0u);
  EXPECT_EQ(number(72 + 9 * 16 + 8, 8), 50 * RowStore::RowBytes(12));
  EXPECT_EQ(RowStore::RowBytes(12), 64u);
  double length = 0;
  std::memcpy(&length, bytes.data() + vectors + 56, 8);
  float first[12];
  std::memcpy(first, bytes.data() + vectors, sizeof(first));
  EXPECT_EQ(length, std::sqrt(DotDouble(first, first, 12)));
  EXPECT_EQ(number(4088, 8), XXH3_64bits(bytes.data(), 4088));
}

TEST_F(GraphFileTest, FilesOfOthersAreRefused) {
  EXPECT_TRUE(absl::IsNotFound(Open(options_).status()));
  SaveSmallIndex(path(), options_, 50);
  IndexOptions other = options_;
  other.metric = VectorMetric::kL2;
  EXPECT_TRUE(absl::IsFailedPrecondition(Open(other).status()));
  other = options_;
  other.dimension = 13;
  EXPECT_TRUE(absl::IsFailedPrecondition(Open(other).status()));
  other = options_;
  other.parameters.m = 8;
  EXPECT_TRUE(absl::IsFailedPrecondition(Open(other).status()));
  std::string bytes = ReadBytes(path());
  bytes[8] = 2;  // version
  WriteBytes(path(), bytes);
  EXPECT_TRUE(absl::IsFailedPrecondition(Open(options_).status()));
}

TEST_F(GraphFileTest, EveryChangedOrMissingByteIsNoticed) {
  SaveSmallIndex(path(), options_, 40);
  const std::string good = ReadBytes(path());
  for (size_t at = 0; at < good.size(); at += at < 300 ? 1 : 37) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << at % 8));
    WriteBytes(path(), bad);
    ASSERT_FALSE(Open(options_).ok()) << "byte " << at;
  }
  for (size_t size = 0; size < good.size(); size += 1 + size / 20) {
    WriteBytes(path(), std::string_view(good).substr(0, size));
    const absl::Status status = Open(options_).status();
    ASSERT_TRUE(absl::IsDataLoss(status)) << size << ": " << status;
  }
  WriteBytes(path(), good + "x");
  ASSERT_TRUE(absl::IsDataLoss(Open(options_).status()));
}

// With checksums that fit, whatever the bytes are: an error, or a graph that can be walked. Worth
// most under -fsanitize=address.
TEST_F(GraphFileTest, MutatedFilesNeverLeadOutside) {
  std::random_device device;
  const uint64_t seed =
      std::getenv("FLETCH_SEED") ? std::stoull(std::getenv("FLETCH_SEED")) : device();
  std::cout << "seed: FLETCH_SEED=" << seed << std::endl;
  std::mt19937_64 random(seed);
  SaveSmallIndex(path(), options_, 60);
  const std::string good = ReadBytes(path());
  graph_file::Header header;
  std::memcpy(&header, good.data(), sizeof(header));
  int opened = 0;
  int refused = 0;
  for (int i = 0; i < 5000; ++i) {
    std::string bytes = good;
    for (uint64_t change = random() % 4; change < 4; ++change) {
      size_t at = 12 + random() % (72 + 16 * graph_file::kSectionCount - 12);
      if (random() % 3 != 0) {
        const graph_file::Extent extent = header.sections[random() % graph_file::kSectionCount];
        if (extent.size == 0) continue;
        at = extent.offset + random() % extent.size;
      }
      if (random() % 2 == 0) {
        bytes[at] = static_cast<char>(random());
      } else {
        const uint32_t word = random() % 2 == 0 ? static_cast<uint32_t>(random() % 100)
                                                : static_cast<uint32_t>(random());
        at -= at % 4;
        std::memcpy(&bytes[at], &word, sizeof(word));
      }
    }
    MendChecksums(&bytes);
    WriteBytes(path(), bytes);
    ++(OpenAndSearch(path(), options_).ok() ? opened : refused);
  }
  EXPECT_GT(opened, 100);
  EXPECT_GT(refused, 100);
}

TEST_F(GraphFileTest, AFullDiskIsAnErrorAndTheOldFileStays) {
  SaveSmallIndex(path(), options_, 50);
  const std::string before = ReadBytes(path());
  VectorIndex index(options_);
  std::mt19937_64 random(1);
  for (const auto& v : ClusteredVectors(300, 12, 5, &random)) index.Add(v);
  const auto never = [] { return false; };
  ASSERT_TRUE(index.ExtendGraph([](RowId) { return true; }, never, [](double) {}).ok());
  rlimit was = {};
  getrlimit(RLIMIT_FSIZE, &was);
  std::signal(SIGXFSZ, SIG_IGN);
  for (const rlim_t most : {0ul, 100ul, 5000ul, 30'000ul}) {
    const rlimit limit{most, was.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    const absl::Status status = index.Save(
        path() + ".new", 1, [](RowId) { return std::string("x"); }, never);
    setrlimit(RLIMIT_FSIZE, &was);
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << most << ": " << status;
    EXPECT_EQ(ErrorReason(status), "DISK_FULL");
    EXPECT_FALSE(fs::exists(path() + ".new"));
  }
  EXPECT_EQ(ReadBytes(path()), before);
}

TEST_F(GraphFileTest, ACancelledSaveLeavesNothing) {
  VectorIndex index(options_);
  std::mt19937_64 random(1);
  for (const auto& v : ClusteredVectors(300, 12, 5, &random)) index.Add(v);
  ASSERT_TRUE(
      index.ExtendGraph([](RowId) { return true; }, [] { return false; }, [](double) {}).ok());
  const absl::Status status = index.Save(
      path(), 1, [](RowId) { return std::string("x"); }, [] { return true; });
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_TRUE(fs::is_empty(folder_));
}

}  // namespace
}  // namespace fletch
