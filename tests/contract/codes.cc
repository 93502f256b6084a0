// SPDX-License-Identifier: Apache-2.0
#include "tests/contract/codes.h"

namespace fletch {
namespace {

const char* CodeText(StatusCode code) {
  switch (code) {
    case kInvalid:
      return "INVALID_ARGUMENT";
    case kRange:
      return "OUT_OF_RANGE";
    case kMissing:
      return "NOT_FOUND";
    default:
      return "";
  }
}

}  // namespace

void Check(const std::vector<Row>& rows) {
  WireClient* client = SharedClient();
  ASSERT_NE(client, nullptr);
  const Snapshot before = TakeSnapshot(client);
  ASSERT_GT(before.applied_seq, 0u);
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const Outcome outcome = client->Unary(row.method, row.bytes);
    EXPECT_EQ(outcome.code, row.code) << outcome.Text();
    EXPECT_FALSE(outcome.message.empty());
    EXPECT_FALSE(outcome.reason.empty());
    const std::string reason = row.reason.empty() ? CodeText(row.code) : row.reason;
    if (!reason.empty()) {
      EXPECT_EQ(outcome.reason, reason) << outcome.Text();
    }
    if (!row.field.empty()) {
      EXPECT_EQ(outcome.field, row.field) << outcome.Text();
    }
    EXPECT_TRUE(TakeSnapshot(client) == before) << "a refused request changed something";
  }
}

}  // namespace fletch
