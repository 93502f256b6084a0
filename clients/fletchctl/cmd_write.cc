// SPDX-License-Identifier: Apache-2.0
// write.
#include <memory>
#include <mutex>
#include <vector>

#include "absl/strings/str_cat.h"
#include "batcher.h"
#include "command.h"
#include "count_text.h"
#include "progress.h"
#include "records.h"
#include "result.h"

namespace fletch::ctl {
namespace {

struct WriteArgs {
  std::string view = {};
  std::string file = {};
  std::string format = {};
  std::string timestamp_column = "event_timestamp";
  uint64_t batch_rows = 10'000;
  bool buffered = false;
  bool merge = false;
};

// Sends a file's batches, remembering which lines each holds.
class Sender {
 public:
  Sender(const client::Client& client, const WriteArgs& args)
      : args_(args),
        progress_(ErrorsGoToTerminal()),
        stream_(client.OpenWriteStream({.on_ack = [this](const auto& ack) { OnAck(ack); }})) {}

  absl::Status Send(ColumnBatch batch, uint64_t bytes_read, uint64_t bytes_whole) {
    v1::WriteRequest request;
    request.set_durability(args_.buffered ? v1::BUFFERED : v1::SYNC);
    v1::RowBatch& rows = *request.add_batches();
    rows.set_feature_view(args_.view);
    rows.set_row_count(batch.row_count);
    rows.set_merge(args_.merge);
    for (auto& [name, column] : batch.columns) (*rows.mutable_columns())[name].Swap(&column);
    rows.mutable_event_timestamps()->Swap(&batch.timestamps);
    {
      std::lock_guard lock(mutex_);
      lines_.emplace_back(batch.first_line, batch.last_line);
    }
    CTL_RETURN_IF_ERROR(stream_.Send(std::move(request)));
    progress_.Update(bytes_read, bytes_whole, stream_.Progress().rows_committed);
    return absl::OkStatus();
  }

  // A batch was refused: there is no sense in going on.
  bool Refused() const { return stream_.Progress().requests_refused > 0; }

  uint64_t RowsCommitted() const { return stream_.Progress().rows_committed; }

  absl::StatusOr<client::WriteSummary> Finish() {
    progress_.Hide();
    return stream_.Finish();
  }

  // "lines 2 to 10001: ", "line 2: "
  std::string RefusedLines() {
    std::lock_guard lock(mutex_);
    if (refused_index_ >= lines_.size()) return "";
    const auto& [first, last] = lines_[refused_index_];
    if (first == last) return absl::StrCat("line ", first, ": ");
    return absl::StrCat("lines ", first, " to ", last, ": ");
  }

 private:
  void OnAck(const client::WriteAck& ack) {
    std::lock_guard lock(mutex_);
    if (!ack.status.ok() && refused_index_ == kNone) refused_index_ = ack.index;
  }

  static constexpr uint64_t kNone = ~uint64_t{0};
  const WriteArgs& args_;
  Progress progress_;
  std::mutex mutex_;
  std::vector<std::pair<uint64_t, uint64_t>> lines_;
  uint64_t refused_index_ = kNone;
  client::WriteStream stream_;  // last: its thread calls OnAck
};

absl::Status SendAll(RecordReader& reader, InputFile& file, Batcher& batcher, Sender& sender) {
  const auto send = [&] {
    const auto at = file.size() == 0 ? -1 : static_cast<int64_t>(file.stream().tellg());
    return sender.Send(batcher.Take(), at < 0 ? file.size() : at, file.size());
  };
  while (!sender.Refused()) {
    CTL_ASSIGN(const bool more, reader.Next());
    if (!more) break;
    if (batcher.MustTakeBefore(reader)) CTL_RETURN_IF_ERROR(send());
    CTL_RETURN_IF_ERROR(batcher.Add(reader));
  }
  return batcher.row_count() > 0 && !sender.Refused() ? send() : absl::OkStatus();
}

void PrintSummary(const client::WriteSummary& summary, const Context& context) {
  if (context.json) {
    PrintJson({{"rows", summary.rows_committed},
               {"commits", summary.requests_committed},
               {"commit_seq", summary.last_commit_seq}});
    return;
  }
  Print(absl::StrCat("wrote ", CountText(summary.rows_committed, "row"), " in ",
                     CountText(summary.requests_committed, "commit"), "; the newest is ",
                     summary.last_commit_seq, "\n"));
}

absl::Status Write(const WriteArgs& args, const Context& context) {
  CTL_ASSIGN(const RecordFormat format, FormatOf(args.file, args.format));
  CTL_ASSIGN(InputFile file, InputFile::Open(args.file));
  CTL_ASSIGN(const client::Client client, context.Connect());
  CTL_ASSIGN(const ViewSchema schema, GetViewSchema(client, args.view));
  CTL_ASSIGN(const std::unique_ptr<RecordReader> reader, OpenRecords(file.stream(), format));
  BatcherOptions options{.columns = schema.Columns(),
                         .timestamp_column = args.timestamp_column,
                         .rows_max = args.batch_rows};
  for (const auto& [name, type] : schema.IdentityKeys()) options.keys.push_back(name);
  Batcher batcher(std::move(options));
  Sender sender(client, args);
  const absl::Status sent = SendAll(*reader, file, batcher, sender);
  // What was sent before an error is committed or not, and either way the user is told.
  const absl::StatusOr<client::WriteSummary> summary = sender.Finish();
  const uint64_t rows = sender.RowsCommitted();
  const std::string before = absl::StrCat(" (", CountText(rows, "row"), " committed before it)");
  if (summary.ok() && !summary->first_refusal.ok()) {
    return Prefixed(
        summary->first_refusal,
        absl::StrCat(sender.RefusedLines(), CountText(rows, "other row"), " committed; refused: "));
  }
  if (!sent.ok()) return Prefixed(sent, absl::StrCat(args.file, before, ": "));
  if (!summary.ok()) return summary.status();
  PrintSummary(*summary, context);
  return absl::OkStatus();
}

}  // namespace

void AddWriteCommand(CLI::App& app, Context& context) {
  auto args = std::make_shared<WriteArgs>();
  CLI::App* write = app.add_subcommand("write", "Write rows of a CSV or JSON lines file to a view");
  write->add_option("view", args->view, "The view; view@v2 for an older version")->required();
  write->add_option("file", args->file, "CSV with a header row, or JSON lines; - is standard input")
      ->required();
  write->add_option("--format", args->format, "csv or jsonl; default by the file's name")
      ->check(CLI::IsMember({"csv", "jsonl"}));
  write->add_option("--timestamp-column", args->timestamp_column, "The column of event times")
      ->capture_default_str();
  write->add_option("--batch-rows", args->batch_rows, "Rows a commit at most")
      ->capture_default_str()
      ->check(CLI::Range(1, 100'000));
  write->add_flag("--buffered", args->buffered,
                  "Do not wait for the disk: survives a crash of the daemon, not of the machine");
  write->add_flag(
      "--merge", args->merge,
      "Fields left out keep their value as of the row's time, instead of their default");
  AddExample(*write, "fletchctl write airport_weather weather.csv");
  write->callback(
      [&context, args] { context.action = [&context, args] { return Write(*args, context); }; });
}

}  // namespace fletch::ctl
