// SPDX-License-Identifier: Apache-2.0
#include "server/engine/entity_filter.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/engine/catalog_test_support.h"
#include "server/engine/random_filter_testing.h"
#include "storage/entity_key.h"
#include "storage/fact_maintenance.h"
#include "storage/fact_oracle_testing.h"
#include "storage/memory_kv_store.h"
#include "storage/seed_testing.h"

namespace fletch {
namespace {

constexpr int kEntities = 40;
constexpr int64_t kSecond = 1'000'000;

// Views a (ttl) and b of one entity; most fields are indexed, and more or fewer from time to time.
std::string Views(const std::string& sometimes) {
  const auto field = [](const std::string& name, const std::string& rest) {
    return StrCat("fields { name: '", name, "' ", rest, " } ");
  };
  return StrCat(
      "objects { entity { name: 'item' join_keys { name: 'item' type: INT64 } } } ",
      "objects { feature_view { name: 'a' entity: 'item' ttl { seconds: 20 } ",
      "event_key { name: 'event' type: INT64 } ", field("i", "type: INT64 indexed: true"),
      field("d", "type: DOUBLE indexed: true"), field("p", "type: INT64"),
      field("s", StrCat("type: STRING ", sometimes)), "} } ",
      "objects { feature_view { name: 'b' entity: 'item' ",
      "event_key { name: 'event' type: INT64 } ", field("t", "type: STRING indexed: true"),
      field("o", "type: BOOL indexed: true"), field("f", "type: FLOAT indexed: true"),
      field("w", StrCat("type: TIMESTAMP ", sometimes)), field("n", "type: INT32"), "} } ");
}

// A store with random histories, and what is derived from it.
class World {
 public:
  explicit World(std::mt19937_64* random)
      : random_(*random),
        store_(NewMemoryKvStore()),
        catalog_(OpenCatalog(store_.get())),
        online_(1 << 30),
        indexes_(store_.get(), &online_, &clock_) {
    Refresh("indexed: true");
  }

  void Refresh(const std::string& sometimes) {
    ASSERT_TRUE(ApplyText(catalog_.get(), Views(sometimes)).ok());
    ASSERT_TRUE(indexes_.Refresh(*catalog_->Snapshot()).ok());
  }

  std::string Key(int entity) const {
    std::string key;
    AppendInt64Key(entity, &key);
    return key;
  }
  std::shared_ptr<const View> view(int which) const {
    return *catalog_->Snapshot()->FindView("demo", which == 0 ? "a" : "b");
  }

  Fact RandomFact(const View& view) {
    Fact fact;
    fact.key.view_id = view.schema.view_id;
    const int entity = static_cast<int>(random_() % kEntities);
    const int64_t shift = static_cast<int64_t>(random_() % (30 * kSecond));
    fact.key.identity = {Key(entity), random_() % 6 == 0 ? now_ + shift / 10 : now_ - shift, false,
                         Key(static_cast<int>(random_() % 2))};
    const auto& history = facts_[{view.schema.view_id, fact.key.identity.entity_key}];
    const uint64_t kind = random_() % 10;
    if (kind < 7 || (kind < 9 && history.empty())) {
      fact.row = RandomRow(view, &random_);
    } else if (kind < 9) {
      fact.key.identity = history[random_() % history.size()].key.identity;
      fact.form = FactForm::kRetraction;
    } else {
      fact.key.identity.tombstone = true;
      fact.key.identity.event_key.clear();
      fact.form = FactForm::kTombstone;
    }
    return fact;
  }

  void Commit() {
    ++seq_;
    const std::shared_ptr<const View> view = this->view(static_cast<int>(random_() % 2));
    Fact fact = RandomFact(*view);
    fact.key.commit_seq = seq_;
    KvBatch batch;
    AddFact(fact, &batch);
    const std::string& key = fact.key.identity.entity_key;
    auto& history = facts_[{view->schema.view_id, key}];
    history.push_back(fact);
    Latest& latest = latest_[{view->schema.view_id, key}];
    const auto newest = fact_oracle::FindVisible(history, key, INT64_MAX, seq_);
    Latest after{Latest::State::kAbsent, 0, 0, seq_, ""};
    if (newest) {
      const bool row = newest->form == FactForm::kRow;
      after = {row ? Latest::State::kRow : Latest::State::kTombstone,
               newest->key.identity.event_time, newest->key.commit_seq, seq_, newest->row};
    }
    if (after.state != latest.state || after.commit_seq != latest.commit_seq) {
      latest = after;
      batch.Put(Family::kLatest, LatestKey(view->schema.view_id, key), EncodeLatest(latest));
      const OnlineSlot slot{view->schema.view_id, latest.state,       latest.event_time,
                            latest.commit_seq,    latest.changed_seq, latest.row};
      online_.Set(view->schema.entity_id, key, slot);
      indexes_.Apply(*view, key, slot);
    }
    ASSERT_TRUE(store_->Write(batch, false).ok());
  }

  void Erase() {
    ++seq_;
    const std::string key = Key(static_cast<int>(random_() % kEntities));
    KvBatch batch;
    for (int which = 0; which < 2; ++which) {
      const auto view = this->view(which);
      ASSERT_TRUE(EraseEntity(store_.get(), view->schema, key).ok());
      batch.Delete(Family::kLatest, LatestKey(view->schema.view_id, key));
      facts_.erase({view->schema.view_id, key});
      latest_.erase({view->schema.view_id, key});
    }
    ASSERT_TRUE(store_->Write(batch, false).ok());
    online_.Remove(view(0)->schema.entity_id, key);
    indexes_.Erase(view(0)->schema.entity_id, key);
  }

  // What semantics.md says, from the plain list.
  bool Expected(const Filter& filter, int entity, int64_t as_of, uint64_t read_seq) {
    std::vector<std::optional<RowView>> rows(filter.views().size());
    std::vector<std::optional<Fact>> facts(rows.size());
    std::vector<const RowView*> pointers(rows.size(), nullptr);
    for (size_t i = 0; i < rows.size(); ++i) {
      const View& view = *filter.views()[i];
      const std::string key = Key(entity);
      facts[i] = fact_oracle::FindVisible(facts_[{view.schema.view_id, key}], key, as_of, read_seq);
      if (!facts[i] || facts[i]->form != FactForm::kRow) continue;
      const int64_t age = as_of - facts[i]->key.identity.event_time;
      if (view.schema.ttl_micros > 0 && age > view.schema.ttl_micros) continue;
      rows[i].emplace(&view.layout, facts[i]->row);
      pointers[i] = &*rows[i];
    }
    return filter.Evaluate(pointers) == Truth::kTrue;
  }

  // Asks one random filter about all entities.
  void Check() {
    const int64_t as_of =
        random_() % 3 == 0 ? now_ - static_cast<int64_t>(random_() % (25 * kSecond)) : now_;
    const uint64_t read_seq =
        random_() % 3 == 0 ? seq_ - random_() % std::min<uint64_t>(seq_, 20) : seq_;
    const FilterSpec spec = RandomFilter(RandomRefs(), 0, &random_);
    const auto catalog = catalog_->Snapshot();
    const EntityId entity_id = view(0)->schema.entity_id;
    const absl::StatusOr<Filter> filter = Filter::Make(*catalog, "demo", entity_id, spec);
    ASSERT_TRUE(filter.ok()) << filter.status();
    const std::shared_ptr<EntityDictionary> entities = indexes_.Entities(entity_id);
    for (int e = 0; e < kEntities; ++e) entities->Add(Key(e));
    Snapshot snapshot({&online_, store_.get(), nullptr, nullptr, nullptr}, as_of, read_seq);
    EntityFilter asked(&*filter, indexes_, entities, &snapshot);
    std::vector<Ordinal> list;
    if (asked.ListCount().has_value()) {
      list = asked.List();
      ++lists;
      EXPECT_LE(list.size(), *asked.ListCount());
      EXPECT_TRUE(std::is_sorted(list.begin(), list.end()));
      EXPECT_EQ(std::adjacent_find(list.begin(), list.end()), list.end());
    }
    for (int e = 0; e < kEntities; ++e) {
      const bool expected = Expected(*filter, e, as_of, read_seq);
      const Ordinal entity = *entities->Find(Key(e));
      ASSERT_EQ(asked.Passes(entity), expected) << e << " " << FilterText(spec);
      ASSERT_EQ(*asked.PassesKey(Key(e)), expected) << e << " " << FilterText(spec);
      passed += expected ? 1 : 0;
      if (expected && asked.ListCount().has_value()) {
        ASSERT_TRUE(std::binary_search(list.begin(), list.end(), entity)) << FilterText(spec);
      }
    }
    ASSERT_TRUE(asked.error().ok());
    cheap += asked.is_cheap() ? 1 : 0;
    if (asked.is_cheap() && asked.ListCount().has_value()) listed_share += list.size();
  }

  std::vector<FilterRef> RandomRefs() const {
    return {
        {"a:i", ValueType::kInt64},  {"a:d", ValueType::kDouble},    {"a:p", ValueType::kInt64},
        {"a:s", ValueType::kString}, {"b:t", ValueType::kString},    {"b:o", ValueType::kBool},
        {"b:f", ValueType::kFloat},  {"b:w", ValueType::kTimestamp}, {"b:n", ValueType::kInt32}};
  }

  std::mt19937_64& random_;
  int64_t now_ = 1'000 * kSecond;
  const std::unique_ptr<KvStore> store_;
  const std::unique_ptr<Catalog> catalog_;
  OnlineTable online_;
  FakeClock clock_{1'000 * kSecond};
  FieldIndexes indexes_;
  std::map<std::pair<ViewId, std::string>, std::vector<Fact>> facts_;
  std::map<std::pair<ViewId, std::string>, Latest> latest_;
  uint64_t seq_ = 0;
  uint64_t lists = 0;
  uint64_t listed_share = 0;
  uint64_t cheap = 0;
  uint64_t passed = 0;
};

TEST(EntityFilterTest, IsEqualToAPlainLoopOverWhatIsVisible) {
  std::mt19937_64 random = SeededRandom();
  World world(&random);
  uint64_t checks = 0;
  for (int step = 0; step < 3000; ++step) {
    world.now_ += static_cast<int64_t>(random() % (kSecond / 2));
    world.clock_.Set(world.now_);
    const uint64_t action = random() % 100;
    if (action < 2) {
      world.Erase();
    } else if (action < 3) {
      world.Refresh(random() % 2 == 0 ? "indexed: true" : "");
    } else if (action < 6) {
      for (const int which : {0, 1}) {
        const auto view = world.view(which);
        // Every change is worth new orders here.
        const auto index =
            std::const_pointer_cast<FieldIndex>(world.indexes_.Find(view->schema.view_id));
        if (index != nullptr) index->RemakeOrders(world.now_);
      }
    } else {
      world.Commit();
    }
    if (step % 3 != 0) continue;
    world.Check();
    ++checks;
    if (HasFatalFailure()) return;
  }
  // All ways were gone.
  EXPECT_GT(world.lists, checks / 20);
  EXPECT_GT(world.cheap, checks / 20);
  EXPECT_LT(world.listed_share, world.lists * kEntities);
  EXPECT_GT(world.passed, checks);
}

}  // namespace
}  // namespace fletch
