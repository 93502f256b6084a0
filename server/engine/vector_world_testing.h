// SPDX-License-Identifier: Apache-2.0
// A view of vectors with a random history, the collection over it, and what semantics.md says a
// search must answer.
#ifndef FLETCH_SERVER_ENGINE_VECTOR_WORLD_TESTING_H_
#define FLETCH_SERVER_ENGINE_VECTOR_WORLD_TESTING_H_

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "index/distance.h"
#include "server/engine/vector_collection.h"
#include "storage/entity_key.h"
#include "storage/fact_maintenance.h"
#include "storage/fact_oracle_testing.h"
#include "storage/memory_kv_store.h"

namespace fletch {

struct VectorWorldOptions {
  Metric metric = Metric::kL2;
  uint32_t dimension = 4;
  int64_t ttl = 0;
  int entities = 10;
  int event_keys = 2;       // distinct ones
  std::string folder = {};  // of the index file; empty: none is kept
};

inline std::shared_ptr<const View> VectorView(const VectorWorldOptions& options) {
  ViewSchema schema;
  schema.view_id = 7;
  schema.name = "profiles";
  schema.join_keys = {{"id", ValueType::kInt64}};
  schema.event_keys = {{"event", ValueType::kInt64}};
  schema.ttl_micros = options.ttl;
  FieldSchema note{
      .name = "note", .type = {ValueType::kInt64}, .default_value = {}, .index_metric = {}};
  FieldSchema vector{.name = "vector",
                     .type = {ValueType::kFloatVector, false, options.dimension},
                     .default_value = {},
                     .index_metric = options.metric};
  schema.fields = {note, vector};
  return std::make_shared<const View>(View{schema, RowLayout(schema.fields)});
}

// One writer at a time.
struct VectorWorld {
  explicit VectorWorld(const VectorWorldOptions& o)
      : options(o), view(VectorView(o)), store(NewMemoryKvStore()) {
    Reload();
  }

  std::string Key(int entity) const {
    std::string key;
    AppendInt64Key(entity, &key);
    return key;
  }

  std::string Row(const std::vector<float>& vector) const {
    Column note{.type = {ValueType::kInt64}, .row_count = 1};
    note.int64s = {5};
    Column column{.type = view->layout.type(1), .row_count = 1};
    column.floats = vector;
    if (vector.empty()) {
      column.floats.resize(options.dimension);
      column.null_rows = {0};
    }
    return RowEncoder(&view->layout, {&note, &column}).Encode(0);
  }

  // One commit. What changed the latest of an entity is applied to the collection.
  void Commit(const std::vector<Fact>& batch) {
    ++seq;
    KvBatch writes;
    for (Fact fact : batch) {
      fact.key.view_id = view->schema.view_id;
      fact.key.commit_seq = seq;
      AddFact(fact, &writes);
      facts[fact.key.identity.entity_key].push_back(fact);
    }
    ASSERT_TRUE(store->Write(writes, false).ok());
    for (const Fact& fact : batch) {
      const std::string& key = fact.key.identity.entity_key;
      const auto newest = fact_oracle::FindVisible(facts[key], key, INT64_MAX, seq);
      Latest& latest = latests[key];
      const uint64_t commit = newest ? newest->key.commit_seq : 0;
      const int64_t event_time = newest ? newest->key.identity.event_time : 0;
      const auto state = !newest                          ? Latest::State::kAbsent
                         : newest->form == FactForm::kRow ? Latest::State::kRow
                                                          : Latest::State::kTombstone;
      const std::string row = newest ? newest->row : "";
      if (state == latest.state && commit == latest.commit_seq && event_time == latest.event_time &&
          row == latest.row) {
        continue;
      }
      latest = {state, event_time, commit, seq, row};
      collection->Apply(key, latest, now);
    }
  }

  // The entity never was.
  void Erase(int entity) {
    const std::string key = Key(entity);
    ++seq;
    ASSERT_TRUE(EraseEntity(store.get(), view->schema, key).ok());
    facts.erase(key);
    latests.erase(key);
    ASSERT_TRUE(collection->Erase(key).ok());
  }

  // A collection as after a restart.
  void Reload() {
    collection.reset();
    collection = std::make_unique<VectorCollection>(
        view, 1, store.get(), CollectionOptions{.folder = options.folder, .newest_seq = seq});
    for (const auto& [key, latest] : latests) {
      if (latest.state != Latest::State::kAbsent) collection->Apply(key, latest, now);
    }
  }

  // The whole answer by brute force.
  std::vector<VectorHit> Expected(const VectorQuery& query) const {
    const auto metric = static_cast<VectorMetric>(options.metric);
    std::vector<VectorHit> hits;
    for (const auto& [key, list] : facts) {
      const auto fact = fact_oracle::FindVisible(list, key, query.as_of, query.read_seq);
      if (!fact || fact->form != FactForm::kRow || key == query.exclude) continue;
      const int64_t event_time = fact->key.identity.event_time;
      if (options.ttl > 0 && query.as_of - event_time > options.ttl) continue;
      const std::vector<float> vector = RowView(&view->layout, fact->row).GetVector(1);
      if (vector.empty() || (query.passes && !*query.passes(key))) continue;
      hits.push_back({key, Score(metric, query.vector, vector), event_time});
    }
    std::sort(hits.begin(), hits.end(), [metric](const VectorHit& a, const VectorHit& b) {
      if (a.score != b.score) return Nearer(metric, a.score, b.score);
      return a.entity_key < b.entity_key;
    });
    hits.resize(std::min(hits.size(), query.top_k));
    return hits;
  }

  const VectorWorldOptions options;
  const std::shared_ptr<const View> view;
  const std::unique_ptr<KvStore> store;
  std::unique_ptr<VectorCollection> collection;
  std::map<std::string, std::vector<Fact>> facts;
  std::map<std::string, Latest> latests;
  uint64_t seq = 0;
  int64_t now = 1'000'000'000;
};

inline Fact VectorFact(const VectorWorld& world, int entity, int64_t event_time,
                       const std::vector<float>& vector) {
  Fact fact;
  fact.key.identity = {world.Key(entity), event_time, false, world.Key(0)};
  fact.row = world.Row(vector);
  return fact;
}

inline Fact TombstoneFact(const VectorWorld& world, int entity, int64_t event_time) {
  Fact fact;
  fact.key.identity = {world.Key(entity), event_time, true, ""};
  fact.form = FactForm::kTombstone;
  return fact;
}

inline bool SameHits(const std::vector<VectorHit>& a, const std::vector<VectorHit>& b) {
  return std::equal(
      a.begin(), a.end(), b.begin(), b.end(), [](const VectorHit& x, const VectorHit& y) {
        return x.entity_key == y.entity_key && x.score == y.score && x.event_time == y.event_time;
      });
}

inline std::string HitsText(const std::vector<VectorHit>& hits) {
  std::string text;
  for (const VectorHit& hit : hits) {
    text += std::to_string(static_cast<unsigned char>(hit.entity_key.back())) + ":" +
            std::to_string(hit.score) + "@" + std::to_string(hit.event_time) + " ";
  }
  return text;
}

// Entities 0 to n-1 at now, around 30 centres.
inline void Fill(VectorWorld* world, int n, std::mt19937_64& random) {
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> centres(30, std::vector<float>(world->options.dimension));
  for (auto& centre : centres) {
    for (float& x : centre) x = normal(random);
  }
  for (int i = 0; i < n;) {
    std::vector<Fact> batch;
    for (int j = 0; j < 100 && i < n; ++j, ++i) {
      std::vector<float> vector = centres[random() % centres.size()];
      for (float& x : vector) x += 0.4f * normal(random);
      batch.push_back(VectorFact(*world, i, world->now, vector));
    }
    world->Commit(batch);
  }
}

inline VectorQuery QueryNow(const VectorWorld& world, std::mt19937_64& random) {
  std::normal_distribution<float> normal;
  VectorQuery query;
  query.vector.resize(world.options.dimension);
  for (float& x : query.vector) x = normal(random);
  query.as_of = world.now;
  query.read_seq = world.seq;
  return query;
}

inline double HitRecall(const std::vector<VectorHit>& found, const std::vector<VectorHit>& wanted) {
  std::set<std::string> keys;
  for (const VectorHit& hit : found) keys.insert(hit.entity_key);
  size_t shared = 0;
  for (const VectorHit& hit : wanted) shared += keys.count(hit.entity_key);
  return static_cast<double>(shared) / static_cast<double>(wanted.size());
}

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_VECTOR_WORLD_TESTING_H_
