// SPDX-License-Identifier: Apache-2.0
// Erasures, maintenance and partial updates from the wire.
#include "base/limits.h"
#include "base/status.h"
#include "gtest/gtest.h"
#include "server/rpc/convert.h"

namespace fletch {
namespace {

v1::EraseRequest MakeErase(uint64_t rows) {
  v1::EraseRequest request;
  request.set_project("p");
  request.set_entity("user");
  request.set_row_count(rows);
  auto* keys = (*request.mutable_keys())["user"].mutable_int64s();
  for (uint64_t row = 0; row < rows; ++row) keys->add_values(static_cast<int64_t>(row));
  return request;
}

std::string Refusal(const absl::Status& status) {
  return absl::StatusCodeToString(status.code()) + " " + ErrorField(status);
}

TEST(ConvertAdminTest, Erase) {
  auto erase = ToEngine(MakeErase(limits::kMaxEraseKeys));
  ASSERT_TRUE(erase.ok()) << erase.status();
  EXPECT_EQ(erase->project, "p");
  EXPECT_EQ(erase->entity, "user");
  EXPECT_EQ(erase->row_count, limits::kMaxEraseKeys);
  ASSERT_EQ(erase->keys.size(), 1u);
  EXPECT_EQ(erase->keys[0].column.int64s.back(), 999);
  EXPECT_EQ(Refusal(ToEngine(MakeErase(0)).status()), "INVALID_ARGUMENT row_count");
  EXPECT_EQ(Refusal(ToEngine(MakeErase(limits::kMaxEraseKeys + 1)).status()),
            "OUT_OF_RANGE row_count");
  v1::EraseRequest request = MakeErase(1);
  request.clear_project();
  EXPECT_EQ(Refusal(ToEngine(request).status()), "INVALID_ARGUMENT project");
  request = MakeErase(1);
  request.clear_entity();
  EXPECT_EQ(Refusal(ToEngine(request).status()), "INVALID_ARGUMENT entity");
  request = MakeErase(2);
  (*request.mutable_keys())["user"].mutable_int64s()->add_values(7);
  EXPECT_EQ(Refusal(ToEngine(request).status()), "INVALID_ARGUMENT keys.user");
}

TEST(ConvertAdminTest, ListErasures) {
  v1::ListErasuresRequest request;
  EXPECT_TRUE(CheckRequest(request).ok());
  request.set_page_size(limits::kMaxPageSize);
  EXPECT_TRUE(CheckRequest(request).ok());
  request.set_page_size(limits::kMaxPageSize + 1);
  EXPECT_EQ(Refusal(CheckRequest(request)), "OUT_OF_RANGE page_size");
}

TEST(ConvertAdminTest, AuditParity) {
  v1::AuditParityRequest request;
  EXPECT_EQ(Refusal(CheckRequest(request)), "INVALID_ARGUMENT project");
  request.set_project("p");
  EXPECT_TRUE(CheckRequest(request).ok());
  request.set_entities(limits::kMaxParityEntities + 1);
  EXPECT_EQ(Refusal(CheckRequest(request)), "OUT_OF_RANGE entities");
  request.set_entities(limits::kMaxParityEntities);
  request.set_feature_service("s");
  EXPECT_TRUE(CheckRequest(request).ok());
  request.add_features("v:x");
  EXPECT_EQ(Refusal(CheckRequest(request)), "INVALID_ARGUMENT features");
}

// The same rows merged and whole are two payloads; a request without `merge` hashes as before there
// was one.
TEST(ConvertAdminTest, MergeIsPartOfThePayload) {
  const auto write = [](bool merge) {
    v1::WriteRequest request;
    request.set_project("p");
    request.set_request_id("r");
    v1::RowBatch* batch = request.add_batches();
    batch->set_feature_view("v");
    batch->set_row_count(1);
    (*batch->mutable_columns())["user"].mutable_int64s()->add_values(1);
    batch->mutable_event_timestamps()->add_micros(5);
    batch->set_merge(merge);
    return ToEngine(&request);
  };
  const auto whole = write(false), merged = write(true);
  ASSERT_TRUE(whole.ok()) << whole.status();
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_FALSE(whole->batches[0].merge);
  EXPECT_TRUE(merged->batches[0].merge);
  EXPECT_NE(whole->payload_hash, merged->payload_hash);
  EXPECT_EQ(write(true)->payload_hash, merged->payload_hash);
}

}  // namespace
}  // namespace fletch
