// SPDX-License-Identifier: Apache-2.0
// Spines from files and back from training sets; keys and context from the command line.
#include "spine.h"

#include <gtest/gtest.h>

#include <fstream>

#include "result.h"
#include "training_set_text.h"

namespace fletch::ctl {
namespace {

class SpineTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Spine>> Begun(const std::string& text, uint64_t batch_rows = 100) {
    args_.file = testing::TempDir() + "/spine_test.csv";
    args_.batch_rows = batch_rows;
    std::ofstream(args_.file) << text;
    CTL_ASSIGN(std::unique_ptr<Spine> spine, Spine::Open(args_));
    CTL_RETURN_IF_ERROR(spine->Begin(columns_));
    return spine;
  }

  SpineArgs args_;
  ReadColumns columns_ = {.keys = {{"airport", v1::STRING}}, .context = {{"hour", v1::INT64}}};
};

TEST_F(SpineTest, CutsKeysTimesAndContext) {
  const auto spine = Begun(
      "label,airport,hour,event_timestamp\nx,SFO,8,1970-01-01T00:00:01Z\ny,JFK,,1970-01-01\n"
      "z,LAX,9,1970-01-01\n",
      2);
  ASSERT_TRUE(spine.ok()) << spine.status();
  EXPECT_EQ((*spine)->names(),
            (std::vector<std::string>{"label", "airport", "hour", "event_timestamp"}));
  const auto first = (*spine)->Next();
  ASSERT_TRUE(first.ok() && first->has_value()) << first.status();
  const v1::SpineBatch& message = (*first)->message;
  EXPECT_EQ(message.row_count(), 2u);
  EXPECT_EQ(message.keys_size(), 1);
  EXPECT_EQ(message.keys().at("airport").strings().values(1), "JFK");
  EXPECT_EQ(message.request_context_size(), 1);
  EXPECT_EQ(message.request_context().at("hour").int64s().values(0), 8);
  EXPECT_EQ(message.request_context().at("hour").null_rows(0), 1u) << "context may be null";
  EXPECT_EQ(message.timestamps().micros(0), 1'000'000);
  EXPECT_EQ(std::get<std::string>((*first)->rows[1][0]), "y");
  const auto second = (*spine)->Next();
  EXPECT_EQ((*second)->message.row_count(), 1u);
  EXPECT_EQ((*second)->bytes_read, (*spine)->bytes());
  EXPECT_FALSE((*spine)->Next()->has_value());
}

TEST_F(SpineTest, AColumnMayBeKeyAndContextAndTime) {
  columns_.context = {{"airport", v1::STRING}, {"event_timestamp", v1::TIMESTAMP}};
  const auto spine = Begun("airport,event_timestamp\nSFO,1970-01-01T00:00:01Z\n");
  ASSERT_TRUE(spine.ok()) << spine.status();
  const auto batch = (*spine)->Next();
  ASSERT_TRUE(batch.ok()) << batch.status();
  const v1::SpineBatch& message = (*batch)->message;
  EXPECT_EQ(message.keys().at("airport").strings().values(0), "SFO");
  EXPECT_EQ(message.request_context().at("airport").strings().values(0), "SFO");
  EXPECT_EQ(message.request_context().at("event_timestamp").timestamps().micros(0), 1'000'000);
  EXPECT_EQ(message.timestamps().micros(0), 1'000'000);
}

TEST_F(SpineTest, SaysWhichColumnIsMissing) {
  const auto no_context = Begun("airport,event_timestamp\nSFO,1970-01-01\n").status();
  EXPECT_EQ(ExitCode(no_context), 2);
  EXPECT_NE(no_context.message().find("no column 'hour' (INT64)"), std::string::npos) << no_context;
  const auto no_key = (*Begun("hour,event_timestamp\n8,1970-01-01\n"))->Next().status();
  EXPECT_NE(no_key.message().find("no column for the key 'airport'"), std::string::npos) << no_key;
}

TEST(SpineHeader, SaysHowRowsAreRead) {
  SpineArgs args;
  args.selection.features = {"v:f"};
  EXPECT_EQ(ToHeader(args)->out_of_range(), v1::FAIL);
  args.out_of_range = "mark";
  args.as_served = true;
  EXPECT_EQ(ToHeader(args)->out_of_range(), v1::MARK);
  EXPECT_EQ(ToHeader(args)->known_at_mode(), v1::AS_SERVED);
  args.known_at = "3";
  EXPECT_EQ(ExitCode(ToHeader(args).status()), 2);
  args.as_served = false;
  EXPECT_EQ(ToHeader(args)->known_at_mode(), v1::FIXED);
  args.selection = {};
  EXPECT_EQ(ExitCode(ToHeader(args).status()), 2);
}

TEST(SpineTable, GivesTheSpineBack) {
  v1::SpineBatch spine;
  spine.set_row_count(2);
  (*spine.mutable_keys())["b"] = client::Strings({"x", "y"});
  (*spine.mutable_keys())["a"] = client::Int64s({1, 2});
  *spine.mutable_timestamps() = client::Times({absl::UnixEpoch(), absl::FromUnixSeconds(1)});
  (*spine.mutable_request_context())["rate"] = client::Doubles({0.5, 0}, {1});
  (*spine.mutable_request_context())["hour"] = client::Doubles({8});
  const SpineTable table(spine);
  EXPECT_EQ(table.names(), (std::vector<std::string>{"a", "b", "event_timestamp", "hour", "rate"}));
  const std::vector<SpineRow> csv = table.Rows(RecordFormat::kCsv);
  EXPECT_EQ(csv[1],
            (SpineRow{std::string("2"), std::string("y"), std::string("1970-01-01T00:00:01Z"),
                      std::string("8"), std::monostate()}));
  const std::vector<SpineRow> json = table.Rows(RecordFormat::kJsonLines);
  EXPECT_EQ(json[0],
            (SpineRow{Json(1), Json("x"), Json("1970-01-01T00:00:00Z"), Json(8.0), Json(0.5)}));
}

TEST(TrainingSetText, SaysWhatIsKnown) {
  v1::TrainingSet set;
  set.set_name("q1");
  set.set_row_count(3);
  set.set_batch_count(1);
  set.set_read_seq(7);
  set.set_digest("\x01\xff");
  set.set_engine_version("0.1.0");
  set.set_unreadable("entities of it were erased");
  v1::ResolvedFeature& feature = *set.add_features();
  feature.set_ref("v:f");
  feature.set_resolved("v@v1:f");
  EXPECT_EQ(TrainingSetText(set),
            "training set q1, created 1970-01-01T00:00:00Z by 0.1.0\n"
            "entities of it were erased\n"
            "rows      3 in 1 batch, of 1970-01-01T00:00:00Z to 1970-01-01T00:00:00Z\n"
            "known at  commit 7\n"
            "digest    01ff\n"
            "features  1 ref\n"
            "  v:f = v@v1:f\n");
  EXPECT_EQ(TrainingSetJson(set)["digest"], "01ff");
}

TEST(Keys, TakeListsOfOneLength) {
  const KeyTypes types = {{"airport", v1::STRING}, {"flight", v1::INT64}};
  const auto keys = ParseKeys({"airport=SFO,JFK", "flight=1,2"}, types);
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->row_count, 2u);
  EXPECT_EQ(keys->columns[1].second.int64s().values(1), 2);
  EXPECT_EQ(ParseKeys({"airport=[\"a,b\"]"}, types)->columns[0].second.strings().values(0), "a,b");
  for (const std::vector<std::string>& bad : {std::vector<std::string>{"airport=A,B", "flight=1"},
                                              {"plane=1"},
                                              {"airport"},
                                              {"flight=x"},
                                              {"airport=A", "airport=B"},
                                              {"airport=[1"}}) {
    EXPECT_EQ(ExitCode(ParseKeys(bad, types).status()), 2) << bad[0];
  }
}

TEST(Context, HasOneValueForAllOrOneARow) {
  const KeyTypes types = {{"hour", v1::INT64}, {"note", v1::STRING}};
  const auto context = ParseContext({"hour=8", "note=[\"a,b\",null]"}, types, 2);
  ASSERT_TRUE(context.ok()) << context.status();
  EXPECT_EQ(context->columns[0].second.int64s().values_size(), 1);
  EXPECT_EQ(context->columns[1].second.strings().values(0), "a,b");
  EXPECT_EQ(context->columns[1].second.null_rows(0), 1u);
  EXPECT_TRUE(ParseContext({}, {}, 2).ok());
  for (const std::vector<std::string>& bad : {std::vector<std::string>{"hour=8"},
                                              {"hour=8,9,10", "note=a"},
                                              {"hour=8", "note=a", "minute=1"},
                                              {"hour=early", "note=a"},
                                              {"hour=8", "note=a", "hour=9"}}) {
    EXPECT_EQ(ExitCode(ParseContext(bad, types, 2).status()), 2) << bad.back();
  }
  EXPECT_EQ(ParseContext({"hour=8"}, types, 2).status().message(),
            "the features need the request's note; add --context note=… (STRING)");
  EXPECT_EQ(ParseContext({"x=1"}, {}, 1).status().message(),
            "--context 'x=1': context columns here are none; write --context NAME=VALUE[,VALUE…]");
}

}  // namespace
}  // namespace fletch::ctl
