// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/strings.h"
#include "server/flight/flight_answer.h"
#include "server/flight/flight_input.h"
#include "server/flight/get_source.h"
#include "server/flight/ipc_schema.h"
#include "server/rpc/convert.h"

namespace fletch {
namespace {

constexpr size_t kFirstPageRows = 1024;      // tells how wide rows are
constexpr size_t kDefaultPageRows = 65'536;  // where rows are narrow

std::string_view FormName(FactForm form) {
  switch (form) {
    case FactForm::kRow:
      return "ROW";
    case FactForm::kTombstone:
      return "TOMBSTONE";
    case FactForm::kRetraction:
      return "RETRACTION";
  }
  return "";
}

class HistorySource final : public GetSource {
 public:
  HistorySource(Engine* engine, const Call& call, HistoryRequest request, size_t page_rows)
      : engine_(engine), call_(call), request_(std::move(request)), page_rows_(page_rows) {
    request_.page_size = std::min(page_rows_, kFirstPageRows);
  }

  absl::StatusOr<std::string> Schema() override {
    RETURN_IF_ERROR(ReadPage());
    std::vector<ArrowField> fields;
    for (const NamedColumn& column : page_->columns) {
      fields.push_back(ArrowFieldOf(column.name, column.column.type));
    }
    const bool taken = FindField(fields, "event_timestamp").has_value();
    fields.push_back(
        ArrowFieldOf(taken ? "__event_timestamp" : "event_timestamp", {ValueType::kTimestamp}));
    fields.push_back(ArrowFieldOf("__commit_seq", {ValueType::kInt64}));
    fields.push_back(ArrowFieldOf("__commit_time", {ValueType::kTimestamp}));
    fields.push_back(ArrowFieldOf("__form", {ValueType::kString}));
    return SchemaMessage(fields, {{"fletch.read_seq", StrCat(page_->read_seq)}});
  }

  absl::StatusOr<bool> SendNext(size_t max_message_bytes, const SendMessage& send) override {
    if (!page_.has_value()) RETURN_IF_ERROR(ReadPage());
    const HistoryAnswer page = *std::exchange(page_, std::nullopt);
    size_t bytes = 0;
    RETURN_IF_ERROR(SendRows(
        page.row_count, max_message_bytes, [&](IpcBatchWriter* writer) { AddPage(page, writer); },
        [&](size_t rows) { return Progress(page, rows); },
        [&](grpc::ByteBuffer message) {
          bytes += message.Length();
          send(std::move(message));
        }));
    rows_sent_ += page.row_count;
    if (page.next_page_token.empty()) return false;
    request_.page_token = page.next_page_token;
    request_.page_size = RowsPerMessage(bytes / std::max<size_t>(page.row_count, 1), page_rows_);
    return true;
  }

 private:
  absl::Status ReadPage() {
    ASSIGN_OR_RETURN(page_, engine_->GetHistory(request_, call_));
    return absl::OkStatus();
  }

  static void AddPage(const HistoryAnswer& page, IpcBatchWriter* writer) {
    for (const NamedColumn& column : page.columns) writer->Add(column.column);
    writer->AddTimes(page.event_times);
    writer->AddInt64s(page.commit_seqs);
    writer->AddTimes(page.commit_times);
    std::vector<std::string_view> forms;
    for (const FactForm form : page.forms) forms.push_back(FormName(form));
    writer->AddTexts(forms);
  }

  std::string Progress(const HistoryAnswer& page, size_t rows) const {
    v1::FlightProgress progress;
    progress.set_rows(rows_sent_ + rows);
    progress.set_read_seq(page.read_seq);
    return progress.SerializeAsString();
  }

  Engine* const engine_;
  const Call call_;
  HistoryRequest request_;
  const size_t page_rows_;
  std::optional<HistoryAnswer> page_;  // read and not yet sent
  uint64_t rows_sent_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<GetSource>> MakeHistorySource(
    Engine* engine, const Call& call, const v1::GetFeatureHistoryRequest& request) {
  ASSIGN_OR_RETURN(HistoryRequest history, ToEngine(request));
  if (!request.page_token().empty()) {
    return InvalidArgument("a ticket is for all pages; leave page_token out", "page_token");
  }
  const size_t rows = request.page_size() == 0 ? kDefaultPageRows : request.page_size();
  return std::make_unique<HistorySource>(engine, call, std::move(history), rows);
}

}  // namespace fletch
