// SPDX-License-Identifier: Apache-2.0
// train.
#include <deque>
#include <fstream>
#include <iostream>
#include <memory>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "batcher.h"
#include "command.h"
#include "joined_output.h"
#include "progress.h"
#include "records.h"
#include "result.h"

namespace fletch::ctl {
namespace {

struct TrainArgs {
  std::string spine = {};
  std::string output = "-";
  std::string format = {};
  std::string output_format = {};
  SelectionArgs selection = {};
  std::string timestamp_column = "event_timestamp";
  std::string known_at = {};
  bool as_served = false;
  bool statuses = false;
  uint64_t batch_rows = 10'000;
};

// Rows that were sent and are not answered yet, a batch each; sent on one thread, answered on
// another.
class OpenRows {
 public:
  void Push(std::vector<SpineRow> rows) {
    std::lock_guard lock(mutex_);
    rows_.push_back(std::move(rows));
  }
  // Empty: there is none.
  std::vector<SpineRow> Pop() {
    std::lock_guard lock(mutex_);
    if (rows_.empty()) return {};
    std::vector<SpineRow> rows = std::move(rows_.front());
    rows_.pop_front();
    return rows;
  }

 private:
  std::mutex mutex_;
  std::deque<std::vector<SpineRow>> rows_;
};

// Cuts the spine into batches.
class Spine {
 public:
  Spine(std::unique_ptr<RecordReader> reader, BatcherOptions options, OpenRows& open)
      : reader_(std::move(reader)), batcher_(std::move(options)), open_(open) {}

  // Reads the first record, so that the names are known.
  absl::Status Begin() {
    CTL_ASSIGN(more_, reader_->Next());
    names_ = reader_->names();
    return absl::OkStatus();
  }

  const std::vector<std::string>& names() const { return names_; }

  absl::StatusOr<std::optional<v1::SpineBatch>> Next() {
    std::vector<SpineRow> rows;
    while (more_ && !batcher_.MustTakeBefore(*reader_)) {
      if (reader_->names() != names_) {
        return UsageError(
            absl::StrCat("line ", reader_->line(), ": other names than in the first line"));
      }
      CTL_RETURN_IF_ERROR(batcher_.Add(*reader_));
      rows.push_back(reader_->cells());
      CTL_ASSIGN(more_, reader_->Next());
    }
    if (rows.empty()) return std::nullopt;
    ColumnBatch batch = batcher_.Take();
    v1::SpineBatch spine;
    spine.set_row_count(batch.row_count);
    for (auto& [name, column] : batch.columns) (*spine.mutable_keys())[name].Swap(&column);
    spine.mutable_timestamps()->Swap(&batch.timestamps);
    open_.Push(std::move(rows));
    return spine;
  }

 private:
  const std::unique_ptr<RecordReader> reader_;
  Batcher batcher_;
  OpenRows& open_;
  std::vector<std::string> names_;
  bool more_ = false;
};

absl::StatusOr<v1::HistoricalHeader> Header(const TrainArgs& args) {
  v1::HistoricalHeader header;
  PutSelection(args.selection, header);
  if (args.as_served) {
    header.set_known_at_mode(v1::AS_SERVED);
    if (!args.known_at.empty()) return UsageError("--known-at and --as-served exclude each other");
  }
  if (!args.known_at.empty()) {
    header.set_known_at_mode(v1::FIXED);
    CTL_ASSIGN(*header.mutable_known_at(), ParseKnownAt(args.known_at));
  }
  return header;
}

absl::StatusOr<RecordFormat> OutputFormat(const TrainArgs& args, const Context& context) {
  if (args.output_format.empty() && context.json) return RecordFormat::kJsonLines;
  return FormatOf(args.output, args.output_format);
}

absl::Status Join(const client::Client& client, const v1::HistoricalHeader& header, Spine& spine,
                  OpenRows& open, JoinedOutput& output, std::ostream& out) {
  Progress progress(ErrorsGoToTerminal());
  uint64_t rows_done = 0;
  bool begun = false;
  return client.GetHistoricalFeatures(
      header, [&] { return spine.Next(); },
      [&](const v1::GetHistoricalFeaturesResponse& answer) -> absl::Status {
        if (!begun) {
          begun = true;
          std::vector<std::string> refs;
          for (const v1::ResolvedFeature& feature : answer.features())
            refs.push_back(feature.ref());
          return output.Begin(spine.names(), refs);
        }
        const std::vector<SpineRow> rows = open.Pop();
        if (rows.size() != answer.row_count()) {
          return absl::DataLossError(
              absl::StrCat("the daemon answered ", answer.row_count(), " rows to ", rows.size()));
        }
        output.Write(rows, answer);
        rows_done += rows.size();
        progress.Update(0, 0, rows_done);
        if (!out) return UsageError("cannot write the output: is the disk full?");
        return absl::OkStatus();
      });
}

absl::Status Train(const TrainArgs& args, const Context& context) {
  CTL_RETURN_IF_ERROR(CheckSelection(args.selection, /*optional=*/false));
  CTL_ASSIGN(const v1::HistoricalHeader header, Header(args));
  CTL_ASSIGN(const RecordFormat format, FormatOf(args.spine, args.format));
  CTL_ASSIGN(const RecordFormat output_format, OutputFormat(args, context));
  CTL_ASSIGN(InputFile file, InputFile::Open(args.spine));
  CTL_ASSIGN(const client::Client client, context.Connect());
  CTL_ASSIGN(const KeyTypes types, args.selection.service.empty()
                                       ? GetFeatureKeys(client, args.selection.features)
                                       : GetServiceKeys(client, args.selection.service));
  CTL_ASSIGN(std::unique_ptr<RecordReader> reader, OpenRecords(file.stream(), format));
  BatcherOptions options{.timestamp_column = args.timestamp_column,
                         .ignore_others = true,
                         .rows_max = args.batch_rows};
  for (const auto& [name, type] : types) {
    options.columns.emplace_back(name, CellType{.type = type});
    options.keys.push_back(name);
  }
  OpenRows open;
  Spine spine(std::move(reader), std::move(options), open);
  if (absl::Status status = spine.Begin(); !status.ok()) {
    return Prefixed(status, absl::StrCat(args.spine, ": "));
  }
  std::ofstream output_file;
  if (args.output != "-") {
    output_file.open(args.output, std::ios::binary | std::ios::trunc);
    if (!output_file) return UsageError(absl::StrCat("cannot write '", args.output, "'"));
  }
  std::ostream& out = args.output == "-" ? std::cout : output_file;
  JoinedOutput output(out, output_format, args.statuses);
  const absl::Status status = Join(client, header, spine, open, output, out);
  if (ExitCode(status) == 2) return Prefixed(status, absl::StrCat(args.spine, ": "));
  CTL_RETURN_IF_ERROR(status);
  out.flush();
  return out ? absl::OkStatus() : UsageError("cannot write the output: is the disk full?");
}

}  // namespace

void AddTrainCommand(CLI::App& app, Context& context) {
  auto args = std::make_shared<TrainArgs>();
  CLI::App* train =
      app.add_subcommand("train", "Join features onto a spine, as they stood at each row's time");
  train
      ->add_option("spine", args->spine,
                   "CSV or JSON lines with keys and times; - is standard input")
      ->required();
  train->add_option("--output,-o", args->output, "File to write; - is standard output")
      ->capture_default_str();
  train->add_option("--format", args->format, "The spine's: csv or jsonl; default by its name")
      ->check(CLI::IsMember({"csv", "jsonl"}));
  train
      ->add_option("--output-format", args->output_format,
                   "csv or jsonl; default by the name, and jsonl with --json")
      ->check(CLI::IsMember({"csv", "jsonl"}));
  AddSelection(*train, args->selection);
  train->add_option("--timestamp-column", args->timestamp_column, "The spine's column of times")
      ->capture_default_str();
  train->add_option("--known-at", args->known_at,
                    "What may be used: a commit number or a time; default all");
  train->add_flag("--as-served", args->as_served,
                  "For each row, what an online read would have answered at its time");
  train->add_flag("--statuses", args->statuses, "Add a column ref__status after each feature");
  train->add_option("--batch-rows", args->batch_rows, "Rows sent at once")
      ->capture_default_str()
      ->check(CLI::Range(1, 100'000));
  train->callback(
      [&context, args] { context.action = [&context, args] { return Train(*args, context); }; });
}

}  // namespace fletch::ctl
