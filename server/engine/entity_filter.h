// SPDX-License-Identifier: Apache-2.0
// A filter at one (as_of, read_seq): asked of entities one by one, and, where indexed fields allow
// it, told to list them.
#ifndef FLETCH_SERVER_ENGINE_ENTITY_FILTER_H_
#define FLETCH_SERVER_ENGINE_ENTITY_FILTER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/dictionary.h"
#include "server/engine/field_condition.h"
#include "server/engine/field_index.h"
#include "server/engine/field_indexes.h"
#include "server/engine/filter.h"
#include "server/engine/snapshot.h"

namespace fletch {

// Every answer is equal to Filter::Evaluate over the rows visible at the snapshot. Not thread-safe;
// lives as long as one request.
class EntityFilter {
 public:
  // `filter` and `snapshot` outlive this; `entities` holds the keys of the filter's entity.
  EntityFilter(const Filter* filter, const FieldIndexes& indexes,
               std::shared_ptr<const EntityDictionary> entities, Snapshot* snapshot);

  // Whether the entity passes. About 10 ns where indexed fields decide, else as PassesKey. False
  // from the first error on.
  bool Passes(Ordinal entity);
  // False: it does not pass, as indexed fields alone say. About 10 ns.
  bool MayPass(Ordinal entity);
  // The same as Passes for an encoded key, from the online table or the facts: about 1 µs.
  absl::StatusOr<bool> PassesKey(std::string_view entity_key);
  const absl::Status& error() const { return error_; }
  // Asks the memory for what Passes will need.
  void Prefetch(Ordinal entity) const;

  // Whether all its conditions are over indexed fields, so that Passes is cheaper than a distance.
  bool is_cheap() const { return is_cheap_; }
  // How many entities List gives, at most; nullopt: they cannot be listed at this (as_of,
  // read_seq).
  std::optional<uint64_t> ListCount() const;
  // Entities among which are all that pass, each once, ascending. REQUIRES: ListCount().
  std::vector<Ordinal> List() const;

  // The fields of its conditions that are indexed, as they were asked for, each once.
  const std::vector<std::string>& indexed_refs() const { return indexed_refs_; }

 private:
  // One view of the filter.
  struct Source {
    std::shared_ptr<const FieldIndex> index;    // null: none
    std::vector<uint8_t> slots;                 // of the index, that conditions read
    std::shared_ptr<const FieldOrders> orders;  // null: none that hold at the snapshot
    uint32_t changed = 0;                       // of orders, to be looked at
    // Of the entity that is asked about.
    bool is_read = false;
    FieldIndex::Look look = FieldIndex::Look::kAsk;
    FieldIndex::Record record;
  };
  // A FilterNode with its means.
  struct Step {
    const FilterNode* node = nullptr;
    std::vector<Step> children;
    bool is_indexed = false;  // the others are of conditions over indexed fields
    uint8_t slot = 0;
    std::unique_ptr<const FieldCondition> condition;  // null: is_null
  };
  // What a condition may turn out to be, from `least` to `most`.
  struct Truths {
    Truth least;
    Truth most;
  };
  // Slices that hold all entities that pass.
  struct Listing {
    struct Part {
      size_t source;
      uint8_t slot;
      std::vector<FieldOrder::Slice> slices;
    };
    uint64_t count = 0;
    std::vector<Part> parts;
  };

  Step Compile(const FilterNode& node);
  void OpenOrders();
  Truths Evaluate(const Step& step, Ordinal entity);
  Truths EvaluateLeaf(const Step& step, Ordinal entity);
  std::optional<Listing> ListStep(const Step& step, bool negated) const;
  std::optional<Listing> ListLeaf(const Step& step, bool negated) const;
  uint64_t UnorderedCount(const Listing& listing) const;

  const Filter* const filter_;
  const std::shared_ptr<const EntityDictionary> entities_;
  Snapshot* const snapshot_;
  std::vector<Source> sources_;  // parallel to filter_->views()
  bool is_cheap_ = true;
  std::vector<std::string> indexed_refs_;
  Step root_;
  std::optional<Listing> listing_;
  absl::Status error_;
};

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_ENTITY_FILTER_H_
