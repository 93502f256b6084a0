// SPDX-License-Identifier: Apache-2.0
// train.
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "command.h"
#include "joined_output.h"
#include "progress.h"
#include "result.h"
#include "spine.h"

namespace fletch::ctl {
namespace {

struct TrainArgs {
  SpineArgs spine = {};
  OutputArgs output = {};
};

// The spine's rows in, the joined ones out.
class Joiner {
 public:
  Joiner(const TrainArgs& args, RecordFormat format, Spine& spine)
      : args_(args), format_(format), spine_(spine), progress_(ErrorsGoToTerminal()) {}

  absl::StatusOr<std::optional<v1::SpineBatch>> Next() {
    CTL_ASSIGN(std::optional<CutBatch> batch, spine_.Next());
    if (!batch) return std::nullopt;
    v1::SpineBatch message;
    message.Swap(&batch->message);
    open_.Push(*std::move(batch));
    return message;
  }

  absl::Status Take(const v1::GetHistoricalFeaturesResponse& answer) {
    if (!output_) return Begin(answer);
    const std::optional<CutBatch> batch = open_.Pop();
    if (!batch || batch->rows.size() != answer.row_count()) {
      return absl::DataLossError(absl::StrCat("the daemon answered ", answer.row_count(),
                                              " rows to ", batch ? batch->rows.size() : 0));
    }
    CTL_RETURN_IF_ERROR(output_->Write(batch->rows, answer.columns()));
    rows_ += batch->rows.size();
    progress_.Update(batch->bytes_read, spine_.bytes(), rows_);
    return absl::OkStatus();
  }

  absl::Status Finish() { return output_ ? output_->Finish() : absl::OkStatus(); }

 private:
  absl::Status Begin(const v1::GetHistoricalFeaturesResponse& header_answer) {
    CTL_RETURN_IF_ERROR(spine_.Begin(ToReadColumns(header_answer)));
    std::vector<std::string> refs;
    for (const v1::ResolvedFeature& feature : header_answer.features()) {
      refs.push_back(feature.ref());
    }
    CTL_ASSIGN(output_, JoinedOutput::Open(args_.output, format_));
    return output_->Begin(spine_.names(), refs);
  }

  const TrainArgs& args_;
  const RecordFormat format_;
  Spine& spine_;
  Progress progress_;
  OpenBatches open_;
  std::unique_ptr<JoinedOutput> output_;
  uint64_t rows_ = 0;
};

absl::Status Train(const TrainArgs& args, const Context& context) {
  CTL_ASSIGN(v1::HistoricalHeader header, ToHeader(args.spine));
  header.set_include_event_timestamps(args.output.event_timestamps);
  CTL_ASSIGN(const RecordFormat format, OutputFormat(args.output, context.json));
  CTL_ASSIGN(const std::unique_ptr<Spine> spine, Spine::Open(args.spine));
  CTL_ASSIGN(const client::Client client, context.Connect());
  Joiner joiner(args, format, *spine);
  const absl::Status status = client.GetHistoricalFeatures(
      header, [&] { return joiner.Next(); },
      [&](const v1::GetHistoricalFeaturesResponse& answer) { return joiner.Take(answer); });
  if (!status.ok()) return SpineAdvice(status);
  return joiner.Finish();
}

}  // namespace

void AddTrainCommand(CLI::App& app, Context& context) {
  auto args = std::make_shared<TrainArgs>();
  CLI::App* train =
      app.add_subcommand("train", "Join features onto a spine, as they stood at each row's time");
  AddSpineOptions(*train, args->spine);
  AddOutputOptions(*train, args->output);
  AddExample(*train, "fletchctl train spine.csv --service delay_model -o joined.csv --statuses");
  train->callback(
      [&context, args] { context.action = [&context, args] { return Train(*args, context); }; });
}

}  // namespace fletch::ctl
