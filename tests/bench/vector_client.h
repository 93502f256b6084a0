// SPDX-License-Identifier: Apache-2.0
// A daemon's vector collection, as a client sees it. Whatever fails ends the benchmark with a
// message.
#ifndef FLETCH_TESTS_BENCH_VECTOR_CLIENT_H_
#define FLETCH_TESTS_BENCH_VECTOR_CLIENT_H_

#include <grpcpp/channel.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fletch/v1/admin.grpc.pb.h"
#include "fletch/v1/vector.grpc.pb.h"
#include "processes.h"
#include "vector_set.h"

namespace fletch::bench {

inline constexpr char kSearchMethod[] = "/fletch.v1.VectorService/Search";

// An INT64 field of every row, by its name.
using IntFields = std::map<std::string, std::vector<int64_t>>;

// Project "bench", entity "item" with key item_id INT64, a view with the field "embedding",
// searched by DOT. One thread writes; any number search.
class VectorClient {
 public:
  VectorClient(const Server& server, size_t dimension, std::string view = "items");

  // With INT64 fields, all indexed.
  void Declare(const std::vector<std::string>& fields = {});

  // One request; every write is later in event time than the one before. The commit.
  uint64_t Write(const std::vector<int64_t>& keys, const VectorRows& vectors,
                 const IntFields& fields = {});
  // Row i gets key i, BUFFERED, a thousand a request.
  void WriteAll(const VectorRows& vectors, const IntFields& fields = {});
  void Delete(const std::vector<int64_t>& keys);
  // Rows of another view, "facts", of keys of its own entity, with so many DOUBLE fields: BUFFERED.
  void WriteFeatures(size_t rows, size_t fields);
  // Until no graph is being built and the daemon is quiet.
  void Settle();
  // Moves what the store holds in memory to its files.
  void Compact();
  // Until an index file reflects the newest commit.
  void AwaitFile();

  v1::SearchRequest Request(const float* query, size_t top_k = 10) const;
  v1::SearchResponse Search(const v1::SearchRequest& request);
  v1::BatchSearchResponse BatchSearch(const v1::BatchSearchRequest& request);
  // The keys that searches of all queries find, in turn; `with` changes each request.
  Neighbours SearchAll(const VectorRows& queries,
                       const std::function<void(size_t query, v1::SearchRequest*)>& with = {});
  // The same requests, serialised, for RunLoad.
  std::vector<std::string> Serialised(
      const VectorRows& queries,
      const std::function<void(size_t query, v1::SearchRequest*)>& with = {}) const;

  v1::DescribeIndexResponse Describe();
  v1::GetStatusResponse Status();
  v1::AuditRecallResponse Audit(uint64_t queries, bool reachability);

 private:
  std::string Ref() const { return view_ + ":embedding"; }

  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::VectorService::Stub> search_;
  const Server& server_;
  const size_t dimension_;
  const std::string view_;
  int64_t event_micros_;
};

std::vector<uint32_t> HitKeys(const v1::SearchResponse& response);

}  // namespace fletch::bench

#endif  // FLETCH_TESTS_BENCH_VECTOR_CLIENT_H_
