// SPDX-License-Identifier: Apache-2.0
#include "spine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "result.h"

namespace fletch::ctl {
namespace {

bool Has(const KeyTypes& types, const std::string& name) {
  return std::any_of(types.begin(), types.end(),
                     [&](const auto& type) { return type.first == name; });
}

}  // namespace

void AddSpineOptions(CLI::App& command, SpineArgs& args) {
  command
      .add_option("spine", args.file,
                  "CSV or JSON lines with keys, times and the request's context; - is standard "
                  "input")
      ->required();
  command.add_option("--format", args.format, "The spine's: csv or jsonl; default by its name")
      ->check(CLI::IsMember({"csv", "jsonl"}));
  AddSelection(command, args.selection);
  command.add_option("--timestamp-column", args.timestamp_column, "The spine's column of times")
      ->capture_default_str();
  command.add_option("--known-at", args.known_at,
                     "What may be used: a commit number or a time; default all");
  command.add_flag("--as-served", args.as_served,
                   "For each row, what an online read would have answered at its time");
  command
      .add_option("--out-of-range", args.out_of_range,
                  "Rows older than a view's history: fail, or mark them OUT_OF_RETENTION")
      ->capture_default_str()
      ->check(CLI::IsMember({"fail", "mark"}));
  command.add_option("--batch-rows", args.batch_rows, "Rows sent at once")
      ->capture_default_str()
      ->check(CLI::Range(1, 100'000));
}

absl::StatusOr<v1::HistoricalHeader> ToHeader(const SpineArgs& args) {
  CTL_RETURN_IF_ERROR(CheckSelection(args.selection, /*optional=*/false));
  v1::HistoricalHeader header;
  PutSelection(args.selection, header);
  header.set_out_of_range(args.out_of_range == "mark" ? v1::MARK : v1::FAIL);
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

absl::Status SpineAdvice(absl::Status status) {
  if (status.code() != absl::StatusCode::kOutOfRange) return status;
  return WithAdvice(std::move(status),
                    "leave such rows out of the spine, or mark them with --out-of-range mark");
}

absl::StatusOr<std::unique_ptr<Spine>> Spine::Open(const SpineArgs& args) {
  CTL_ASSIGN(const RecordFormat format, FormatOf(args.file, args.format));
  CTL_ASSIGN(InputFile file, InputFile::Open(args.file));
  std::unique_ptr<Spine> spine(new Spine(args, std::move(file)));
  auto reader = OpenRecords(spine->file_.stream(), format);
  if (!reader.ok()) return Prefixed(reader.status(), absl::StrCat(args.file, ": "));
  spine->reader_ = *std::move(reader);
  return spine;
}

absl::Status Spine::Begin(const ReadColumns& columns) {
  columns_ = columns;
  auto more = reader_->Next();
  if (!more.ok()) return Prefixed(more.status(), absl::StrCat(args_.file, ": "));
  more_ = *more;
  names_ = reader_->names();
  BatcherOptions options{.timestamp_column = args_.timestamp_column,
                         .ignore_others = true,
                         .rows_max = args_.batch_rows};
  for (const auto& [name, type] : columns.keys) {
    options.columns.emplace_back(name, CellType{.type = type});
    options.keys.push_back(name);
  }
  for (const auto& [name, type] : columns.context) {
    if (more_ && std::find(names_.begin(), names_.end(), name) == names_.end()) {
      return UsageError(absl::StrCat(args_.file, ": no column '", name, "' (",
                                     v1::ValueType_Name(type),
                                     "), which the features take from the request's context"));
    }
    if (!Has(columns.keys, name)) options.columns.emplace_back(name, CellType{.type = type});
  }
  batcher_ = std::make_unique<Batcher>(std::move(options));
  return absl::OkStatus();
}

absl::StatusOr<std::optional<CutBatch>> Spine::Next() {
  auto batch = Cut();
  if (!batch.ok()) return Prefixed(batch.status(), absl::StrCat(args_.file, ": "));
  return batch;
}

absl::StatusOr<std::optional<CutBatch>> Spine::Cut() {
  CutBatch cut;
  while (more_ && !batcher_->MustTakeBefore(*reader_)) {
    if (reader_->names() != names_) {
      return UsageError(
          absl::StrCat("line ", reader_->line(), ": other names than in the first line"));
    }
    CTL_RETURN_IF_ERROR(batcher_->Add(*reader_));
    cut.rows.push_back(reader_->cells());
    CTL_ASSIGN(more_, reader_->Next());
  }
  if (cut.rows.empty()) return std::nullopt;
  cut.message = ToMessage(batcher_->Take());
  const auto at = file_.size() == 0 ? -1 : static_cast<int64_t>(file_.stream().tellg());
  cut.bytes_read = at < 0 ? file_.size() : at;
  return cut;
}

v1::SpineBatch Spine::ToMessage(ColumnBatch batch) const {
  v1::SpineBatch message;
  message.set_row_count(batch.row_count);
  for (auto& [name, column] : batch.columns) {
    if (Has(columns_.context, name)) (*message.mutable_request_context())[name] = column;
    if (Has(columns_.keys, name)) (*message.mutable_keys())[name].Swap(&column);
  }
  if (Has(columns_.context, args_.timestamp_column)) {
    v1::Column& times = (*message.mutable_request_context())[args_.timestamp_column];
    *times.mutable_timestamps() = batch.timestamps;
  }
  message.mutable_timestamps()->Swap(&batch.timestamps);
  return message;
}

void OpenBatches::Push(CutBatch batch) {
  std::lock_guard lock(mutex_);
  batches_.push_back(std::move(batch));
}

std::optional<CutBatch> OpenBatches::Pop() {
  std::lock_guard lock(mutex_);
  if (batches_.empty()) return std::nullopt;
  CutBatch batch = std::move(batches_.front());
  batches_.pop_front();
  return batch;
}

}  // namespace fletch::ctl
