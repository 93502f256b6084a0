// SPDX-License-Identifier: Apache-2.0
#include "server/engine/recall_audit.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/limits.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "server/engine/entity_columns.h"
#include "server/engine/key_sample.h"
#include "server/engine/snapshot.h"
#include "storage/fact_key.h"
#include "storage/row_codec.h"

namespace fletch {
namespace {

constexpr size_t kRowsPerCheck = 1024;
// Of one sampled search. It is asked at a commit that memory still has for some seconds; after that
// it would be a scan of all facts.
constexpr int64_t kSampleMicros = 10'000'000;

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Entities whose latest row has a vector that is visible now.
absl::StatusOr<std::vector<std::string>> ChooseEntities(const KvStore* store, const View& view,
                                                        size_t field, int64_t now, uint64_t seed,
                                                        size_t count, const Call& call) {
  KeySample sample(seed, count);
  const std::string prefix = ViewPrefix(view.schema.view_id);
  size_t rows = 0;
  auto it = store->NewIterator(Family::kLatest);
  for (it->Seek(prefix); it->Valid() && it->key().substr(0, prefix.size()) == prefix; it->Next()) {
    if (++rows % kRowsPerCheck == 0) RETURN_IF_ERROR(call.Check());
    const std::string_view key = it->key().substr(prefix.size());
    if (!sample.Wants(key)) continue;
    ASSIGN_OR_RETURN(const Latest latest, DecodeLatest(it->value()));
    if (latest.state != Latest::State::kRow || latest.event_time > now) continue;
    const VisibleRow visible =
        ApplyTtl(view.schema, now, latest.state, latest.event_time, latest.row);
    if (visible.status != CellStatus::kPresent) continue;
    ASSIGN_OR_RETURN(const RowView row, RowView::Parse(&view.layout, visible.row));
    if (!row.is_null(field)) sample.Show(key);
  }
  RETURN_IF_ERROR(it->status());
  return sample.Keys();
}

// What an audit adds up to.
class Tally {
 public:
  void Add(Metric metric, const SearchAnswer& found, const SearchAnswer& exact, double found_micros,
           double exact_micros) {
    const double recall = RecallOf(metric, found.scores, exact.scores);
    sum_ += recall;
    worst_ = std::min(worst_, recall);
    complete_ += recall >= 1 ? 1 : 0;
    short_ += found.scores.size() < exact.scores.size() ? 1 : 0;
    found_micros_.push_back(found_micros);
    exact_micros_.push_back(exact_micros);
    read_seq_ = std::max(read_seq_, exact.read_seq);
  }
  v1::AuditRecallResponse Finish() && {
    const auto count = static_cast<double>(found_micros_.size());
    v1::AuditRecallResponse response;
    response.set_queries(found_micros_.size());
    response.set_short_answers(short_);
    response.set_read_seq(read_seq_);
    if (count == 0) return response;
    response.set_recall(sum_ / count);
    response.set_worst_recall(worst_);
    response.set_complete_share(static_cast<double>(complete_) / count);
    response.set_search_p50_micros(Median(std::move(found_micros_)));
    response.set_exact_p50_micros(Median(std::move(exact_micros_)));
    return response;
  }

 private:
  double sum_ = 0;
  double worst_ = 1;
  uint64_t complete_ = 0;
  uint64_t short_ = 0;
  uint64_t read_seq_ = 0;
  std::vector<double> found_micros_;
  std::vector<double> exact_micros_;
};

}  // namespace

double RecallOf(Metric metric, absl::Span<const float> found, absl::Span<const float> exact) {
  if (exact.empty()) return 1;
  const float last = exact.back();
  const auto near = std::count_if(found.begin(), found.end(), [&](float score) {
    return metric == Metric::kL2 ? score <= last : score >= last;
  });
  return std::min(1.0, static_cast<double>(near) / static_cast<double>(exact.size()));
}

absl::StatusOr<v1::AuditRecallResponse> AuditRecall(const KvStore* store, const Clock& clock,
                                                    const IndexedField& index,
                                                    const RecallAuditRequest& request,
                                                    const AskSearch& ask, const Call& call) {
  const ViewSchema& schema = index.view->schema;
  const Metric metric = *schema.fields[index.field].index_metric;
  const uint64_t seed = request.seed != 0 ? request.seed : static_cast<uint64_t>(clock.NowMicros());
  ASSIGN_OR_RETURN(const std::vector<std::string> entities,
                   ChooseEntities(store, *index.view, index.field, clock.NowMicros(), seed,
                                  request.queries, call));
  Tally tally;
  for (const std::string& entity : entities) {
    RETURN_IF_ERROR(call.Check());
    SearchRequest search = request.search;
    search.entity_key = KeyColumns(schema.join_keys);
    RETURN_IF_ERROR(AppendKeyValues(schema.join_keys, entity, absl::MakeSpan(search.entity_key)));
    const int64_t began = SteadyMicros();
    const absl::StatusOr<SearchAnswer> found = ask(search, call);
    const int64_t between = SteadyMicros();
    if (absl::IsNotFound(found.status())) continue;  // gone since it was chosen
    RETURN_IF_ERROR(found.status());
    search.exact = true;
    search.as_of = found->as_of;
    search.known_at = KnownAt{.by_time = false, .commit_seq = found->read_seq, .time = 0};
    ASSIGN_OR_RETURN(const SearchAnswer exact, ask(search, call));
    tally.Add(metric, *found, exact, static_cast<double>(between - began),
              static_cast<double>(SteadyMicros() - between));
  }
  return std::move(tally).Finish();
}

class RecallSampler::Window {
 public:
  explicit Window(double target) : target_(target) {}

  void Add(double recall, double target) {
    MutexLock lock(&mu_);
    recalls_.push_back(recall);
    if (recalls_.size() > limits::kRecallSamplesKept) recalls_.pop_front();
    ++samples_;
    target_ = target;
  }
  Recall Read() const {
    MutexLock lock(&mu_);
    double sum = 0;
    for (const double recall : recalls_) sum += recall;
    return {recalls_.empty() ? 0 : sum / static_cast<double>(recalls_.size()), samples_};
  }
  double target() const {
    MutexLock lock(&mu_);
    return target_;
  }

 private:
  mutable Mutex mu_;
  std::deque<double> recalls_ ABSL_GUARDED_BY(mu_);
  uint64_t samples_ ABSL_GUARDED_BY(mu_) = 0;
  double target_ ABSL_GUARDED_BY(mu_);
};

RecallSampler::RecallSampler(double share, Sources sources)
    : share_(share),
      sources_(std::move(sources)),
      samples_(sources_.metrics->GetCounter("fletch_search_recall_samples_total",
                                            "Searches that were asked again, exactly.")),
      dropped_(sources_.metrics->GetCounter(
          "fletch_search_recall_dropped_total",
          "Searches of the recall sample that were not asked again: too many waited, or the exact "
          "search failed or took too long.")) {
  if (!share_.none()) thread_ = std::thread([this] { Run(); });
}

RecallSampler::~RecallSampler() {
  stopping_.store(true);
  {
    MutexLock lock(&mu_);
    queue_.clear();
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void RecallSampler::Take(const IndexedField& index, const SearchRequest& request,
                         const SearchAnswer& answer) {
  // Other searches are exact, or are as good as their caller wants them.
  if (answer.plan.ef == 0 || request.ef != 0 || request.target_recall != 0) return;
  {
    MutexLock lock(&mu_);
    if (queue_.size() >= limits::kMaxRecallSamples) {
      dropped_->Add();
      return;
    }
  }
  Sample sample{index, request, answer.scores};
  sample.request.exact = true;
  sample.request.hydrate.reset();
  sample.request.request_context.clear();
  sample.request.min_seq = 0;
  sample.request.as_of = answer.as_of;
  sample.request.known_at = KnownAt{.by_time = false, .commit_seq = answer.read_seq, .time = 0};
  MutexLock lock(&mu_);
  queue_.push_back(std::move(sample));
  wake_.NotifyOne();
}

std::optional<RecallSampler::Sample> RecallSampler::Next() {
  MutexLock lock(&mu_);
  working_ = false;
  if (queue_.empty()) idle_.NotifyAll();
  while (queue_.empty() && !stopping_.load()) wake_.Wait(&mu_);
  if (stopping_.load()) return std::nullopt;
  Sample sample = std::move(queue_.front());
  queue_.pop_front();
  working_ = true;
  return sample;
}

absl::Status RecallSampler::Check(const Sample& sample) {
  const Call call{.deadline_steady_micros = SteadyMicros() + kSampleMicros,
                  .cancelled = [this] { return stopping_.load(); }};
  ASSIGN_OR_RETURN(const SearchAnswer exact, sources_.ask(sample.request, call));
  const FieldSchema& field = sample.index.view->schema.fields[sample.index.field];
  WindowOf(sample.index)
      ->Add(RecallOf(*field.index_metric, sample.scores, exact.scores), field.index.target_recall);
  samples_->Add();
  return absl::OkStatus();
}

std::shared_ptr<RecallSampler::Window> RecallSampler::WindowOf(const IndexedField& index) {
  const ViewSchema& schema = index.view->schema;
  const FieldSchema& field = schema.fields[index.field];
  const IndexId id{schema.view_id, index.field};
  std::shared_ptr<Window> window;
  {
    MutexLock lock(&mu_);
    std::shared_ptr<Window>& known = windows_[id];
    if (known != nullptr) return known;
    known = window = std::make_shared<Window>(field.index.target_recall);
  }
  const MetricLabels labels = {{"project", schema.project},
                               {"index", StrCat(schema.versioned_name(), ":", field.name)}};
  const auto while_there = [this, id](double value) {
    return sources_.is_there(id.first, id.second) ? value
                                                  : std::numeric_limits<double>::quiet_NaN();
  };
  sources_.metrics->AddGauge(
      "fletch_search_recall",
      "Share of the exact answers that sampled searches found, of the newest 1000 samples.", labels,
      [=] { return while_there(window->Read().recall); });
  sources_.metrics->AddGauge("fletch_search_target_recall", "What these searches aimed at.", labels,
                             [=] { return while_there(window->target()); });
  return window;
}

void RecallSampler::Run() {
  TakeLowestPriority();
  while (const std::optional<Sample> sample = Next()) {
    const absl::Status checked = Check(*sample);
    if (checked.ok() || stopping_.load()) continue;
    dropped_->Add();
    Log(LogLevel::kWarning, "a search could not be asked again for the recall sample",
        {{"index", sample->request.index},
         {"code", std::string(absl::StatusCodeToString(checked.code()))},
         {"reason", ErrorReason(checked)}});
  }
}

RecallSampler::Recall RecallSampler::Of(ViewId view_id, size_t field) const {
  std::shared_ptr<Window> window;
  {
    MutexLock lock(&mu_);
    const auto found = windows_.find({view_id, field});
    if (found == windows_.end()) return {};
    window = found->second;
  }
  return window->Read();
}

void RecallSampler::Drain() {
  MutexLock lock(&mu_);
  while (!queue_.empty() || working_) idle_.Wait(&mu_);
}

}  // namespace fletch
