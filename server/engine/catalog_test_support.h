// SPDX-License-Identifier: Apache-2.0
// Requests as text protos, for the tests of the catalog and of feature plans.
#ifndef FLETCH_SERVER_ENGINE_CATALOG_TEST_SUPPORT_H_
#define FLETCH_SERVER_ENGINE_CATALOG_TEST_SUPPORT_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/strings.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "server/engine/catalog.h"

namespace fletch {

template <typename Message>
Message FromText(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

inline std::unique_ptr<Catalog> OpenCatalog(KvStore* store) {
  auto catalog = Catalog::Open(store);
  EXPECT_TRUE(catalog.ok()) << catalog.status();
  return *std::move(catalog);
}

// Nothing is read by training sets.
inline std::vector<std::string> NoReaders(std::string_view, std::string_view) { return {}; }

// Applies objects (text of ApplyRequest without the project) to project "demo". Every binding of a
// service maps airport to from: TextFormat on a map field crashes within Debian's libprotobuf under
// TSan.
inline absl::StatusOr<v1::ApplyResponse> ApplyText(
    Catalog* catalog, const std::string& text, const Catalog::Readers& training_sets = NoReaders) {
  v1::ApplyRequest request = FromText<v1::ApplyRequest>(text);
  if (request.project().empty()) request.set_project("demo");
  for (v1::Object& object : *request.mutable_objects()) {
    if (!object.has_feature_service()) continue;
    for (v1::Binding& binding : *object.mutable_feature_service()->mutable_bindings()) {
      (*binding.mutable_join_key_map())["airport"] = "from";
    }
  }
  return catalog->Apply(request, training_sets);
}

inline absl::StatusOr<Catalog::Deleted> DeleteText(
    Catalog* catalog, const std::string& text, const Catalog::Readers& training_sets = NoReaders) {
  v1::DeleteObjectRequest request = FromText<v1::DeleteObjectRequest>(text);
  if (request.project().empty()) request.set_project("demo");
  return catalog->Delete(request, training_sets);
}

// The code, the field path and a part of the message.
inline void ExpectError(const absl::Status& status, absl::StatusCode code, const std::string& field,
                        const std::string& message) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_EQ(ErrorField(status), field) << status;
  EXPECT_NE(FromAbsl(status.message()).find(message), std::string_view::npos) << status;
}

inline constexpr char kAirport[] =
    "objects { entity { name: 'airport' join_keys { name: 'airport' type: STRING } } } ";
inline constexpr char kWeather[] =
    "objects { feature_view { name: 'weather' entity: 'airport' ttl { seconds: 60 } "
    "fields { name: 'temperature' type: DOUBLE } fields { name: 'wind' type: INT64 } } } ";
inline constexpr char kDepartures[] =
    "objects { feature_view { name: 'departures' entity: 'airport' event_key { name: 'flight' "
    "type: STRING } fields { name: 'delay_min' type: INT64 } fields { name: 'gate' type: STRING } "
    "} } ";
inline constexpr char kDelays[] =
    "objects { aggregation_view { name: 'delays' source: 'departures' aggregations { name: "
    "'mean_7d' column: 'delay_min' function: MEAN window { seconds: 604800 } } aggregations { "
    "name: 'count_1h' function: COUNT window { seconds: 3600 } } } } ";
inline constexpr char kRisk[] =
    "objects { on_demand_feature_view { name: 'risk' inputs: 'delays' inputs: 'weather' request { "
    "name: 'hour' type: INT64 } fields { name: 'icy_and_late' type: BOOL sql: 'temperature < 0 "
    "AND mean_7d > 15 AND hour < 9' } fields { name: 'busy' type: BOOL sql: 'count_1h > 100' } } "
    "} ";

}  // namespace fletch

#endif  // FLETCH_SERVER_ENGINE_CATALOG_TEST_SUPPORT_H_
