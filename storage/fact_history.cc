// SPDX-License-Identifier: Apache-2.0
// ReadHistory of fact_store.h.
//
// A token is: u8 1, u64 digest of the query, u64 facts of the last entity emitted so far, the key
// of the last fact emitted. What else is needed to go on inside an instant (which identities were
// met) is found again by walking the instant anew.
#include <optional>

#include "base/status.h"
#include "storage/big_endian.h"
#include "storage/entity_key.h"
#include "storage/fact_cursor.h"
#include "storage/fact_store.h"

namespace fletch {
namespace {

constexpr char kTokenVersion = 1;
constexpr size_t kTokenHeaderBytes = 1 + 2 * sizeof(uint64_t);

// FNV-1a: tells queries apart; nothing is secret.
uint64_t Digest(const ViewSchema& schema, const HistoryQuery& query) {
  std::string bytes;
  AppendU32(schema.view_id, &bytes);
  AppendU64(static_cast<uint64_t>(query.start), &bytes);
  AppendU64(static_cast<uint64_t>(query.end), &bytes);
  AppendU64(query.last_k, &bytes);
  AppendU64(query.known_at, &bytes);
  bytes.push_back(query.all_forms ? 1 : 0);
  bytes += query.entity_key;
  uint64_t digest = 14695981039346656037u;
  for (const char c : bytes) digest = (digest ^ static_cast<uint8_t>(c)) * 1099511628211u;
  return digest;
}

struct Position {
  std::string key;  // of the last fact emitted; empty: none
  size_t prefix_size = 0;
  int64_t event_time = 0;
  uint64_t entity_count = 0;  // facts of its entity emitted up to it
};

absl::StatusOr<Position> DecodeToken(const ViewSchema& schema, const HistoryQuery& query,
                                     std::string_view token) {
  if (token.empty()) return Position{};
  const absl::Status not_ours = InvalidArgument(
      "not a token of this query; give the next_page_token of its page before, and the same query");
  if (token.size() < kTokenHeaderBytes || token[0] != kTokenVersion ||
      ReadU64(token.data() + 1) != Digest(schema, query)) {
    return not_ours;
  }
  const std::string_view key = token.substr(kTokenHeaderBytes);
  const absl::StatusOr<FactKey> decoded = DecodeFactKey(schema, key);
  if (!decoded.ok()) return not_ours;
  const Identity& identity = decoded->identity;
  const uint64_t count = ReadU64(token.data() + 9);
  const bool in_query = (query.entity_key.empty() || identity.entity_key == query.entity_key) &&
                        identity.event_time >= query.start && identity.event_time <= query.end &&
                        decoded->commit_seq <= query.known_at && count >= 1 &&
                        (query.last_k == 0 || count <= query.last_k);
  if (!in_query) return not_ours;
  return Position{std::string(key), sizeof(ViewId) + identity.entity_key.size(),
                  identity.event_time, count};
}

std::string EncodeToken(const ViewSchema& schema, const HistoryQuery& query,
                        const Position& position) {
  std::string token(1, kTokenVersion);
  AppendU64(Digest(schema, query), &token);
  AppendU64(position.entity_count, &token);
  token += position.key;
  return token;
}

class HistoryWalk {
 public:
  HistoryWalk(const KvStore& store, const ViewSchema& schema, const HistoryQuery& query,
              Position resume, size_t limit,
              const std::function<absl::Status(const FactRef&)>& emit)
      : schema_(schema),
        query_(query),
        limit_(limit),
        emit_(emit),
        cursor_(&store),
        last_(std::move(resume)) {}

  absl::StatusOr<std::string> Run() {
    const std::string range = FactPrefix(schema_.view_id, query_.entity_key);
    std::string next = range;
    if (!last_.key.empty()) {
      const std::string resumed = last_.key;
      const std::string_view prefix = std::string_view(resumed).substr(0, last_.prefix_size);
      const std::optional<FactSuffix> emitted =
          ParseFactSuffix(std::string_view(resumed).substr(last_.prefix_size));
      RETURN_IF_ERROR(WalkEntity(prefix, last_.event_time, last_.entity_count, emitted));
      next = FactPrefixEnd(prefix);
    }
    while (!page_full_) {
      ASSIGN_OR_RETURN(const std::string prefix, cursor_.FindEntity(schema_, next, range));
      if (prefix.empty()) return "";
      next = FactPrefixEnd(prefix);
      RETURN_IF_ERROR(WalkEntity(prefix, query_.end, 0, std::nullopt));
    }
    return EncodeToken(schema_, query_, last_);
  }

 private:
  // The facts of one entity from `from` on, of which `count` were emitted, up to `emitted`.
  absl::Status WalkEntity(std::string_view prefix, int64_t from, uint64_t count,
                          const std::optional<FactSuffix>& emitted) {
    CurrentForms forms;
    RETURN_IF_ERROR(cursor_.Seek(prefix, from, query_.known_at));
    while (const FactView* const fact = cursor_.fact()) {
      const FactSuffix& at = fact->at;
      if ((query_.last_k != 0 && count >= query_.last_k) || at.event_time < query_.start) break;
      const bool counts =
          query_.all_forms || (forms.IsCurrent(at) && fact->form != FactForm::kRetraction);
      if (counts && (!emitted.has_value() || StandsBefore(*emitted, at))) {
        if (emitted_count_ == limit_) {  // one more there is, so this page is not the last
          page_full_ = true;
          break;
        }
        ++emitted_count_;
        last_.key.assign(prefix);
        AppendFactSuffix(at, &last_.key);
        last_.prefix_size = prefix.size();
        last_.event_time = at.event_time;
        last_.entity_count = ++count;
        RETURN_IF_ERROR(emit_(ToFactRef(*fact, prefix.substr(sizeof(ViewId)))));
      }
      RETURN_IF_ERROR(cursor_.Next());
    }
    return absl::OkStatus();
  }

  const ViewSchema& schema_;
  const HistoryQuery& query_;
  const size_t limit_;
  const std::function<absl::Status(const FactRef&)>& emit_;
  FactCursor cursor_;
  Position last_;
  size_t emitted_count_ = 0;
  bool page_full_ = false;
};

}  // namespace

absl::StatusOr<std::string> ReadHistory(const KvStore& store, const ViewSchema& schema,
                                        const HistoryQuery& query, std::string_view resume_token,
                                        size_t limit,
                                        const std::function<absl::Status(const FactRef&)>& emit) {
  ASSIGN_OR_RETURN(Position resume, DecodeToken(schema, query, resume_token));
  return HistoryWalk(store, schema, query, std::move(resume), limit, emit).Run();
}

}  // namespace fletch
