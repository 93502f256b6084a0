// SPDX-License-Identifier: Apache-2.0
#include "server/engine/entity_filter.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/status.h"
#include "storage/row_codec.h"

namespace fletch {
namespace {

using Kind = FilterSpec::Kind;

// kFalse < kUnknown < kTrue, as AND and OR take the least and the most.
int Rank(Truth truth) { return truth == Truth::kFalse ? 0 : truth == Truth::kUnknown ? 1 : 2; }
Truth Least(Truth a, Truth b) { return Rank(a) < Rank(b) ? a : b; }
Truth Most(Truth a, Truth b) { return Rank(a) < Rank(b) ? b : a; }
Truth Not(Truth truth) {
  if (truth == Truth::kUnknown) return truth;
  return truth == Truth::kTrue ? Truth::kFalse : Truth::kTrue;
}
// Of numbers below `limit`.
void SortUnique(uint32_t limit, std::vector<Ordinal>* list) {
  constexpr size_t kSparse = 1024;  // one of so many: sorting beats a walk over a bit each
  const bool is_done = std::adjacent_find(list->begin(), list->end(), [](Ordinal a, Ordinal b) {
                         return a >= b;
                       }) == list->end();
  if (is_done) return;
  if (list->size() < limit / kSparse) {
    std::sort(list->begin(), list->end());
    list->erase(std::unique(list->begin(), list->end()), list->end());
    return;
  }
  std::vector<uint64_t> bits(limit / 64 + 1);
  for (const Ordinal entity : *list) bits[entity / 64] |= uint64_t{1} << (entity % 64);
  list->clear();
  for (size_t word = 0; word < bits.size(); ++word) {
    for (uint64_t left = bits[word]; left != 0; left &= left - 1) {
      list->push_back(static_cast<Ordinal>(word * 64 + std::countr_zero(left)));
    }
  }
}

Truth ToTruth(bool holds) { return holds ? Truth::kTrue : Truth::kFalse; }

}  // namespace

EntityFilter::EntityFilter(const Filter* filter, const FieldIndexes& indexes,
                           std::shared_ptr<const EntityDictionary> entities, Snapshot* snapshot)
    : filter_(filter),
      entities_(std::move(entities)),
      snapshot_(snapshot),
      sources_(filter->views().size()) {
  for (size_t i = 0; i < sources_.size(); ++i) {
    sources_[i].index = indexes.Find(filter->views()[i]->schema.view_id);
  }
  root_ = Compile(filter->root());
  OpenOrders();
  listing_ = ListStep(root_, /*negated=*/false);
}

EntityFilter::Step EntityFilter::Compile(const FilterNode& node) {
  Step step;
  step.node = &node;
  for (const FilterNode& child : node.children) step.children.push_back(Compile(child));
  if (!step.children.empty()) return step;
  Source& source = sources_[node.view];
  if (source.index != nullptr) {
    const auto fields = source.index->fields();
    const auto found = std::find(fields.begin(), fields.end(), node.field);
    step.is_indexed = found != fields.end();
    step.slot = static_cast<uint8_t>(found - fields.begin());
  }
  is_cheap_ = is_cheap_ && step.is_indexed;
  if (!step.is_indexed) return step;
  if (std::find(source.slots.begin(), source.slots.end(), step.slot) == source.slots.end()) {
    source.slots.push_back(step.slot);
  }
  if (std::find(indexed_refs_.begin(), indexed_refs_.end(), node.ref) == indexed_refs_.end()) {
    indexed_refs_.push_back(node.ref);
  }
  if (node.kind != Kind::kIsNull) {
    step.condition = std::make_unique<const FieldCondition>(node, source.index->texts(step.slot));
  }
  return step;
}

void EntityFilter::OpenOrders() {
  for (Source& source : sources_) {
    if (source.index == nullptr) continue;
    std::shared_ptr<const FieldOrders> orders = source.index->orders();
    if (orders == nullptr || snapshot_->read_seq() < orders->base_seq ||
        snapshot_->as_of() < orders->newest_time) {
      continue;
    }
    source.changed = orders->changed_count();
    source.orders = std::move(orders);
  }
}

EntityFilter::Truths EntityFilter::EvaluateLeaf(const Step& step, Ordinal entity) {
  constexpr Truths kAny{Truth::kFalse, Truth::kTrue};
  if (!step.is_indexed) return kAny;
  Source& source = sources_[step.node->view];
  if (!source.is_read) {
    source.look = source.index->Read(entity, snapshot_->as_of(), snapshot_->read_seq(),
                                     source.slots, &source.record);
    source.is_read = true;
  }
  if (source.look == FieldIndex::Look::kAsk) return kAny;
  const bool is_null =
      source.look == FieldIndex::Look::kMissing || (source.record.nulls >> step.slot & 1) != 0;
  Truth truth = Truth::kUnknown;
  if (step.condition == nullptr) {
    truth = ToTruth(is_null);
  } else if (!is_null) {
    truth = ToTruth(step.condition->Holds(source.record.words[step.slot]));
  }
  return {truth, truth};
}

EntityFilter::Truths EntityFilter::Evaluate(const Step& step, Ordinal entity) {
  if (step.children.empty()) return EvaluateLeaf(step, entity);
  Truths result = Evaluate(step.children[0], entity);
  if (step.node->kind == Kind::kNot) return {Not(result.most), Not(result.least)};
  const bool is_and = step.node->kind == Kind::kAnd;
  for (size_t i = 1; i < step.children.size(); ++i) {
    if (is_and ? result.most == Truth::kFalse : result.least == Truth::kTrue) return result;
    const Truths next = Evaluate(step.children[i], entity);
    result = is_and ? Truths{Least(result.least, next.least), Least(result.most, next.most)}
                    : Truths{Most(result.least, next.least), Most(result.most, next.most)};
  }
  return result;
}

bool EntityFilter::MayPass(Ordinal entity) {
  for (Source& source : sources_) source.is_read = false;
  return Evaluate(root_, entity).most == Truth::kTrue;
}

bool EntityFilter::Passes(Ordinal entity) {
  for (Source& source : sources_) source.is_read = false;
  const Truths truths = Evaluate(root_, entity);
  if (truths.least == Truth::kTrue) return true;
  if (truths.most != Truth::kTrue || !error_.ok()) return false;
  const absl::StatusOr<bool> passes = PassesKey(entities_->text(entity));
  if (passes.ok()) return *passes;
  error_ = passes.status();
  return false;
}

absl::StatusOr<bool> EntityFilter::PassesKey(std::string_view entity_key) {
  const auto& views = filter_->views();
  // A row from the facts lives only until the next look-up.
  std::vector<std::string> kept(views.size());
  std::vector<std::optional<RowView>> rows(views.size());
  std::vector<const RowView*> pointers(views.size(), nullptr);
  const OnlineRecord* record =
      views.empty() ? nullptr : snapshot_->FindRecord(views[0]->schema.entity_id, entity_key);
  for (size_t i = 0; i < views.size(); ++i) {
    std::optional<VisibleRow> visible = snapshot_->FromMemory(*views[i], record);
    if (visible.has_value()) {
      if (visible->status == CellStatus::kPresent) rows[i].emplace(&views[i]->layout, visible->row);
    } else {
      ASSIGN_OR_RETURN(VisibleRow found, snapshot_->FromFacts(*views[i], entity_key));
      if (found.status == CellStatus::kPresent) {
        kept[i] = std::string(found.row);
        ASSIGN_OR_RETURN(rows[i], RowView::Parse(&views[i]->layout, kept[i]));
      }
    }
    if (rows[i].has_value()) pointers[i] = &*rows[i];
  }
  return filter_->Evaluate(pointers) == Truth::kTrue;
}

void EntityFilter::Prefetch(Ordinal entity) const {
  for (const Source& source : sources_) {
    if (!source.slots.empty()) source.index->Prefetch(entity);
  }
}

std::optional<EntityFilter::Listing> EntityFilter::ListLeaf(const Step& step, bool negated) const {
  if (!step.is_indexed) return std::nullopt;
  const Source& source = sources_[step.node->view];
  if (source.orders == nullptr) return std::nullopt;
  const FieldOrder& order = source.orders->fields[step.slot];
  std::optional<std::vector<FieldOrder::Slice>> slices;
  if (step.condition != nullptr) {
    slices = step.condition->Slices(order, /*holding=*/!negated);
  } else if (negated) {
    slices.emplace({FieldOrder::Slice{0, order.size()}});
  }
  if (!slices.has_value()) return std::nullopt;
  Listing listing;
  for (const FieldOrder::Slice& slice : *slices) listing.count += slice.size();
  listing.parts.push_back({step.node->view, step.slot, *std::move(slices)});
  return listing;
}

// `negated`: of entities for which the step is false. NOT turns AND into OR and back.
std::optional<EntityFilter::Listing> EntityFilter::ListStep(const Step& step, bool negated) const {
  if (step.children.empty()) return ListLeaf(step, negated);
  if (step.node->kind == Kind::kNot) return ListStep(step.children[0], !negated);
  const bool narrows = (step.node->kind == Kind::kAnd) != negated;
  std::optional<Listing> result;
  for (const Step& child : step.children) {
    std::optional<Listing> listing = ListStep(child, negated);
    if (!listing.has_value()) {
      if (narrows) continue;
      return std::nullopt;
    }
    if (!result.has_value()) {
      result = std::move(listing);
    } else if (!narrows) {
      result->count += listing->count;
      for (Listing::Part& part : listing->parts) result->parts.push_back(std::move(part));
    } else if (listing->count < result->count) {
      result = std::move(listing);
    }
  }
  return result;
}

// Entities that stand in no slice but may pass all the same.
uint64_t EntityFilter::UnorderedCount(const Listing& listing) const {
  std::vector<bool> seen(sources_.size());
  uint64_t count = 0;
  for (const Listing::Part& part : listing.parts) {
    if (seen[part.source]) continue;
    seen[part.source] = true;
    const Source& source = sources_[part.source];
    count += source.changed + source.orders->always.size();
  }
  return count;
}

std::optional<uint64_t> EntityFilter::ListCount() const {
  if (!listing_.has_value()) return std::nullopt;
  return listing_->count + UnorderedCount(*listing_);
}

std::vector<Ordinal> EntityFilter::List() const {
  std::vector<Ordinal> list;
  list.reserve(*ListCount());
  std::vector<bool> seen(sources_.size());
  for (const Listing::Part& part : listing_->parts) {
    const Source& source = sources_[part.source];
    for (const FieldOrder::Slice& slice : part.slices) {
      const auto entities = source.orders->fields[part.slot].entities(slice);
      list.insert(list.end(), entities.begin(), entities.end());
    }
    if (seen[part.source]) continue;
    seen[part.source] = true;
    list.insert(list.end(), source.orders->always.begin(), source.orders->always.end());
    for (uint32_t i = 0; i < source.changed; ++i) list.push_back(source.orders->changed(i));
  }
  SortUnique(entities_->size(), &list);
  return list;
}

}  // namespace fletch
