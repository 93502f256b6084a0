// SPDX-License-Identifier: Apache-2.0
#include "vector_client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <thread>

#include "fletch/v1/ingest.grpc.pb.h"
#include "fletch/v1/registry.grpc.pb.h"

namespace fletch::bench {
namespace {

constexpr size_t kWriteRows = 1000;
constexpr int64_t kEventMicros = 1'700'000'000'000'000;

void MustSucceed(const grpc::Status& status, const char* what) {
  if (status.ok()) return;
  std::fprintf(stderr, "fletch-bench: %s: %d %s\n", what, static_cast<int>(status.error_code()),
               status.error_message().c_str());
  std::exit(1);
}

std::shared_ptr<grpc::Channel> Connect(const Server& server) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(server.address(), grpc::InsecureChannelCredentials(), arguments);
}

template <typename Response, typename Call>
Response Must(const char* what, const Call& call) {
  grpc::ClientContext context;
  Response response;
  MustSucceed(call(&context, &response), what);
  return response;
}

VectorRows Slice(const VectorRows& rows, size_t begin, size_t end) {
  return {rows.dimension, {rows.row(begin), rows.row(begin) + (end - begin) * rows.dimension}};
}

v1::WriteRequest WriteOf(const std::string& view, const std::vector<int64_t>& keys,
                         const VectorRows& vectors, const IntFields& fields, int64_t event_micros) {
  v1::WriteRequest request;
  request.set_project("bench");
  v1::RowBatch* batch = request.add_batches();
  batch->set_feature_view(view);
  batch->set_row_count(keys.size());
  auto& columns = *batch->mutable_columns();
  columns["item_id"].mutable_int64s()->mutable_values()->Add(keys.begin(), keys.end());
  v1::VectorValues* values = columns["embedding"].mutable_vectors();
  values->set_dimension(vectors.dimension);
  values->mutable_values()->Add(vectors.values.begin(), vectors.values.end());
  for (const auto& [name, field] : fields)
    columns[name].mutable_int64s()->mutable_values()->Add(field.begin(), field.end());
  for (size_t i = 0; i < keys.size(); ++i)
    batch->mutable_event_timestamps()->add_micros(event_micros);
  return request;
}

}  // namespace

VectorClient::VectorClient(const Server& server, size_t dimension, std::string view)
    : channel_(Connect(server)),
      search_(v1::VectorService::NewStub(channel_)),
      server_(server),
      dimension_(dimension),
      view_(std::move(view)),
      event_micros_(kEventMicros) {}

void VectorClient::Declare(const std::vector<std::string>& fields) {
  v1::ApplyRequest request;
  request.set_project("bench");
  v1::Entity* entity = request.add_objects()->mutable_entity();
  entity->set_name("item");
  entity->add_join_keys()->set_name("item_id");
  entity->mutable_join_keys(0)->set_type(v1::INT64);
  v1::FeatureView* view = request.add_objects()->mutable_feature_view();
  view->set_name(view_);
  view->set_entity("item");
  v1::Field* embedding = view->add_fields();
  embedding->set_name("embedding");
  embedding->set_type(v1::FLOAT_VECTOR);
  embedding->set_dimension(dimension_);
  embedding->mutable_index()->set_metric(v1::DOT);
  for (const std::string& name : fields) {
    v1::Field* field = view->add_fields();
    field->set_name(name);
    field->set_type(v1::INT64);
    field->set_indexed(true);
  }
  Must<v1::ApplyResponse>("Apply", [&](auto* context, auto* response) {
    return v1::RegistryService::NewStub(channel_)->Apply(context, request, response);
  });
}

uint64_t VectorClient::Write(const std::vector<int64_t>& keys, const VectorRows& vectors,
                             const IntFields& fields) {
  const v1::WriteRequest request = WriteOf(view_, keys, vectors, fields, ++event_micros_);
  return Must<v1::WriteResponse>("Write",
                                 [&](auto* context, auto* response) {
                                   return v1::IngestService::NewStub(channel_)->Write(
                                       context, request, response);
                                 })
      .commit_seq();
}

void VectorClient::WriteAll(const VectorRows& vectors, const IntFields& fields) {
  auto stub = v1::IngestService::NewStub(channel_);
  for (size_t begin = 0; begin < vectors.count(); begin += kWriteRows) {
    const size_t end = std::min(vectors.count(), begin + kWriteRows);
    std::vector<int64_t> keys(end - begin);
    std::iota(keys.begin(), keys.end(), static_cast<int64_t>(begin));
    IntFields part;
    for (const auto& [name, field] : fields)
      part[name] = {field.begin() + static_cast<ptrdiff_t>(begin),
                    field.begin() + static_cast<ptrdiff_t>(end)};
    v1::WriteRequest request =
        WriteOf(view_, keys, Slice(vectors, begin, end), part, ++event_micros_);
    request.set_durability(v1::BUFFERED);
    Must<v1::WriteResponse>("Write", [&](auto* context, auto* response) {
      return stub->Write(context, request, response);
    });
  }
}

void VectorClient::Delete(const std::vector<int64_t>& keys) {
  v1::DeleteRequest request;
  request.set_project("bench");
  request.set_feature_view(view_);
  request.set_row_count(keys.size());
  (*request.mutable_keys())["item_id"].mutable_int64s()->mutable_values()->Add(keys.begin(),
                                                                               keys.end());
  ++event_micros_;
  for (size_t i = 0; i < keys.size(); ++i)
    request.mutable_event_timestamps()->add_micros(event_micros_);
  Must<v1::DeleteResponse>("Delete", [&](auto* context, auto* response) {
    return v1::IngestService::NewStub(channel_)->Delete(context, request, response);
  });
}

void VectorClient::WriteFeatures(size_t rows, size_t fields) {
  v1::ApplyRequest declared;
  declared.set_project("bench");
  v1::Entity* entity = declared.add_objects()->mutable_entity();
  entity->set_name("user");
  entity->add_join_keys()->set_name("user_id");
  entity->mutable_join_keys(0)->set_type(v1::INT64);
  v1::FeatureView* view = declared.add_objects()->mutable_feature_view();
  view->set_name("facts");
  view->set_entity("user");
  for (size_t f = 0; f < fields; ++f) {
    v1::Field* field = view->add_fields();
    field->set_name("f" + std::to_string(f));
    field->set_type(v1::DOUBLE);
  }
  Must<v1::ApplyResponse>("Apply", [&](auto* context, auto* response) {
    return v1::RegistryService::NewStub(channel_)->Apply(context, declared, response);
  });
  auto stub = v1::IngestService::NewStub(channel_);
  for (size_t begin = 0; begin < rows; begin += kWriteRows) {
    const size_t end = std::min(rows, begin + kWriteRows);
    v1::WriteRequest request;
    request.set_project("bench");
    request.set_durability(v1::BUFFERED);
    v1::RowBatch* batch = request.add_batches();
    batch->set_feature_view("facts");
    batch->set_row_count(end - begin);
    auto& columns = *batch->mutable_columns();
    for (size_t i = begin; i < end; ++i) {
      columns["user_id"].mutable_int64s()->add_values(static_cast<int64_t>(i));
      batch->mutable_event_timestamps()->add_micros(kEventMicros);
      for (size_t f = 0; f < fields; ++f)
        columns["f" + std::to_string(f)].mutable_doubles()->add_values(
            static_cast<double>(i * fields + f));
    }
    Must<v1::WriteResponse>("Write", [&](auto* context, auto* response) {
      return stub->Write(context, request, response);
    });
  }
}

void VectorClient::Settle() {
  for (int quiet = 0; quiet < 4;) {
    const double before = server_.CpuMicros();
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    const v1::GetStatusResponse status = Status();
    const bool building = std::any_of(status.indexes().begin(), status.indexes().end(),
                                      [](const auto& index) { return index.building(); });
    quiet = building || server_.CpuMicros() - before > 20'000 ? 0 : quiet + 1;
  }
}

void VectorClient::Compact() {
  Must<v1::CompactResponse>("Compact", [&](auto* context, auto* response) {
    return v1::AdminService::NewStub(channel_)->Compact(context, {}, response);
  });
}

void VectorClient::AwaitFile() {
  for (int i = 0; i < 1200; ++i) {
    const auto index = Describe();
    if (index.file_seq() > 0 && index.state() != "saving") return;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  std::fprintf(stderr, "fletch-bench: no index file after two minutes of quiet\n");
  std::exit(1);
}

v1::SearchRequest VectorClient::Request(const float* query, size_t top_k) const {
  v1::SearchRequest request;
  request.set_project("bench");
  request.set_index(Ref());
  request.mutable_vector()->Add(query, query + dimension_);
  request.set_top_k(top_k);
  return request;
}

v1::SearchResponse VectorClient::Search(const v1::SearchRequest& request) {
  return Must<v1::SearchResponse>("Search", [&](auto* context, auto* response) {
    return search_->Search(context, request, response);
  });
}

v1::BatchSearchResponse VectorClient::BatchSearch(const v1::BatchSearchRequest& request) {
  return Must<v1::BatchSearchResponse>("BatchSearch", [&](auto* context, auto* response) {
    return search_->BatchSearch(context, request, response);
  });
}

Neighbours VectorClient::SearchAll(const VectorRows& queries,
                                   const std::function<void(size_t, v1::SearchRequest*)>& with) {
  Neighbours found;
  for (size_t q = 0; q < queries.count(); ++q) {
    v1::SearchRequest request = Request(queries.row(q));
    if (with) with(q, &request);
    found.push_back(HitKeys(Search(request)));
  }
  return found;
}

std::vector<std::string> VectorClient::Serialised(
    const VectorRows& queries, const std::function<void(size_t, v1::SearchRequest*)>& with) const {
  std::vector<std::string> requests;
  for (size_t q = 0; q < queries.count(); ++q) {
    v1::SearchRequest request = Request(queries.row(q));
    if (with) with(q, &request);
    requests.push_back(request.SerializeAsString());
  }
  return requests;
}

v1::DescribeIndexResponse VectorClient::Describe() {
  v1::DescribeIndexRequest request;
  request.set_project("bench");
  request.set_index(Ref());
  return Must<v1::DescribeIndexResponse>("DescribeIndex", [&](auto* context, auto* response) {
    return search_->DescribeIndex(context, request, response);
  });
}

v1::GetStatusResponse VectorClient::Status() {
  return Must<v1::GetStatusResponse>("GetStatus", [&](auto* context, auto* response) {
    return v1::AdminService::NewStub(channel_)->GetStatus(context, {}, response);
  });
}

v1::AuditRecallResponse VectorClient::Audit(uint64_t queries, bool reachability) {
  v1::AuditRecallRequest request;
  request.set_project("bench");
  request.set_index(Ref());
  request.set_queries(queries);
  request.set_seed(1);
  request.set_reachability(reachability);
  return Must<v1::AuditRecallResponse>("AuditRecall", [&](auto* context, auto* response) {
    return search_->AuditRecall(context, request, response);
  });
}

std::vector<uint32_t> HitKeys(const v1::SearchResponse& response) {
  std::vector<uint32_t> keys;
  if (response.keys_size() == 0) return keys;
  for (int64_t key : response.keys(0).column().int64s().values())
    keys.push_back(static_cast<uint32_t>(key));
  return keys;
}

}  // namespace fletch::bench
