// SPDX-License-Identifier: Apache-2.0
#include "server/engine/catalog.h"

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "fletch/v1/catalog_record.pb.h"
#include "gmock/gmock.h"
#include "server/engine/catalog_test_support.h"
#include "storage/fact_key.h"
#include "storage/memory_kv_store.h"

namespace fletch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kRange = absl::StatusCode::kOutOfRange;
constexpr auto kMissing = absl::StatusCode::kNotFound;
constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;

constexpr char kModel[] =
    "objects { feature_service { name: 'model' bindings { alias: 'origin' feature_view: 'weather' "
    "} features: 'weather:wind' features: "
    "'origin:temperature' } } ";
// weather without its field wind.
constexpr char kBreaking[] =
    "objects { feature_view { name: 'weather' entity: 'airport' ttl { seconds: 60 } "
    "fields { name: 'temperature' type: DOUBLE } } } ";
// weather with one field more.
constexpr char kCompatible[] =
    "objects { feature_view { name: 'weather' entity: 'airport' ttl { seconds: 60 } fields { name: "
    "'temperature' type: "
    "DOUBLE } fields { name: 'wind' type: INT64 } fields { name: 'rain' type: DOUBLE } } } ";

class CatalogTest : public ::testing::Test {
 protected:
  absl::StatusOr<v1::ApplyResponse> Apply(const std::string& text) {
    return ApplyText(catalog_.get(), text);
  }
  // The kinds of change of a request that must succeed.
  std::vector<v1::ChangeKind> Changes(const std::string& text) {
    const auto response = Apply(text);
    EXPECT_TRUE(response.ok()) << response.status();
    std::vector<v1::ChangeKind> kinds;
    if (response.ok()) {
      for (const v1::PlannedChange& change : response->changes()) kinds.push_back(change.change());
    }
    return kinds;
  }
  uint64_t revision() const { return catalog_->Snapshot()->revision(); }
  void Reopen() { catalog_ = OpenCatalog(store_.get()); }
  std::shared_ptr<const View> FindView(const std::string& ref) const {
    const auto view = catalog_->Snapshot()->FindView("demo", ref);
    EXPECT_TRUE(view.ok()) << view.status();
    return view.ok() ? *view : nullptr;
  }

  std::unique_ptr<KvStore> store_ = NewMemoryKvStore();
  std::unique_ptr<Catalog> catalog_ = OpenCatalog(store_.get());
};

TEST_F(CatalogTest, StartsEmptyAndNamesWhatIsMissing) {
  const auto snapshot = catalog_->Snapshot();
  EXPECT_EQ(snapshot->revision(), 0u);
  ExpectError(snapshot->CheckProject("demo"), kMissing, "project", "demo");
  ExpectError(snapshot->FindView("demo", "weather").status(), kMissing, "project", "demo");
  EXPECT_EQ(snapshot->FindViewById(1), nullptr);
  EXPECT_TRUE(snapshot->AllViews().empty());
}

TEST_F(CatalogTest, AnyOrderWithinOneRequest) {
  const auto response =
      Apply(std::string(kModel) + kWeather + kAirport + "objects { project { name: 'demo' } }");
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->changes_size(), 4);
  EXPECT_EQ(response->revision(), 1u);
  EXPECT_EQ(response->changes(0).kind(), v1::FEATURE_SERVICE);
  EXPECT_EQ(response->changes(0).name(), "model");
  EXPECT_EQ(response->changes(1).version(), 1u);
  EXPECT_EQ(response->changes(2).version(), 0u);
  for (const v1::PlannedChange& change : response->changes()) EXPECT_EQ(change.change(), v1::ADDED);

  const auto service = catalog_->Snapshot()->FindService("demo", "model");
  ASSERT_TRUE(service.ok());
  EXPECT_THAT((*service)->refs, ElementsAre("weather:wind", "origin:temperature"));
  EXPECT_THAT((*service)->pinned.features, ElementsAre("weather@v1:wind", "origin:temperature"));
  ASSERT_EQ((*service)->pinned.bindings.size(), 1u);
  EXPECT_EQ((*service)->pinned.bindings[0].feature_view, "weather@v1");
  EXPECT_EQ((*service)->pinned.bindings[0].join_key_map.at("airport"), "from");
}

TEST_F(CatalogTest, TheSameAgainChangesNothing) {
  const std::string all = std::string(kAirport) + kWeather + kModel;
  Changes(all);
  EXPECT_THAT(Changes(all), ElementsAre(v1::UNCHANGED, v1::UNCHANGED, v1::UNCHANGED));
  EXPECT_EQ(revision(), 1u);
}

TEST_F(CatalogTest, UnknownProjectIsMadeEvenWithoutObjects) {
  EXPECT_THAT(Changes("dry_run: true"), ElementsAre());
  EXPECT_FALSE(catalog_->Snapshot()->CheckProject("demo").ok());
  EXPECT_THAT(Changes(""), ElementsAre());
  EXPECT_TRUE(catalog_->Snapshot()->CheckProject("demo").ok());
  EXPECT_EQ(revision(), 1u);
  EXPECT_THAT(Changes("objects { project { name: 'demo' description: 'x' } }"),
              ElementsAre(v1::CHANGED));
  EXPECT_THAT(Changes("objects { project { name: 'demo' description: 'x' } }"),
              ElementsAre(v1::UNCHANGED));
}

TEST_F(CatalogTest, DryRunPlansAndChangesNothing) {
  const auto plan = Apply(std::string("dry_run: true ") + kAirport + kWeather);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->revision(), 0u);
  EXPECT_EQ(plan->changes(1).change(), v1::ADDED);
  EXPECT_FALSE(catalog_->Snapshot()->CheckProject("demo").ok());
  Changes(std::string(kAirport) + kWeather);
  EXPECT_THAT(Changes(std::string("dry_run: true ") + kBreaking), ElementsAre(v1::BREAKING));
  EXPECT_EQ(FindView("weather")->schema.version, 1u);
}

TEST_F(CatalogTest, CompatibleChangeKeepsVersionAndId) {
  Changes(std::string(kAirport) + kWeather);
  const auto before = FindView("weather");
  EXPECT_THAT(Changes(kCompatible), ElementsAre(v1::CHANGED));
  const auto after = FindView("weather@v1");
  EXPECT_EQ(after, FindView("weather"));
  EXPECT_EQ(after->schema.view_id, before->schema.view_id);
  EXPECT_EQ(after->schema.fields.size(), 3u);
  EXPECT_EQ(after->layout.field_count(), 3u);
  EXPECT_EQ(before->schema.fields.size(), 2u);  // an older snapshot's view does not change
}

TEST_F(CatalogTest, BreakingChangeIsRefusedWithThePlan) {
  Changes(std::string(kAirport) + kWeather + kModel);
  const auto refused = Apply(kBreaking);
  ExpectError(refused.status(), kPrecondition, "objects[0].feature_view", "field wind is removed");
  EXPECT_EQ(ErrorReason(refused.status()), "BREAKING_CHANGE");
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("feature service model"));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("allow_breaking"));
  // It is refused as such also when a service of the same request would fall over it.
  EXPECT_EQ(ErrorReason(Apply(std::string(kModel) + kBreaking).status()), "BREAKING_CHANGE");
  EXPECT_EQ(revision(), 1u);
}

TEST_F(CatalogTest, AllowedBreakingChangeMakesAnEmptyVersionBesideTheOld) {
  Changes(std::string(kAirport) + kWeather + kModel);
  const auto response = Apply(std::string("allow_breaking: true ") + kBreaking);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->changes(0).change(), v1::BREAKING);
  EXPECT_EQ(response->changes(0).version(), 2u);
  EXPECT_THAT(response->changes(0).affected_services(), ElementsAre("model"));
  EXPECT_EQ(FindView("weather")->schema.version, 2u);
  EXPECT_EQ(FindView("weather@v1")->schema.fields.size(), 2u);
  EXPECT_NE(FindView("weather")->schema.view_id, FindView("weather@v1")->schema.view_id);
  EXPECT_THAT((*catalog_->Snapshot()->FindService("demo", "model"))->pinned.features,
              ElementsAre("weather@v1:wind", "origin:temperature"));
  ExpectError(catalog_->Snapshot()->FindView("demo", "weather@v3").status(), kMissing, "",
              "weather@v1, weather@v2");
}

TEST_F(CatalogTest, GoingBackToAnOlderVersionIsBreakingToo) {
  const std::string other =
      "objects { feature_view { name: 'weather' entity: 'airport' fields { name: 'temperature' "
      "type: DOUBLE } } }";
  Changes(std::string(kAirport) + kWeather);
  EXPECT_THAT(Changes("allow_breaking: true " + other), ElementsAre(v1::BREAKING));
  ExpectError(Apply(kWeather).status(), kPrecondition, "objects[0].feature_view",
              "ttl was for ever and becomes 60 s");
  EXPECT_THAT(Changes(std::string("allow_breaking: true ") + kWeather), ElementsAre(v1::BREAKING));
  EXPECT_EQ(FindView("weather")->schema.version, 3u);
}

TEST_F(CatalogTest, ServicesArePinnedAnewWhenApplied) {
  Changes(std::string(kAirport) + kWeather);
  const std::string service =
      "objects { feature_service { name: 's' features: 'weather:temperature' } } ";
  Changes(service);
  const auto plan = Apply("allow_breaking: true " + service + kBreaking);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->changes(0).change(), v1::CHANGED);
  EXPECT_THAT(plan->changes(0).details(),
              ElementsAre("reads weather@v2:temperature instead of weather@v1:temperature"));
  EXPECT_TRUE(plan->changes(1).affected_services().empty());  // it went along
  EXPECT_THAT(Changes(service), ElementsAre(v1::UNCHANGED));
  EXPECT_THAT(Changes("objects { feature_service { name: 's' features: 'weather@v1:wind' } }"),
              ElementsAre(v1::CHANGED));
}

TEST_F(CatalogTest, JoinKeysNeverChange) {
  Changes(kAirport);
  const auto status = Apply(
      "allow_breaking: true objects { entity { name: 'airport' join_keys { name: 'airport' type: "
      "INT64 } } }");
  ExpectError(status.status(), kPrecondition, "objects[0].entity.join_keys", "(airport STRING)");
  EXPECT_THAT(Changes("objects { entity { name: 'airport' description: 'd' join_keys { name: "
                      "'airport' type: STRING } } }"),
              ElementsAre(v1::CHANGED));
}

TEST_F(CatalogTest, RequestsAreCheckedAndAllOrNothing) {
  Changes(kAirport);
  const auto expect = [this](const std::string& text, absl::StatusCode code,
                             const std::string& field, const std::string& message) {
    SCOPED_TRACE(text);
    ExpectError(Apply(text).status(), code, field, message);
  };
  expect("project: 'Demo'", kInvalid, "project", "no name");
  expect("objects { }", kInvalid, "objects[0]", "one of project");
  expect(std::string(kAirport) + kAirport, kInvalid, "objects[1]", "second time");
  expect("objects { project { name: 'other' } }", kInvalid, "objects[0].project.name",
         "one project at a time");
  expect("expected_revision: 7", kPrecondition, "expected_revision", "at revision 1");
  EXPECT_EQ(ErrorReason(Apply("expected_revision: 7").status()), "STALE_REVISION");
  expect("objects { feature_view { name: 'v' } }", kInvalid, "objects[0].feature_view.entity",
         "missing");
  expect("objects { feature_view { name: 'v' entity: 'plane' } }", kMissing,
         "objects[0].feature_view.entity", "plane");
  expect("objects { feature_view { name: 'v' entity: 'airport' fields { name: 'f' } } }", kInvalid,
         "objects[0].feature_view.fields[0].type", "DOUBLE");
  expect(
      std::string(kWeather) + "objects { feature_service { name: 's' features: 'weather:snow' } }",
      kMissing, "objects[1].feature_service.features[0]", "snow");
  expect("objects { feature_service { name: 's' } }", kInvalid,
         "objects[0].feature_service.features", "empty");
  expect(std::string(kWeather) +
             "objects { feature_service { name: 's' features: 'weather:wind' bindings { alias: "
             "'weather' feature_view: 'weather' } } }",
         kInvalid, "objects[1].feature_service.bindings[0].alias", "another alias");
  std::string many;
  for (int i = 0; i < 1025; ++i) many += "objects { }";
  expect(many, kRange, "objects", "at most 1024");
  EXPECT_EQ(revision(), 1u);
  EXPECT_FALSE(catalog_->Snapshot()->FindView("demo", "weather").ok());
  EXPECT_TRUE(Apply("expected_revision: 1").ok());
}

TEST_F(CatalogTest, ALaterViewWithTheNameOfAnAliasBreaksNoService) {
  Changes(std::string(kAirport) + kWeather + kModel);
  Changes(
      "objects { feature_view { name: 'origin' entity: 'airport' fields { name: 'x' type: BOOL } } "
      "}");
  EXPECT_EQ((*catalog_->Snapshot()->FindService("demo", "model"))->pinned.features[1],
            "origin:temperature");
  ExpectError(Apply(kModel).status(), kInvalid, "objects[0].feature_service.bindings[0].alias",
              "another alias");
}

TEST_F(CatalogTest, DeleteNamesTheUsers) {
  Changes(std::string(kAirport) + kWeather + kModel);
  Changes(std::string("allow_breaking: true ") + kBreaking);
  const auto expect = [this](const std::string& text, absl::StatusCode code,
                             const std::string& field, const std::string& message) {
    SCOPED_TRACE(text);
    ExpectError(DeleteText(catalog_.get(), text).status(), code, field, message);
  };
  expect("kind: FEATURE_VIEW name: 'weather'", kPrecondition, "name", "feature service model");
  expect("kind: ENTITY name: 'airport'", kPrecondition, "name", "weather@v1, weather@v2");
  expect("kind: PROJECT", kPrecondition, "name", "feature service model");
  EXPECT_EQ(ErrorReason(DeleteText(catalog_.get(), "kind: PROJECT").status()), "IN_USE");
  expect("kind: FEATURE_VIEW name: 'weather@v1'", kInvalid, "name", "all its versions");
  expect("kind: FEATURE_VIEW name: 'x'", kMissing, "name", "x");
  expect("kind: ENTITY name: 'x'", kMissing, "name", "x");
  expect("kind: FEATURE_SERVICE name: 'x'", kMissing, "name", "x");
  expect("kind: PROJECT name: 'x'", kInvalid, "name", "own name");
  expect("project: 'x' kind: PROJECT", kMissing, "project", "x");
  expect("name: 'x'", kInvalid, "kind", "FEATURE_VIEW");
  EXPECT_EQ(revision(), 2u);
}

TEST_F(CatalogTest, DeletingAViewTakesItsFactsAndNoOthers) {
  Changes(std::string(kAirport) + kWeather);
  Changes(
      "objects { feature_view { name: 'other' entity: 'airport' fields { name: 'x' type: BOOL } } "
      "}");
  Changes(std::string("allow_breaking: true ") + kBreaking);
  KvBatch facts;
  for (const auto& view : catalog_->Snapshot()->AllViews()) {
    facts.Put(Family::kFacts, ViewPrefix(view->schema.view_id) + "fact", "1");
    facts.Put(Family::kLatest, ViewPrefix(view->schema.view_id) + "row", "1");
  }
  ASSERT_TRUE(store_->Write(facts, false).ok());
  const ViewId other = FindView("other")->schema.view_id;
  const ViewId newest = FindView("weather")->schema.view_id;

  const auto deleted = DeleteText(catalog_.get(), "kind: FEATURE_VIEW name: 'weather'");
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_EQ(deleted->revision, 4u);
  ASSERT_EQ(deleted->views.size(), 2u);
  EXPECT_EQ(deleted->views[1]->schema.versioned_name(), "weather@v2");
  EXPECT_EQ(catalog_->Snapshot()->FindViewById(newest), nullptr);
  for (const Family family : {Family::kFacts, Family::kLatest}) {
    auto iterator = store_->NewIterator(family);
    iterator->Seek("");
    ASSERT_TRUE(iterator->Valid());
    EXPECT_EQ(iterator->key().substr(0, 4), ViewPrefix(other));
    iterator->Next();
    EXPECT_FALSE(iterator->Valid());
  }
  Reopen();
  Changes(kWeather);  // the same name again is another view
  EXPECT_GT(FindView("weather")->schema.view_id, newest);
  EXPECT_EQ(FindView("weather")->schema.version, 1u);
}

TEST_F(CatalogTest, EverythingCanBeDeletedFromTheTop) {
  Changes(std::string(kAirport) + kWeather + kModel);
  for (const char* text :
       {"kind: FEATURE_SERVICE name: 'model'", "kind: FEATURE_VIEW name: 'weather'",
        "kind: ENTITY name: 'airport'", "kind: PROJECT name: 'demo'"}) {
    EXPECT_TRUE(DeleteText(catalog_.get(), text).ok()) << text;
  }
  EXPECT_FALSE(catalog_->Snapshot()->CheckProject("demo").ok());
  EXPECT_EQ(revision(), 5u);
}

TEST_F(CatalogTest, GetAndList) {
  Changes(std::string(kAirport) + kWeather + kModel);
  Changes(std::string("allow_breaking: true ") + kBreaking);
  ASSERT_TRUE(Apply("project: 'another'").ok());
  const auto snapshot = catalog_->Snapshot();
  const auto get = [&](const std::string& text) {
    return snapshot->Get(FromText<v1::GetRequest>("project: 'demo' " + text));
  };
  EXPECT_EQ(get("kind: PROJECT")->object().project().name(), "demo");
  EXPECT_EQ(get("kind: ENTITY name: 'airport'")->object().entity().join_keys(0).name(), "airport");
  EXPECT_EQ(get("kind: FEATURE_VIEW name: 'weather'")->object().feature_view().version(), 2u);
  EXPECT_EQ(get("kind: FEATURE_VIEW name: 'weather@v1'")->object().feature_view().fields_size(), 2);
  EXPECT_THAT(
      get("kind: FEATURE_SERVICE name: 'model'")->object().feature_service().resolved_features(),
      ElementsAre("weather@v1:wind", "weather@v1:temperature"));
  EXPECT_EQ(get("kind: PROJECT")->revision(), 3u);
  for (const char* text :
       {"kind: ENTITY name: 'x'", "kind: FEATURE_VIEW name: 'x'", "kind: FEATURE_SERVICE name: 'x'",
        "kind: FEATURE_VIEW name: 'weather@v3'"}) {
    EXPECT_EQ(get(text).status().code(), kMissing) << text;
  }
  EXPECT_EQ(get("name: 'x'").status().code(), kInvalid);

  std::vector<v1::Object::ObjectCase> seen;
  v1::ListRequest request = FromText<v1::ListRequest>("project: 'demo' page_size: 1");
  do {
    const auto page = snapshot->List(request);
    ASSERT_TRUE(page.ok()) << page.status();
    ASSERT_EQ(page->objects_size(), 1);
    seen.push_back(page->objects(0).object_case());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(seen, ElementsAre(v1::Object::kProject, v1::Object::kEntity, v1::Object::kFeatureView,
                                v1::Object::kFeatureView, v1::Object::kFeatureService));
  const auto list = [&](const std::string& text) {
    return snapshot->List(FromText<v1::ListRequest>(text));
  };
  const auto views = list("project: 'demo' kind: FEATURE_VIEW");
  ASSERT_EQ(views->objects_size(), 2);
  EXPECT_EQ(views->objects(0).feature_view().version(), 1u);
  EXPECT_EQ(views->objects(1).feature_view().version(), 2u);
  EXPECT_EQ(list("kind: PROJECT")->objects_size(), 2);
  ExpectError(list("kind: ENTITY").status(), kInvalid, "project", "PROJECT only");
  ExpectError(list("project: 'x'").status(), kMissing, "project", "x");
  ExpectError(list("project: 'demo' page_size: 1001").status(), kRange, "page_size", "1000");
  ExpectError(list("project: 'demo' page_token: 'x'").status(), kInvalid, "page_token", "no token");
  const std::string token = list("project: 'demo' page_size: 1")->next_page_token();
  ExpectError(list("project: 'another' page_token: '" + token + "'").status(), kInvalid,
              "page_token", "no token");
}

TEST_F(CatalogTest, ComesBackAsItWas) {
  Changes(std::string(kAirport) + kWeather + kModel);
  Changes(std::string("allow_breaking: true ") + kBreaking);
  const auto all = FromText<v1::ListRequest>("project: 'demo' page_size: 1000");
  const auto before = catalog_->Snapshot()->List(all);
  const ViewId id = FindView("weather@v1")->schema.view_id;
  Reopen();
  EXPECT_EQ(catalog_->Snapshot()->List(all)->SerializeAsString(), before->SerializeAsString());
  EXPECT_EQ(FindView("weather@v1")->schema.view_id, id);
  EXPECT_EQ(catalog_->Snapshot()->FindViewById(id), FindView("weather@v1"));
  EXPECT_THAT((*catalog_->Snapshot()->FindService("demo", "model"))->pinned.features,
              ElementsAre("weather@v1:wind", "origin:temperature"));
}

// A store whose writes fail when told to.
class FailingStore : public KvStore {
 public:
  absl::Status Write(const KvBatch& batch, bool sync) override {
    EXPECT_TRUE(sync);
    return failing
               ? MakeError(absl::StatusCode::kResourceExhausted, "DISK_FULL", "the disk is full")
               : store_->Write(batch, sync);
  }
  absl::StatusOr<std::optional<std::string>> Get(Family family,
                                                 std::string_view key) const override {
    return store_->Get(family, key);
  }
  std::unique_ptr<KvIterator> NewIterator(Family family) const override {
    return store_->NewIterator(family);
  }
  std::vector<std::unique_ptr<KvIterator>> NewIterators(
      absl::Span<const Family> families) const override {
    return store_->NewIterators(families);
  }
  absl::Status Compact(absl::Span<const KeyRange> ranges) override {
    return store_->Compact(ranges);
  }
  uint64_t DiskBytes() const override { return 0; }

  bool failing = false;

 private:
  std::unique_ptr<KvStore> store_ = NewMemoryKvStore();
};

TEST(CatalogStoreTest, WhatCannotBeStoredDoesNotHappen) {
  FailingStore store;
  const auto catalog = OpenCatalog(&store);
  ASSERT_TRUE(ApplyText(catalog.get(), std::string(kAirport) + kWeather).ok());
  store.failing = true;
  EXPECT_EQ(ErrorReason(ApplyText(catalog.get(), kCompatible).status()), "DISK_FULL");
  EXPECT_EQ(ErrorReason(DeleteText(catalog.get(), "kind: FEATURE_VIEW name: 'weather'").status()),
            "DISK_FULL");
  EXPECT_TRUE(ApplyText(catalog.get(), std::string("dry_run: true ") + kCompatible).ok());
  EXPECT_EQ(catalog->Snapshot()->revision(), 1u);
  EXPECT_EQ((*catalog->Snapshot()->FindView("demo", "weather"))->schema.fields.size(), 2u);
  store.failing = false;
  EXPECT_TRUE(ApplyText(catalog.get(), kCompatible).ok());
  EXPECT_EQ(catalog->Snapshot()->revision(), 2u);
}

TEST(CatalogStoreTest, ReadersSeeWholeRevisionsWhileChangesAreMade) {
  const std::unique_ptr<KvStore> store = NewMemoryKvStore();
  const auto catalog = OpenCatalog(store.get());
  ASSERT_TRUE(ApplyText(catalog.get(), std::string(kAirport) + kWeather).ok());
  constexpr uint64_t kChanges = 200;
  std::thread writer([&] {
    for (uint64_t i = 0; i < kChanges; ++i) {
      EXPECT_TRUE(
          ApplyText(catalog.get(),
                    std::string("allow_breaking: true ") + kWeather +
                        (i % 2 == 0 ? "objects { feature_view { name: 'x' entity: 'airport' "
                                      "fields { name: 'x' type: BOOL } } }"
                                    : "objects { feature_view { name: 'x' entity: 'airport' "
                                      "fields { name: 'y' type: BOOL } } }"))
              .ok());
    }
  });
  uint64_t seen = 0;
  while (seen < kChanges + 1) {
    const auto snapshot = catalog->Snapshot();
    ASSERT_GE(snapshot->revision(), seen);
    seen = snapshot->revision();
    // One version more with every change.
    ASSERT_EQ(snapshot->AllViews().size(), seen);
    if (seen > 1) {
      ASSERT_EQ((*snapshot->FindView("demo", "x"))->schema.version, seen - 1);
    }
  }
  writer.join();
}

TEST_F(CatalogTest, ADamagedRecordIsDataLoss) {
  Changes(std::string(kAirport) + kWeather);
  const std::string good = **store_->Get(Family::kMeta, "catalog");
  v1::CatalogRecord record;
  ASSERT_TRUE(record.ParseFromString(good));
  std::vector<std::string> bad = {"\xff\xff", ""};
  const auto add = [&](auto damage) {
    v1::CatalogRecord copy = record;
    damage(&copy);
    bad.push_back(copy.SerializeAsString());
  };
  add([](auto* r) { r->set_format(2); });
  add([](auto* r) { r->set_next_view_id(1); });
  add([](auto* r) { r->set_next_entity_id(1); });
  add([](auto* r) { r->mutable_projects(0)->clear_entities(); });
  add([](auto* r) { r->mutable_projects(0)->mutable_views(0)->mutable_spec()->set_version(2); });
  add([](auto* r) { r->mutable_projects(0)->mutable_views(0)->mutable_spec()->clear_fields(); });
  add([](auto* r) {
    r->mutable_projects(0)->mutable_entities(0)->mutable_spec()->clear_join_keys();
  });
  add([](auto* r) {
    r->mutable_projects(0)->add_services()->mutable_spec()->add_features("weather:wind");
  });
  for (const std::string& bytes : bad) {
    KvBatch batch;
    batch.Put(Family::kMeta, "catalog", bytes);
    ASSERT_TRUE(store_->Write(batch, true).ok());
    const absl::Status status = Catalog::Open(store_.get()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  }
}

}  // namespace
}  // namespace fletch
