// SPDX-License-Identifier: Apache-2.0
#include "storage/fact_block.h"

#include <algorithm>
#include <random>
#include <vector>

#include "base/limits.h"
#include "gtest/gtest.h"
#include "storage/big_endian.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

// A fact that owns its bytes.
struct OwnedFact {
  int64_t event_time;
  uint64_t commit_seq;
  std::string identity;  // kind, complement of the event key
  FactForm form;
  std::string row;

  FactView View() const {
    return {{event_time, commit_seq, identity[0] == kTombstoneKind,
             std::string_view(identity).substr(1), identity},
            form,
            row};
  }
};

std::string Encode(const std::vector<OwnedFact>& facts) {
  FactBlockBuilder builder;
  for (const OwnedFact& fact : facts) builder.Add(fact.View());
  return builder.Finish();
}

std::vector<OwnedFact> RandomBlock(size_t count, bool event_keys, std::mt19937_64& random) {
  std::vector<OwnedFact> facts;
  for (size_t i = 0; i < count; ++i) {
    const bool tombstone = random() % 4 == 0;
    const bool retraction = random() % 4 == 0;
    OwnedFact fact{static_cast<int64_t>(random() % 20) - 10, random() % 1000 + i * 1000,
                   std::string(1, tombstone ? kTombstoneKind : kRowKind),
                   retraction  ? FactForm::kRetraction
                   : tombstone ? FactForm::kTombstone
                               : FactForm::kRow,
                   ""};
    if (event_keys && !tombstone) fact.identity += std::string(random() % 5, 'k');
    if (fact.form == FactForm::kRow) fact.row = std::string(random() % 50, 'r');
    facts.push_back(fact);
  }
  std::sort(facts.begin(), facts.end(), [](const OwnedFact& a, const OwnedFact& b) {
    return StandsBefore(a.View().at, b.View().at);
  });
  return facts;
}

void ExpectSame(const FactView& read, const OwnedFact& written) {
  EXPECT_EQ(read.at.event_time, written.event_time);
  EXPECT_EQ(read.at.commit_seq, written.commit_seq);
  EXPECT_EQ(read.at.tombstone, written.identity[0] == kTombstoneKind);
  EXPECT_EQ(read.at.identity, written.identity);
  EXPECT_EQ(read.at.event_key_complement, std::string_view(written.identity).substr(1));
  EXPECT_EQ(read.form, written.form);
  EXPECT_EQ(read.row, written.row);
}

TEST(FactBlockTest, RoundTrip) {
  std::mt19937_64 random = SeededRandom();
  for (int i = 0; i < 300; ++i) {
    const auto facts = RandomBlock(1 + random() % 200, i % 2 == 0, random);
    const std::string bytes = Encode(facts);
    const FactBlock block = FactBlock::Parse(bytes).value();
    ASSERT_TRUE(block.Check().ok()) << block.Check();
    ASSERT_EQ(block.count(), facts.size());
    EXPECT_EQ(block.newest(), facts.front().event_time);
    EXPECT_EQ(block.oldest(), facts.back().event_time);
    for (size_t at = 0; at < facts.size(); ++at) ExpectSame(block.Read(at).value(), facts[at]);
    for (int64_t t = -12; t <= 12; ++t) {
      const auto found = std::find_if(facts.begin(), facts.end(),
                                      [t](const OwnedFact& f) { return f.event_time <= t; });
      EXPECT_EQ(block.FindAtOrBefore(t, 0), static_cast<size_t>(found - facts.begin()));
    }
    for (int question = 0; question < 20; ++question) {
      const uint64_t known_at = facts[random() % facts.size()].commit_seq - random() % 2;
      const size_t from = random() % (facts.size() + 1);
      const auto found =
          std::find_if(facts.begin() + static_cast<ptrdiff_t>(from), facts.end(),
                       [known_at](const OwnedFact& f) { return f.commit_seq <= known_at; });
      EXPECT_EQ(block.FindKnown(known_at, from), static_cast<size_t>(found - facts.begin()));
    }
  }
}

TEST(FactBlockTest, ABuilderBeginsAnewAndCountsItsBytes) {
  std::mt19937_64 random = SeededRandom();
  const auto facts = RandomBlock(50, true, random);
  const auto plain = RandomBlock(50, false, random);
  FactBlockBuilder builder;
  for (const auto* list : {&facts, &plain, &facts}) {
    size_t bytes = 0;
    for (const OwnedFact& fact : *list) {
      builder.Add(fact.View());
      bytes += BytesInBlock(fact.View());
    }
    const std::string block = builder.Finish();
    EXPECT_EQ(block, Encode(*list));
    EXPECT_LE(block.size(), bytes + 6);
  }
}

TEST(FactBlockTest, EdgesOfTimeAndCommit) {
  const std::vector<OwnedFact> facts = {
      {limits::kMaxTimeMicros, UINT64_MAX, std::string(1, kRowKind), FactForm::kRow, "x"},
      {limits::kMinTimeMicros, 1, std::string(1, kTombstoneKind), FactForm::kTombstone, ""}};
  const std::string bytes = Encode(facts);
  const FactBlock block = FactBlock::Parse(bytes).value();
  for (size_t i = 0; i < 2; ++i) ExpectSame(block.Read(i).value(), facts[i]);
  // A key of an older block stands behind those of newer ones.
  EXPECT_LT(FactBlockKey("p", limits::kMaxTimeMicros), FactBlockKey("p", 0));
  EXPECT_LT(FactBlockKey("p", 0), FactBlockKey("p", limits::kMinTimeMicros));
}

// Reads all there is of bytes that may be anything, in a buffer of its own so that ASan sees its
// end. Nothing but DATA_LOSS may come of it.
void ReadDamaged(const std::string& bytes) {
  const std::vector<char> exact(bytes.begin(), bytes.end());
  const auto block = FactBlock::Parse({exact.data(), exact.size()});
  if (!block.ok()) {
    EXPECT_TRUE(absl::IsDataLoss(block.status())) << block.status();
    return;
  }
  const absl::Status checked = block->Check();
  EXPECT_TRUE(checked.ok() || absl::IsDataLoss(checked)) << checked;
  size_t sum = 0;
  for (size_t i = 0; i < block->count(); ++i) {
    const auto fact = block->Read(i);
    if (!fact.ok()) {
      EXPECT_FALSE(checked.ok());
      continue;
    }
    for (const char c : fact->row) sum += static_cast<uint8_t>(c);
    for (const char c : fact->at.identity) sum += static_cast<uint8_t>(c);
  }
  EXPECT_LE(block->FindAtOrBefore(0, 0), block->count());
  EXPECT_LE(sum, 255 * bytes.size() * block->count());
}

TEST(FactBlockTest, EveryCutIsDataLoss) {
  std::mt19937_64 random = SeededRandom();
  for (const bool event_keys : {false, true}) {
    const std::string bytes = Encode(RandomBlock(20, event_keys, random));
    for (size_t size = 0; size < bytes.size(); ++size) {
      const std::vector<char> exact(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
      EXPECT_TRUE(absl::IsDataLoss(FactBlock::Parse({exact.data(), size}).status())) << size;
    }
    EXPECT_TRUE(absl::IsDataLoss(FactBlock::Parse(bytes + "x").status()));
    for (const char version : {0, 2}) {
      std::string other = bytes;
      other[0] = version;
      EXPECT_TRUE(absl::IsDataLoss(FactBlock::Parse(other).status()));
    }
  }
}

TEST(FactBlockTest, MutatedBlocksAreDataLossOrReadWithinTheirBytes) {
  std::mt19937_64 random = SeededRandom();
  for (int i = 0; i < 30'000; ++i) {
    std::string bytes = Encode(RandomBlock(1 + random() % 12, random() % 2 == 0, random));
    for (uint64_t n = 1 + random() % 4; n > 0; --n) {
      const size_t at = random() % std::min<size_t>(bytes.size(), random() % 2 == 0 ? 6 : SIZE_MAX);
      bytes[at] = static_cast<char>(random() % 3 == 0 ? 0xFF : random());
    }
    ReadDamaged(bytes);
  }
}

TEST(FactBlockTest, FactsOutOfOrderAreFound) {
  std::mt19937_64 random = SeededRandom();
  auto facts = RandomBlock(10, true, random);
  std::swap(facts[3], facts[7]);
  const std::string swapped = Encode(facts);
  EXPECT_TRUE(absl::IsDataLoss(FactBlock::Parse(swapped)->Check()));
  facts = RandomBlock(10, true, random);
  facts[4] = facts[5];
  const std::string twice = Encode(facts);
  EXPECT_TRUE(absl::IsDataLoss(FactBlock::Parse(twice)->Check()));
}

}  // namespace
}  // namespace fletch
