// SPDX-License-Identifier: Apache-2.0
// Questions before a view's horizon: online, windows, histories. Training: training_join_test.cc.
#include <memory>

#include "base/status.h"
#include "gtest/gtest.h"
#include "server/engine/history.h"
#include "server/engine/plan_horizon.h"
#include "server/engine/snapshot.h"
#include "storage/memory_kv_store.h"

namespace fletch {
namespace {

class ReadHorizonTest : public testing::Test {
 protected:
  ReadHorizonTest() {
    view_->schema.view_id = 3;
    view_->schema.name = "v";
    EXPECT_TRUE(horizons_->Raise(store_.get(), 3, {.time = 100, .floor = 7}).ok());
    windows_->name = "w";
    windows_->source = view_;
    windows_->longest_window_micros = 20;
    stored_.view = view_;
    aggregated_.windows = windows_;
  }

  absl::Status Ask(const PlanView& view, int64_t as_of, uint64_t read_seq) {
    const ReadSources sources{
        .online = &online_, .store = store_.get(), .horizons = horizons_.get()};
    return Snapshot(sources, as_of, read_seq).CheckHorizon(view);
  }
  absl::Status History(std::optional<int64_t> start, uint64_t read_seq) {
    HistoryRequest request;
    request.start = start;
    return ReadHistoryPage(*store_, *horizons_, *view_, request, read_seq).status();
  }
  static void ExpectRefused(const absl::Status& status, const std::string& field,
                            const std::string& text) {
    EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange) << status;
    EXPECT_EQ(ErrorReason(status), "BEFORE_HORIZON");
    EXPECT_EQ(ErrorField(status), field);
    EXPECT_NE(status.message().find(text), absl::string_view::npos) << status;
  }

  std::unique_ptr<KvStore> store_ = NewMemoryKvStore();
  std::unique_ptr<Horizons> horizons_ = *Horizons::Open(store_.get());
  OnlineTable online_{1u << 20};
  std::shared_ptr<View> view_ = std::make_shared<View>(View{{}, RowLayout({})});
  std::shared_ptr<AggregationView> windows_ =
      std::make_shared<AggregationView>(AggregationView{"", "", 1, nullptr, {}, RowLayout({}), 0});
  PlanView stored_;
  PlanView aggregated_;
};

TEST_F(ReadHorizonTest, AViewsOwn) {
  EXPECT_TRUE(Ask(stored_, 100, 7).ok());
  ExpectRefused(Ask(stored_, 99, 7), "as_of", "v@v1");
  ExpectRefused(Ask(stored_, 100, 6), "known_at", "commit 7");
}

TEST_F(ReadHorizonTest, AWindowMustBeWhole) {
  EXPECT_TRUE(Ask(aggregated_, 120, 7).ok());
  ExpectRefused(Ask(aggregated_, 119, 7), "as_of", "w@v1");
  ExpectRefused(Ask(aggregated_, 120, 6), "known_at", "w@v1");
}

TEST_F(ReadHorizonTest, AHistoryWithoutAStartBeginsWhereItBegins) {
  EXPECT_TRUE(History(std::nullopt, 7).ok());
  EXPECT_TRUE(History(100, 7).ok());
  ExpectRefused(History(99, 7), "start", "v@v1");
  ExpectRefused(History(std::nullopt, 6), "known_at", "commit 7");
}

}  // namespace
}  // namespace fletch
