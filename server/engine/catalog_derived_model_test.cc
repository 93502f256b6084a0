// SPDX-License-Identifier: Apache-2.0
// Random changes of views of all kinds, services and training sets against a plain model: versions,
// what they are fixed to, who is affected, who is in the way of a deletion, and lineage.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "server/engine/catalog.h"
#include "server/engine/catalog_test_support.h"
#include "storage/memory_kv_store.h"

namespace fletch {
namespace {

constexpr v1::ObjectKind kKinds[] = {v1::FEATURE_VIEW, v1::AGGREGATION_VIEW,
                                     v1::ON_DEMAND_FEATURE_VIEW, v1::FEATURE_SERVICE};

// What an object is, as far as changes go.
struct Spec {
  std::vector<std::string> written;  // what it reads, "n1" or "n1@v2"
  std::vector<std::string> reads;    // the same with versions
  int shape = 1;                     // another: breaking
  int parts = 1;                     // fields, aggregations; more: compatible
};

struct Object {
  v1::ObjectKind kind = v1::OBJECT_KIND_UNSPECIFIED;
  std::vector<Spec> versions;  // of a service: one
};

// Services live beside views, so their names begin otherwise.
struct Model {
  std::map<std::string, Object> objects;
  std::map<std::string, std::set<std::string>> training_sets;  // -> "n1@v2"
};

std::string Versioned(const std::string& name, size_t version) {
  return StrCat(name, "@v", version);
}

// All nodes with what they read directly; a version is a node, a service its name.
using Graph = std::map<std::string, std::set<std::string>>;

Graph DirectReads(const Model& model) {
  Graph graph;
  graph["airport"];
  for (const auto& [name, object] : model.objects) {
    for (size_t i = 0; i < object.versions.size(); ++i) {
      const std::string node = object.kind == v1::FEATURE_SERVICE ? name : Versioned(name, i + 1);
      const std::vector<std::string>& reads = object.versions[i].reads;
      graph[node] = {reads.begin(), reads.end()};
      if (object.kind == v1::FEATURE_VIEW) graph[node].insert("airport");
    }
  }
  return graph;
}

// By brute force: as long as something is added.
Graph Closure(Graph graph) {
  for (bool grows = true; grows;) {
    grows = false;
    for (auto& [node, reads] : graph) {
      const std::set<std::string> before = reads;
      for (const std::string& read : before) reads.insert(graph[read].begin(), graph[read].end());
      grows = grows || reads.size() > before.size();
    }
  }
  return graph;
}

v1::ChangeKind Compare(v1::ObjectKind kind, const Spec& before, const Spec& after) {
  const bool service = kind == v1::FEATURE_SERVICE;
  if (before.reads != after.reads) return service ? v1::CHANGED : v1::BREAKING;
  if (before.shape != after.shape || before.parts > after.parts) return v1::BREAKING;
  return before.parts < after.parts || before.written != after.written ? v1::CHANGED
                                                                       : v1::UNCHANGED;
}

class Evolution {
 public:
  explicit Evolution(uint64_t seed) : random_(seed) {
    EXPECT_TRUE(ApplyText(catalog_.get(), kAirport).ok());
  }

  void Step() {
    const size_t dice = Random(20);
    if (dice < 13) {
      Apply();
    } else if (dice < 16) {
      Delete();
    } else if (dice < 18) {
      ChangeTrainingSets();
    } else {
      catalog_ = OpenCatalog(store_.get());
    }
    CheckObjects();
    CheckLineage();
  }
  size_t broken() const { return broken_; }
  size_t refused_deletions() const { return refused_deletions_; }

 private:
  struct Wanted {
    v1::ObjectKind kind;
    std::string name;
    Spec spec;
  };

  size_t Random(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }
  Catalog::Readers Readers() const {
    return [this](std::string_view, std::string_view ref) {
      std::vector<std::string> names;
      for (const auto& [name, refs] : model_.training_sets) {
        if (refs.contains(std::string(ref))) names.push_back(name);
      }
      return names;
    };
  }

  Wanted RandomObject() {
    Wanted wanted{kKinds[Random(4)], "", {}};
    const bool service = wanted.kind == v1::FEATURE_SERVICE;
    wanted.name = service ? StrCat("s", Random(2)) : StrCat("n", Random(6));
    // Mostly what the name is already, so that objects live long.
    const auto found = model_.objects.find(wanted.name);
    if (found != model_.objects.end() && Random(8) > 0) {
      wanted.kind = found->second.kind;
      wanted.spec = found->second.versions.back();
    }
    if (Random(4) == 0) wanted.spec.shape = service ? 1 : 1 + Random(3);
    if (Random(3) == 0) wanted.spec.parts = service ? 1 : 1 + Random(3);
    if (Random(3) == 0 || wanted.spec.written.empty()) wanted.spec.written = RandomReads(wanted);
    return wanted;
  }
  std::vector<std::string> RandomReads(const Wanted& wanted) {
    std::vector<std::string> refs;
    for (int i = 0; i < 6; ++i) {
      const std::string name = StrCat("n", i);
      const auto found = model_.objects.find(name);
      if (found == model_.objects.end() ? Random(12) > 0 : Random(2) > 0) continue;
      const size_t newest = found == model_.objects.end() ? 1 : found->second.versions.size();
      refs.push_back(Random(3) > 0 ? name : Versioned(name, 1 + Random(newest)));
    }
    if (wanted.kind == v1::FEATURE_VIEW) return {};
    if (wanted.kind == v1::ON_DEMAND_FEATURE_VIEW) return refs;
    if (refs.empty()) refs.push_back("n0");
    if (wanted.kind == v1::AGGREGATION_VIEW) std::swap(refs[0], refs[Random(refs.size())]);
    if (wanted.kind == v1::AGGREGATION_VIEW) refs.resize(1);
    return refs;
  }

  std::string Text(const Wanted& wanted, const Model& model) const {
    const Spec& spec = wanted.spec;
    switch (wanted.kind) {
      case v1::FEATURE_VIEW: {
        std::string text = StrCat("objects { feature_view { name: '", wanted.name,
                                  "' entity: 'airport' ttl { seconds: ", spec.shape, " } ");
        for (int i = 0; i < spec.parts; ++i)
          text += StrCat("fields { name: 'p", i, "' type: INT64 } ");
        return text + "} } ";
      }
      case v1::AGGREGATION_VIEW: {
        std::string text = StrCat("objects { aggregation_view { name: '", wanted.name,
                                  "' source: '", spec.written[0], "' ");
        for (int i = 0; i < spec.parts; ++i) {
          text += StrCat("aggregations { name: 'p", i,
                         "' function: SUM column: 'p0' window { seconds: ", spec.shape, " } } ");
        }
        return text + "} } ";
      }
      case v1::ON_DEMAND_FEATURE_VIEW: {
        std::string text = StrCat("objects { on_demand_feature_view { name: '", wanted.name, "' ");
        std::string sum = StrCat(spec.shape);
        for (const std::string& ref : spec.written) {
          text += StrCat("inputs: '", ref, "' ");
          sum += StrCat(" + ", ref.substr(0, ref.find('@')), ".p0");
        }
        for (int i = 0; i < spec.parts; ++i)
          text += StrCat("fields { name: 'p", i, "' type: INT64 sql: '", sum, "' } ");
        return text + "} } ";
      }
      default: {
        std::string text = StrCat("objects { feature_service { name: '", wanted.name, "' ");
        for (const std::string& ref : spec.written) text += StrCat("features: '", ref, ":p0' ");
        return text + "} } ";
      }
    }
  }

  // Fixes what is read to versions of `model`; the code that says why that does not go.
  static absl::StatusCode Resolve(const Model& model, Wanted* wanted) {
    wanted->spec.reads.clear();
    for (const std::string& ref : wanted->spec.written) {
      const std::string name = ref.substr(0, ref.find('@'));
      const auto found = model.objects.find(name);
      if (found == model.objects.end()) return absl::StatusCode::kNotFound;
      const std::vector<Spec>& versions = found->second.versions;
      const std::string fixed = ref == name ? Versioned(name, versions.size()) : ref;
      bool there = false;
      for (size_t i = 1; i <= versions.size(); ++i) there = there || fixed == Versioned(name, i);
      if (!there) return absl::StatusCode::kNotFound;
      const v1::ObjectKind kind = found->second.kind;
      const bool fits =
          wanted->kind == v1::FEATURE_SERVICE || kind == v1::FEATURE_VIEW ||
          (wanted->kind == v1::ON_DEMAND_FEATURE_VIEW && kind == v1::AGGREGATION_VIEW);
      if (!fits) return absl::StatusCode::kInvalidArgument;
      wanted->spec.reads.push_back(fixed);
    }
    return absl::StatusCode::kOk;
  }

  struct Outcome {
    absl::StatusCode code = absl::StatusCode::kOk;
    std::map<std::string, v1::ChangeKind> changes;  // by name
    Model after;
  };

  Outcome Expect(std::vector<Wanted> request, bool may_break) const {
    Outcome out{absl::StatusCode::kOk, {}, model_};
    bool breaks = false;
    for (const v1::ObjectKind kind : kKinds) {
      // What is derived from views is told after the breaking changes, views themselves before.
      if (kind == v1::FEATURE_SERVICE && breaks && !may_break)
        out.code = absl::StatusCode::kFailedPrecondition;
      for (Wanted& wanted : request) {
        if (wanted.kind != kind || out.code != absl::StatusCode::kOk) continue;
        Object& object = out.after.objects[wanted.name];
        if (!object.versions.empty() && object.kind != kind) {
          out.code = absl::StatusCode::kInvalidArgument;
          break;
        }
        Model known = out.after;
        if (object.versions.empty()) known.objects.erase(wanted.name);
        out.code = Resolve(known, &wanted);
        if (out.code != absl::StatusCode::kOk) break;
        object.kind = kind;
        const v1::ChangeKind change = object.versions.empty()
                                          ? v1::ADDED
                                          : Compare(kind, object.versions.back(), wanted.spec);
        out.changes[wanted.name] = change;
        breaks = breaks || change == v1::BREAKING;
        if (change == v1::ADDED || change == v1::BREAKING) {
          object.versions.push_back(wanted.spec);
        } else {
          object.versions.back() = wanted.spec;
        }
      }
      if (out.code != absl::StatusCode::kOk) {
        const bool derived = kind == v1::AGGREGATION_VIEW || kind == v1::ON_DEMAND_FEATURE_VIEW;
        if (derived && breaks && !may_break) out.code = absl::StatusCode::kFailedPrecondition;
        return out;
      }
    }
    return out;
  }

  void Apply() {
    std::vector<Wanted> request;
    std::set<std::string> names;
    for (size_t n = 1 + Random(3); n > 0; --n) {
      Wanted wanted = RandomObject();
      if (names.insert(wanted.name).second) request.push_back(std::move(wanted));
    }
    const bool allow = Random(2) == 0;
    const bool dry_run = Random(6) == 0;
    const Outcome expected = Expect(request, allow || dry_run);
    std::string text =
        StrCat(allow ? "allow_breaking: true " : "", dry_run ? "dry_run: true " : "");
    for (const Wanted& wanted : request) text += Text(wanted, model_);
    const auto response = ApplyText(catalog_.get(), text, Readers());
    ASSERT_EQ(response.status().code(), expected.code) << response.status() << "\n" << text;
    if (!response.ok()) return;
    for (const v1::PlannedChange& change : response->changes()) {
      SCOPED_TRACE(text + " -> " + change.DebugString());
      EXPECT_EQ(change.change(), expected.changes.at(change.name()));
      const Object& object = expected.after.objects.at(change.name());
      const bool service = object.kind == v1::FEATURE_SERVICE;
      EXPECT_EQ(change.version(), service ? 0 : object.versions.size());
      if (change.change() == v1::BREAKING) CheckAffected(change, expected.after);
    }
    if (!dry_run) model_ = expected.after;
  }

  void CheckAffected(const v1::PlannedChange& change, const Model& after) {
    ++broken_;
    std::set<std::string> services, sets;
    const Graph closure = Closure(DirectReads(after));
    for (uint64_t version = 1; version < change.version(); ++version) {
      const std::string old = Versioned(change.name(), version);
      for (const auto& [node, reads] : closure) {
        if (node != old && !reads.contains(old)) continue;
        if (node[0] == 's') services.insert(node);
        for (const auto& [set, refs] : after.training_sets) {
          if (refs.contains(node)) sets.insert(set);
        }
      }
    }
    EXPECT_EQ(
        std::set<std::string>(change.affected_services().begin(), change.affected_services().end()),
        services);
    EXPECT_EQ(std::set<std::string>(change.affected_training_sets().begin(),
                                    change.affected_training_sets().end()),
              sets);
  }

  void Delete() {
    const std::string name = Random(3) == 0 ? StrCat("s", Random(2)) : StrCat("n", Random(6));
    const auto found = model_.objects.find(name);
    const v1::ObjectKind kind =
        found == model_.objects.end() || Random(6) == 0 ? kKinds[Random(4)] : found->second.kind;
    const auto deleted = DeleteText(
        catalog_.get(), StrCat("name: '", name, "' kind: ", v1::ObjectKind_Name(kind)), Readers());
    if (found == model_.objects.end() || found->second.kind != kind) {
      EXPECT_EQ(deleted.status().code(), absl::StatusCode::kNotFound) << deleted.status();
      return;
    }
    bool used = false;
    for (size_t i = 1; i <= found->second.versions.size(); ++i) {
      const std::string node = Versioned(name, i);
      for (const auto& [reader, reads] : DirectReads(model_)) used = used || reads.contains(node);
      for (const auto& [set, refs] : model_.training_sets) used = used || refs.contains(node);
    }
    EXPECT_EQ(deleted.ok(), !used) << deleted.status();
    refused_deletions_ += used;
    if (used) {
      EXPECT_EQ(ErrorReason(deleted.status()), "IN_USE");
    } else {
      EXPECT_EQ(deleted->views.size(),
                kind == v1::FEATURE_VIEW ? found->second.versions.size() : 0);
      model_.objects.erase(found);
    }
  }

  void ChangeTrainingSets() {
    const std::string name = StrCat("t", Random(3));
    model_.training_sets.erase(name);
    for (const auto& [node, reads] : DirectReads(model_)) {
      if (node[0] == 'n' && Random(4) == 0) model_.training_sets[name].insert(node);
    }
  }

  void CheckObjects() {
    const auto snapshot = catalog_->Snapshot();
    size_t windows = 0;
    for (const auto& [name, object] : model_.objects) {
      if (object.kind == v1::FEATURE_SERVICE) {
        const auto service = snapshot->FindService("demo", name);
        ASSERT_TRUE(service.ok()) << service.status();
        std::vector<std::string> refs;
        for (const std::string& read : object.versions[0].reads) refs.push_back(read + ":p0");
        EXPECT_EQ((*service)->pinned.features, refs);
        continue;
      }
      windows += object.kind == v1::AGGREGATION_VIEW ? object.versions.size() : 0;
      for (size_t i = 0; i < object.versions.size(); ++i) {
        const auto view = snapshot->FindAnyView("demo", Versioned(name, i + 1));
        ASSERT_TRUE(view.ok()) << view.status();
        CheckView(*snapshot, *view, object.versions[i]);
      }
      EXPECT_EQ(VersionedName(*snapshot->FindAnyView("demo", name)),
                Versioned(name, object.versions.size()));
    }
    EXPECT_EQ(snapshot->AllAggregationViews().size(), windows);
  }

  // It holds what it reads as the same snapshot gives it.
  static void CheckView(const CatalogSnapshot& snapshot, const AnyView& view, const Spec& spec) {
    std::vector<AnyView> held;
    size_t parts = 0;
    if (const auto* stored = std::get_if<std::shared_ptr<const View>>(&view)) {
      parts = (*stored)->schema.fields.size();
    } else if (const auto* windows = std::get_if<std::shared_ptr<const AggregationView>>(&view)) {
      held.push_back((*windows)->source);
      parts = (*windows)->aggregations.size();
    } else {
      const OnDemandView& on_demand = *std::get<std::shared_ptr<const OnDemandView>>(view);
      for (const OnDemandView::Input& input : on_demand.inputs)
        held.push_back(input.view != nullptr ? AnyView(input.view) : AnyView(input.windows));
      parts = on_demand.fields.size();
    }
    EXPECT_EQ(parts, static_cast<size_t>(spec.parts));
    ASSERT_EQ(held.size(), spec.reads.size());
    for (size_t i = 0; i < held.size(); ++i)
      EXPECT_EQ(held[i], *snapshot.FindAnyView("demo", spec.reads[i]));
  }

  static std::string NameOf(const v1::LineageItem& item) {
    return item.version() == 0 ? item.name() : Versioned(item.name(), item.version());
  }
  void CheckLineage() {
    const Graph direct = DirectReads(model_);
    const Graph closure = Closure(direct);
    const auto snapshot = catalog_->Snapshot();
    for (const auto& [node, reads] : closure) {
      const std::string name = node.substr(0, node.find('@'));
      const v1::ObjectKind kind = node == "airport" ? v1::ENTITY : model_.objects.at(name).kind;
      v1::GetLineageRequest request;
      request.set_project("demo");
      request.set_kind(kind);
      request.set_name(node);
      const auto lineage = snapshot->GetLineage(request);
      ASSERT_TRUE(lineage.ok()) << lineage.status();
      EXPECT_EQ(NameOf(lineage->object()), node);
      std::map<std::string, bool> up, down, expected_up, expected_down;
      for (const auto& item : lineage->upstream()) up[NameOf(item)] = item.direct();
      for (const auto& item : lineage->downstream()) down[NameOf(item)] = item.direct();
      for (const std::string& read : reads) expected_up[read] = direct.at(node).contains(read);
      for (const auto& [other, others] : closure) {
        if (others.contains(node)) expected_down[other] = direct.at(other).contains(node);
      }
      EXPECT_EQ(up, expected_up) << node;
      EXPECT_EQ(down, expected_down) << node;
      const auto earlier = [](const v1::LineageItem& a, const v1::LineageItem& b) {
        return std::tuple(a.kind(), a.name(), a.version()) <
               std::tuple(b.kind(), b.name(), b.version());
      };
      EXPECT_TRUE(
          std::is_sorted(lineage->downstream().begin(), lineage->downstream().end(), earlier));
    }
  }

  std::mt19937_64 random_;
  std::unique_ptr<KvStore> store_ = NewMemoryKvStore();
  std::unique_ptr<Catalog> catalog_ = OpenCatalog(store_.get());
  Model model_;
  size_t broken_ = 0;
  size_t refused_deletions_ = 0;
};

TEST(CatalogDerivedModelTest, RandomChangesAgreeWithAPlainModel) {
  const char* given = std::getenv("FLETCH_TEST_SEED");
  const uint64_t first =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  size_t broken = 0;
  size_t refused = 0;
  for (uint64_t seed = first; seed < first + (given != nullptr ? 1 : 20); ++seed) {
    SCOPED_TRACE(StrCat("FLETCH_TEST_SEED=", seed));
    Evolution evolution(seed);
    for (int step = 0; step < 200; ++step) {
      evolution.Step();
      if (::testing::Test::HasFailure()) FAIL() << "at step " << step << " of seed " << seed;
    }
    broken += evolution.broken();
    refused += evolution.refused_deletions();
  }
  EXPECT_GT(broken, 0u);
  EXPECT_GT(refused, 0u);
}

}  // namespace
}  // namespace fletch
