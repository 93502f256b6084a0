// SPDX-License-Identifier: Apache-2.0
// Random schema evolutions against a plain model.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/engine/catalog.h"
#include "server/engine/catalog_test_support.h"
#include "storage/memory_kv_store.h"

namespace fletch {
namespace {

// A field as name -> everything else that matters, in a text that is a Field's.
struct ModelField {
  std::string name;
  std::string rest;
  bool operator==(const ModelField&) const = default;
};

struct ModelView {
  std::vector<ModelField> fields;
  int ttl = 0;
  int skew = 1;
  std::string description;
  ViewId id = 0;  // as first seen

  std::string Text(const std::string& name) const {
    std::string text =
        StrCat("objects { feature_view { name: '", name, "' entity: 'airport' ttl { seconds: ", ttl,
               " } max_future_skew { seconds: ", skew, " } description: '", description, "' ");
    for (const ModelField& field : fields)
      text += StrCat("fields { name: '", field.name, "' ", field.rest, " } ");
    return text + "} } ";
  }
};

v1::ChangeKind Expected(const ModelView& before, const ModelView& after) {
  if (before.ttl != after.ttl || before.fields.size() > after.fields.size() ||
      !std::equal(before.fields.begin(), before.fields.end(), after.fields.begin())) {
    return v1::BREAKING;
  }
  const bool same = before.fields.size() == after.fields.size() && before.skew == after.skew &&
                    before.description == after.description;
  return same ? v1::UNCHANGED : v1::CHANGED;
}

class Evolution {
 public:
  explicit Evolution(uint64_t seed) : random_(seed) {
    EXPECT_TRUE(ApplyText(catalog_.get(), kAirport).ok());
    ++revision_;
  }

  void Step() {
    const size_t dice = Random(20);
    if (dice < 13) {
      ApplyView();
    } else if (dice < 16) {
      ApplyService();
    } else if (dice < 17) {
      DeleteView();
    } else if (dice < 18) {
      DeleteService();
    } else {
      catalog_ = OpenCatalog(store_.get());
    }
    Check();
  }

 private:
  size_t Random(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }
  std::string NewRest() {
    const std::vector<std::string> rests = {
        "type: INT64",
        "type: DOUBLE",
        "type: DOUBLE forbid_nan: true",
        "type: STRING array: true",
        "type: INT64 default_value { value { int64s { values: 3 } } }",
        "type: FLOAT_VECTOR dimension: 3",
        "type: FLOAT_VECTOR dimension: 3 index { metric: COSINE }"};
    return rests[Random(rests.size())];
  }
  ModelField NewField() { return {StrCat("f", next_field_++), NewRest()}; }
  std::string AnyView() { return StrCat("v", Random(3)); }

  ModelView Mutate(ModelView view) {
    std::vector<ModelField>& fields = view.fields;
    switch (Random(9)) {
      case 0:
        fields.push_back(NewField());
        break;
      case 1:
        fields.insert(fields.begin() + Random(fields.size()), NewField());
        break;
      case 2:
        if (fields.size() > 1) fields.erase(fields.begin() + Random(fields.size()));
        break;
      case 3:
        std::swap(fields[Random(fields.size())], fields[Random(fields.size())]);
        break;
      case 4:
        fields[Random(fields.size())].rest = NewRest();
        break;
      case 5:
        view.ttl = Random(2);
        break;
      case 6:
        view.skew = 1 + Random(2);
        break;
      case 7:
        view.description = StrCat("d", Random(3));
        break;
      default:
        break;
    }
    return view;
  }

  void ApplyView() {
    const std::string name = AnyView();
    std::vector<ModelView>& versions = views_[name];
    ModelView next;
    if (versions.empty()) {
      next.fields = {NewField(), NewField()};
    } else {
      next = Random(6) == 0 ? versions[Random(versions.size())] : Mutate(versions.back());
    }
    const v1::ChangeKind change = versions.empty() ? v1::ADDED : Expected(versions.back(), next);
    const bool allow = Random(2) == 0;
    const bool dry_run = Random(5) == 0;
    const auto response =
        ApplyText(catalog_.get(), StrCat(next.Text(name), allow ? "allow_breaking: true " : "",
                                         dry_run ? "dry_run: true" : ""));
    if (change == v1::BREAKING && !allow && !dry_run) {
      EXPECT_EQ(ErrorReason(response.status()), "BREAKING_CHANGE") << response.status();
      return;
    }
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->changes(0).change(), change);
    const bool grows = change == v1::ADDED || change == v1::BREAKING;
    EXPECT_EQ(response->changes(0).version(), versions.size() + grows);
    if (change == v1::BREAKING) {
      std::vector<std::string> readers;
      for (const auto& [service, pins] : services_) {
        const bool reads = std::any_of(pins.begin(), pins.end(), [&](const std::string& pin) {
          return pin.starts_with(StrCat(name, "@"));
        });
        if (reads) readers.push_back(service);
      }
      EXPECT_EQ(std::vector<std::string>(response->changes(0).affected_services().begin(),
                                         response->changes(0).affected_services().end()),
                readers);
    }
    if (dry_run || change == v1::UNCHANGED) return;
    ++revision_;
    next.id = grows ? 0 : versions.back().id;
    if (grows) {
      versions.push_back(next);
    } else {
      versions.back() = next;
    }
  }

  void ApplyService() {
    std::vector<std::string> pins;
    std::string text = StrCat("objects { feature_service { name: 's", Random(2), "' ");
    const std::string name = text.substr(text.find('\'') + 1, 2);
    for (const auto& [view, versions] : views_) {
      if (versions.empty() || Random(2) == 0) continue;
      const bool newest = Random(2) == 0;
      const size_t version = newest ? versions.size() : 1 + Random(versions.size());
      const std::vector<ModelField>& fields = versions[version - 1].fields;
      const std::string& field = fields[Random(fields.size())].name;
      text += StrCat("features: '", view, newest ? "" : StrCat("@v", version), ":", field, "' ");
      pins.push_back(StrCat(view, "@v", version, ":", field));
    }
    if (pins.empty()) return;
    const uint64_t before = catalog_->Snapshot()->revision();
    const auto response = ApplyText(catalog_.get(), text + "} }");
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->changes(0).change() == v1::UNCHANGED, response->revision() == before);
    const bool was_there = services_.contains(name);
    EXPECT_EQ(response->changes(0).change() == v1::ADDED, !was_there);
    if (was_there && services_[name] != pins) {
      EXPECT_EQ(response->changes(0).change(), v1::CHANGED);
    }
    revision_ = response->revision();
    services_[name] = pins;
  }

  void DeleteView() {
    const std::string name = AnyView();
    bool used = false;
    for (const auto& [service, pins] : services_) {
      for (const std::string& pin : pins) used = used || pin.starts_with(StrCat(name, "@"));
    }
    const auto deleted =
        DeleteText(catalog_.get(), StrCat("kind: FEATURE_VIEW name: '", name, "'"));
    if (views_[name].empty()) {
      EXPECT_EQ(deleted.status().code(), absl::StatusCode::kNotFound);
    } else if (used) {
      EXPECT_EQ(ErrorReason(deleted.status()), "IN_USE");
    } else {
      ASSERT_TRUE(deleted.ok()) << deleted.status();
      EXPECT_EQ(deleted->views.size(), views_[name].size());
      views_[name].clear();
      ++revision_;
    }
  }

  void DeleteService() {
    if (services_.empty()) return;
    const std::string name = services_.begin()->first;
    EXPECT_TRUE(
        DeleteText(catalog_.get(), StrCat("kind: FEATURE_SERVICE name: '", name, "'")).ok());
    services_.erase(name);
    ++revision_;
  }

  // Everything the catalog says is what the model says.
  void Check() {
    const auto snapshot = catalog_->Snapshot();
    EXPECT_EQ(snapshot->revision(), revision_);
    size_t count = 0;
    std::set<ViewId> ids;
    for (auto& [name, versions] : views_) {
      EXPECT_EQ(snapshot->FindView("demo", name).ok(), !versions.empty());
      for (size_t i = 0; i < versions.size(); ++i) {
        const auto view = snapshot->FindView("demo", StrCat(name, "@v", i + 1));
        ASSERT_TRUE(view.ok()) << view.status();
        CheckView((*view)->schema, &versions[i]);
        EXPECT_EQ(snapshot->FindViewById((*view)->schema.view_id), *view);
        EXPECT_TRUE(ids.insert((*view)->schema.view_id).second);
        if (i + 1 == versions.size()) {
          EXPECT_EQ(*snapshot->FindView("demo", name), *view);
        }
        ++count;
      }
      EXPECT_FALSE(snapshot->FindView("demo", StrCat(name, "@v", versions.size() + 1)).ok());
    }
    EXPECT_EQ(snapshot->AllViews().size(), count);
    for (const auto& [name, pins] : services_) {
      const auto service = snapshot->FindService("demo", name);
      ASSERT_TRUE(service.ok()) << service.status();
      EXPECT_EQ((*service)->pinned.features, pins);
    }
  }

  void CheckView(const ViewSchema& schema, ModelView* model) {
    if (model->id == 0) {
      EXPECT_TRUE(used_ids_.insert(schema.view_id).second) << "a view id was given twice";
      model->id = schema.view_id;
    }
    EXPECT_EQ(schema.view_id, model->id);
    EXPECT_EQ(schema.ttl_micros, model->ttl * 1'000'000);
    EXPECT_EQ(schema.max_future_skew_micros, model->skew * 1'000'000);
    ASSERT_EQ(schema.fields.size(), model->fields.size());
    for (size_t i = 0; i < schema.fields.size(); ++i) {
      const FieldSchema& field = schema.fields[i];
      const std::string& rest = model->fields[i].rest;
      EXPECT_EQ(field.name, model->fields[i].name);
      EXPECT_NE(rest.find(ValueTypeName(field.type.type)), std::string::npos);
      EXPECT_EQ(field.default_value.has_value(), rest.find("default_value") != std::string::npos);
      EXPECT_EQ(field.index_metric.has_value(), rest.find("index") != std::string::npos);
      EXPECT_EQ(field.forbid_nan, rest.find("forbid_nan") != std::string::npos);
    }
  }

  std::mt19937_64 random_;
  std::unique_ptr<KvStore> store_ = NewMemoryKvStore();
  std::unique_ptr<Catalog> catalog_ = OpenCatalog(store_.get());
  uint64_t revision_ = 0;
  int next_field_ = 0;
  std::map<std::string, std::vector<ModelView>> views_;
  std::map<std::string, std::vector<std::string>> services_;
  std::set<ViewId> used_ids_;
};

TEST(CatalogModelTest, RandomEvolutionsAgreeWithAPlainModel) {
  const char* given = std::getenv("FLETCH_TEST_SEED");
  const uint64_t first =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  for (uint64_t seed = first; seed < first + (given != nullptr ? 1 : 20); ++seed) {
    SCOPED_TRACE(StrCat("FLETCH_TEST_SEED=", seed));
    Evolution evolution(seed);
    for (int step = 0; step < 300; ++step) {
      evolution.Step();
      if (::testing::Test::HasFailure()) FAIL() << "at step " << step << " of seed " << seed;
    }
  }
}

}  // namespace
}  // namespace fletch
