// SPDX-License-Identifier: Apache-2.0
// Visibility by brute force over a plain list of facts, written from docs/semantics.md alone, and
// random histories.
#ifndef FLETCH_STORAGE_FACT_ORACLE_TESTING_H_
#define FLETCH_STORAGE_FACT_ORACLE_TESTING_H_

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "storage/entity_key.h"
#include "storage/fact_store.h"

namespace fletch::fact_oracle {

// Newest last: (event_time, commit_seq, encoded event key).
inline bool Older(const Fact& a, const Fact& b) {
  const auto order = [](const Fact& f) {
    return std::tuple(f.key.identity.event_time, f.key.commit_seq, f.key.identity.event_key);
  };
  return order(a) < order(b);
}

// The current form at K of each identity of the entity that counts, oldest first.
inline std::vector<Fact> CurrentForms(const std::vector<Fact>& facts, const std::string& entity,
                                      uint64_t known_at) {
  std::map<Identity, Fact> current;
  for (const Fact& fact : facts) {
    if (fact.key.identity.entity_key != entity || fact.key.commit_seq > known_at) continue;
    const auto [at, added] = current.emplace(fact.key.identity, fact);
    if (!added && at->second.key.commit_seq < fact.key.commit_seq) at->second = fact;
  }
  std::vector<Fact> forms;
  for (const auto& [identity, fact] : current) {
    if (fact.form != FactForm::kRetraction) forms.push_back(fact);
  }
  std::sort(forms.begin(), forms.end(), Older);
  return forms;
}

inline std::optional<Fact> FindVisible(const std::vector<Fact>& facts, const std::string& entity,
                                       int64_t as_of, uint64_t known_at) {
  std::optional<Fact> newest;
  for (const Fact& fact : CurrentForms(facts, entity, known_at)) {
    if (fact.key.identity.event_time <= as_of) newest = fact;
  }
  return newest;
}

inline std::vector<Fact> History(const std::vector<Fact>& facts, const std::string& entity,
                                 const HistoryQuery& query) {
  std::vector<Fact> forms;
  if (query.all_forms) {
    for (const Fact& fact : facts) {
      if (fact.key.identity.entity_key == entity && fact.key.commit_seq <= query.known_at)
        forms.push_back(fact);
    }
    std::sort(forms.begin(), forms.end(), Older);
  } else {
    forms = CurrentForms(facts, entity, query.known_at);
  }
  std::erase_if(forms, [&](const Fact& f) {
    return f.key.identity.event_time < query.start || f.key.identity.event_time > query.end;
  });
  std::reverse(forms.begin(), forms.end());
  if (query.last_k != 0 && forms.size() > query.last_k) forms.resize(query.last_k);
  return forms;
}

inline ViewSchema Schema(ViewId view_id) {
  ViewSchema schema;
  schema.view_id = view_id;
  schema.name = "v";
  schema.join_keys = {{"name", ValueType::kString}, {"number", ValueType::kInt64}};
  schema.event_keys = {{"event", ValueType::kString}};
  return schema;
}

inline std::string EntityKey(const std::string& name, int64_t number) {
  std::string key;
  AppendStringKey(name, &key);
  AppendInt64Key(number, &key);
  return key;
}

// Names and numbers that begin alike.
inline std::vector<std::string> EntityKeys() {
  return {EntityKey("a", 1), EntityKey("a", -1), EntityKey(std::string("a\0", 2), 1),
          EntityKey("ab", 1)};
}

// `times`: so many event times there are, around 0.
inline Identity RandomIdentity(bool tombstone, std::mt19937_64& random, uint64_t times = 7) {
  static const std::vector<std::string> kEntities = EntityKeys();
  static const std::string kEvents[] = {"e", std::string("e\0", 2), "ef"};
  Identity identity{kEntities[random() % kEntities.size()],
                    static_cast<int64_t>(random() % times) - static_cast<int64_t>(times / 2),
                    tombstone, ""};
  if (!tombstone) AppendStringKey(kEvents[random() % 3], &identity.event_key);
  return identity;
}

// Adds a history of commits first..last, each of which writes, deletes, or retracts rows or
// deletions.
inline void AddRandomFacts(ViewId view_id, uint64_t first, uint64_t last, uint64_t times,
                           std::mt19937_64& random, std::vector<Fact>* out) {
  std::vector<Fact>& facts = *out;
  for (uint64_t commit = first; commit <= last; ++commit) {
    const uint64_t kind = random() % 8;
    const bool tombstone = kind >= 6 || kind == 5;
    const bool retraction = kind == 3 || kind == 4 || kind == 5;
    std::map<Identity, Fact> batch;  // the same identity twice in a batch is refused
    for (uint64_t n = 1 + random() % 4; n > 0; --n) {
      Identity identity = RandomIdentity(tombstone, random, times);
      if (retraction && !facts.empty() && random() % 4 != 0) {  // mostly of something that is there
        const Identity& other = facts[random() % facts.size()].key.identity;
        if (other.tombstone == tombstone) identity = other;
      }
      Fact fact{{view_id, identity, commit}, FactForm::kRow, ""};
      if (retraction) {
        fact.form = FactForm::kRetraction;
      } else if (tombstone) {
        fact.form = FactForm::kTombstone;
      } else {
        fact.row = "row " + std::to_string(random());
      }
      batch.emplace(identity, fact);
    }
    for (const auto& [identity, fact] : batch) facts.push_back(fact);
  }
}

// A crowded history of commits 1..commits.
inline std::vector<Fact> RandomFacts(ViewId view_id, uint64_t commits, std::mt19937_64& random) {
  std::vector<Fact> facts;
  AddRandomFacts(view_id, 1, commits, 7, random, &facts);
  return facts;
}

inline std::string Show(const Fact& fact) {
  const Identity& identity = fact.key.identity;
  return std::to_string(static_cast<int>(fact.form)) + " " + std::to_string(identity.event_time) +
         " " + std::to_string(fact.key.commit_seq) + " " + std::to_string(identity.tombstone) +
         " [" + identity.entity_key + "] [" + identity.event_key + "] " + fact.row;
}
inline std::string Show(const FactRef& ref) {
  return Show(
      Fact{{0,
            {std::string(ref.entity_key), ref.event_time, ref.tombstone_identity, ref.event_key},
            ref.commit_seq},
           ref.form,
           std::string(ref.row)});
}
inline std::string Show(const std::optional<Fact>& fact) {
  return fact.has_value() ? Show(*fact) : "none";
}
inline std::string Show(const Visible& ref) { return ref.has_value() ? Show(*ref) : "none"; }

}  // namespace fletch::fact_oracle

#endif  // FLETCH_STORAGE_FACT_ORACLE_TESTING_H_
