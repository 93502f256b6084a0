// SPDX-License-Identifier: Apache-2.0
// Messages with bytes changed at random: whatever they say, reading them ends with columns or an
// error.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iterator>

#include "server/flight/ipc_testing.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

// One change: a bit, a byte, a word with a meaning, a cut, a piece doubled.
void Mutate(std::mt19937_64& random, std::string* bytes) {
  if (bytes->empty()) return;
  static constexpr int64_t kWords[] = {
      0,        1,    -1,         2,       7,         8,         16,
      0x7f,     0xff, 0x7fffffff, 1 << 20, INT64_MAX, INT64_MIN, -0x80000000ll,
      1ll << 40};
  const size_t at = random() % bytes->size();
  switch (random() % 6) {
    case 0:
      (*bytes)[at] = static_cast<char>((*bytes)[at] ^ (1 << (random() % 8)));
      return;
    case 1:
      (*bytes)[at] = static_cast<char>(random());
      return;
    case 2:
    case 3: {
      const int64_t word = kWords[random() % std::size(kWords)];
      const size_t width = size_t{1} << (random() % 4);
      std::memcpy(bytes->data() + at, &word, std::min(width, bytes->size() - at));
      return;
    }
    case 4:
      bytes->resize(at);
      return;
    default:
      bytes->insert(at, bytes->substr(random() % bytes->size(), random() % 16));
      return;
  }
}

TEST(IpcHostile, SeedsAreRead) {
  for (const std::vector<IpcMessage>& stream : SeedStreams()) {
    IpcReader reader;
    size_t columns = 0;
    for (const IpcMessage& message : stream) {
      const absl::StatusOr<IpcReader::Kind> kind = reader.Take(message.header, message.body);
      ASSERT_TRUE(kind.ok()) << kind.status();
      for (size_t i = 0; *kind == IpcReader::Kind::kBatch && i < reader.fields().size(); ++i) {
        const absl::StatusOr<Column> column =
            reader.ReadColumn(i, 0, reader.row_count(), DataType{ValueType::kBool});
        ASSERT_TRUE(column.ok()) << column.status();
        ++columns;
      }
    }
    EXPECT_GT(columns, 0u);
  }
}

TEST(IpcHostile, StreamsAreSplitAsTheyWereJoined) {
  for (const std::vector<IpcMessage>& stream : SeedStreams()) {
    const std::vector<IpcMessage> split = SplitMessages(JoinMessages(stream));
    ASSERT_EQ(split.size(), stream.size());
    for (size_t i = 0; i < split.size(); ++i) {
      EXPECT_EQ(split[i].header, stream[i].header);
      EXPECT_EQ(split[i].body, stream[i].body);
    }
  }
}

TEST(IpcHostile, MutatedMessagesNeverCrash) {
  std::mt19937_64 random = SeededRandom();
  const std::vector<std::vector<IpcMessage>> seeds = SeedStreams();
  const char* const given = std::getenv("FLETCH_FUZZ_INPUTS");
  const size_t inputs = given != nullptr ? std::strtoull(given, nullptr, 10) : 30'000;
  size_t cells = 0;
  for (size_t i = 0; i < inputs; ++i) {
    std::vector<IpcMessage> stream = seeds[random() % seeds.size()];
    for (size_t changes = 1 + random() % 3; changes > 0; --changes) {
      IpcMessage& message = stream[random() % stream.size()];
      Mutate(random, random() % 3 == 0 ? &message.body : &message.header);
    }
    cells += ReadWholeStream(stream);
  }
  EXPECT_GT(cells, inputs) << "the mutations leave nothing to read";
}

}  // namespace
}  // namespace fletch
