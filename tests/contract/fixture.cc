// SPDX-License-Identifier: Apache-2.0
#include "tests/contract/fixture.h"

#include <csignal>
#include <memory>

#include "tests/contract/daemon_process.h"

namespace fletch {
namespace {

constexpr int64_t kTime = 1'000'000'000;  // 1000 s

v1::FeatureView* AddView(v1::ApplyRequest* spec, const std::string& name,
                         const std::string& entity) {
  v1::FeatureView* view = spec->add_objects()->mutable_feature_view();
  view->set_name(name);
  view->set_entity(entity);
  return view;
}

v1::Field* AddField(v1::FeatureView* view, const std::string& name, v1::ValueType type) {
  v1::Field* field = view->add_fields();
  field->set_name(name);
  field->set_type(type);
  return field;
}

v1::RowBatch* AddBatch(v1::WriteRequest* request, const std::string& view, int64_t time) {
  v1::RowBatch* batch = request->add_batches();
  batch->set_feature_view(view);
  batch->set_row_count(1);
  batch->mutable_event_timestamps()->add_micros(time);
  return batch;
}

std::unique_ptr<DaemonProcess>& SharedDaemon() {
  static std::unique_ptr<DaemonProcess> daemon;
  return daemon;
}

// Ends the shared daemon when the program does; it must have survived everything.
class EndOfTests : public testing::Environment {
 public:
  void TearDown() override {
    if (SharedDaemon() == nullptr) return;
    SharedDaemon()->Signal(SIGTERM);
    EXPECT_EQ(SharedDaemon()->WaitForExit(30'000), 0) << SharedDaemon()->Output();
    SharedDaemon().reset();
  }
};
[[maybe_unused]] testing::Environment* const kEndOfTests =
    testing::AddGlobalTestEnvironment(new EndOfTests);

}  // namespace

v1::ApplyRequest ProjectSpec() {
  v1::ApplyRequest spec;
  spec.set_project("c");
  v1::Entity* user = spec.add_objects()->mutable_entity();
  user->set_name("user");
  user->add_join_keys()->set_name("id");
  user->mutable_join_keys(0)->set_type(v1::INT64);
  v1::Entity* shop = spec.add_objects()->mutable_entity();
  shop->set_name("shop");
  shop->add_join_keys()->set_name("name");
  shop->mutable_join_keys(0)->set_type(v1::STRING);

  v1::FeatureView* profile = AddView(&spec, "profile", "user");
  AddField(profile, "score", v1::DOUBLE)->set_forbid_nan(true);
  AddField(profile, "label", v1::STRING);
  AddField(profile, "doc", v1::JSON);
  v1::Field* emb = AddField(AddView(&spec, "face", "user"), "emb", v1::FLOAT_VECTOR);
  emb->set_dimension(3);
  emb->mutable_index()->set_metric(v1::COSINE);
  v1::FeatureView* orders = AddView(&spec, "orders", "shop");
  AddField(orders, "total", v1::DOUBLE);
  orders->add_event_key()->set_name("no");
  orders->mutable_event_key(0)->set_type(v1::INT64);
  AddField(AddView(&spec, "spare", "user"), "x", v1::DOUBLE);

  v1::FeatureService* model = spec.add_objects()->mutable_feature_service();
  model->set_name("model");
  model->add_features("profile:score");
  model->add_features("profile:label");
  return spec;
}

v1::WriteRequest GoodWrite(int64_t id) {
  v1::WriteRequest request;
  request.set_project("c");
  v1::RowBatch* profile = AddBatch(&request, "profile", kTime);
  (*profile->mutable_columns())["id"].mutable_int64s()->add_values(id);
  (*profile->mutable_columns())["score"].mutable_doubles()->add_values(0.5);
  (*profile->mutable_columns())["label"].mutable_strings()->add_values("a");
  (*profile->mutable_columns())["doc"].mutable_json()->add_values("{}");
  v1::RowBatch* face = AddBatch(&request, "face", kTime);
  (*face->mutable_columns())["id"].mutable_int64s()->add_values(id);
  v1::VectorValues* emb = (*face->mutable_columns())["emb"].mutable_vectors();
  emb->set_dimension(3);
  for (const float x : {1.0f, 2.0f, 3.0f}) emb->add_values(x);
  v1::RowBatch* orders = AddBatch(&request, "orders", kTime);
  (*orders->mutable_columns())["name"].mutable_strings()->add_values("corner");
  (*orders->mutable_columns())["no"].mutable_int64s()->add_values(id);
  (*orders->mutable_columns())["total"].mutable_doubles()->add_values(9.5);
  return request;
}

v1::DeleteRequest GoodDelete() {
  v1::DeleteRequest request;
  request.set_project("c");
  request.set_feature_view("profile");
  request.set_row_count(1);
  (*request.mutable_keys())["id"].mutable_int64s()->add_values(1);
  request.mutable_event_timestamps()->add_micros(kTime + 1);
  return request;
}

v1::RetractRequest GoodRetract() {
  v1::RetractRequest request;
  request.set_project("c");
  request.set_feature_view("orders");
  request.set_row_count(1);
  (*request.mutable_keys())["name"].mutable_strings()->add_values("corner");
  (*request.mutable_keys())["no"].mutable_int64s()->add_values(1);
  request.mutable_event_timestamps()->add_micros(kTime);
  return request;
}

v1::GetOnlineFeaturesRequest GoodOnline() {
  v1::GetOnlineFeaturesRequest request;
  request.set_project("c");
  request.add_features("profile:score");
  request.set_row_count(1);
  (*request.mutable_keys())["id"].mutable_int64s()->add_values(1);
  return request;
}

v1::HistoricalHeader GoodHeader() {
  v1::HistoricalHeader header;
  header.set_project("c");
  header.set_feature_service("model");
  return header;
}

v1::SpineBatch GoodSpine() {
  v1::SpineBatch spine;
  spine.set_row_count(2);
  for (const int64_t id : {1, 2}) {
    (*spine.mutable_keys())["id"].mutable_int64s()->add_values(id);
    spine.mutable_timestamps()->add_micros(kTime + id);
  }
  return spine;
}

v1::GetFeatureHistoryRequest GoodHistory(const std::string& view) {
  v1::GetFeatureHistoryRequest request;
  request.set_project("c");
  request.set_feature_view(view);
  request.set_all_forms(true);
  return request;
}

v1::SearchRequest GoodSearch() {
  v1::SearchRequest request;
  request.set_project("c");
  request.set_index("face:emb");
  for (const float x : {1.0f, 0.0f, 0.0f}) request.add_vector(x);
  request.set_top_k(5);
  return request;
}

v1::BatchSearchRequest GoodBatchSearch() {
  v1::BatchSearchRequest request;
  *request.mutable_common() = GoodSearch();
  request.mutable_common()->clear_vector();
  request.set_query_count(2);
  for (const float x : {1.0f, 0.0f, 0.0f, 0.0f, 1.0f, 0.0f}) request.add_vectors(x);
  return request;
}

void LoadProject(WireClient* client) {
  const Outcome applied = client->Ask(kApply, ProjectSpec());
  ASSERT_EQ(applied.code, grpc::StatusCode::OK) << applied.Text();
  const Outcome written = client->Ask(kWrite, GoodWrite());
  ASSERT_EQ(written.code, grpc::StatusCode::OK) << written.Text();
}

Snapshot TakeSnapshot(WireClient* client) {
  Snapshot out;
  const auto status = client->Get<v1::GetStatusResponse>(kStatus, v1::GetStatusRequest());
  out.revision = status.registry_revision();
  out.applied_seq = status.applied_seq();
  for (const char* view : {"profile", "face", "orders", "spare"}) {
    auto history = client->Get<v1::GetFeatureHistoryResponse>(kHistory, GoodHistory(view));
    history.clear_read_seq();
    out.histories.push_back(history.SerializeAsString());
  }
  return out;
}

WireClient* SharedClient() {
  static WireClient* const client = []() -> WireClient* {
    SharedDaemon() = std::make_unique<DaemonProcess>();
    const bool ready = SharedDaemon()->WaitUntilReady();
    EXPECT_TRUE(ready) << SharedDaemon()->Output();
    if (!ready) return nullptr;
    auto* made = new WireClient(SharedDaemon()->address());
    LoadProject(made);
    return made;
  }();
  return client;
}

}  // namespace fletch
