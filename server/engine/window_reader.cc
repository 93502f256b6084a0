// SPDX-License-Identifier: Apache-2.0
#include "server/engine/window_reader.h"

#include <algorithm>
#include <deque>
#include <vector>

#include "base/status.h"
#include "server/engine/window_answer.h"
#include "server/engine/window_array.h"
#include "server/engine/window_log.h"
#include "server/engine/window_tree.h"

namespace fletch {
namespace {

constexpr size_t kAnswersPerCheck = 1024;

// For questions in the order of their as_of: the greatest commit of the facts in the longest
// window.
class NewestCommit {
 public:
  explicit NewestCommit(const FactLog* log) : log_(log) {}

  // `after` and `as_of` only grow. 0: no fact.
  uint64_t Within(int64_t after, int64_t as_of) {
    for (; next_ < log_->size() && log_->time(next_) <= as_of; ++next_) {
      while (!falling_.empty() && log_->commit(falling_.back()) <= log_->commit(next_)) {
        falling_.pop_back();
      }
      falling_.push_back(next_);
    }
    while (!falling_.empty() && log_->time(falling_.front()) <= after) falling_.pop_front();
    return falling_.empty() ? 0 : log_->commit(falling_.front());
  }

 private:
  const FactLog* const log_;
  size_t next_ = 0;
  std::deque<size_t> falling_;  // facts whose commit is the greatest from them on
};

}  // namespace

struct WindowReader::State {
  State(const KvStore* store, Counter* overflows, FactReader::Use use)
      : facts(store, use), overflows(overflows) {}

  // What is kept from entity to entity.
  struct Scratch {
    explicit Scratch(const WindowPlan* plan)
        : plan(plan), array(plan), current(&plan->shape()), row(&plan->row_shape()) {}

    const WindowPlan* const plan;
    WindowArray array;
    CurrentEvents current;
    AggregateRowBuilder row;
  };

  Scratch& ScratchOf(const WindowPlan& plan) {
    if (scratch == nullptr || scratch->plan != &plan) scratch = std::make_unique<Scratch>(&plan);
    return *scratch;
  }

  absl::Status Answer(const WindowQuestion& question, WindowSource* source, const Call& call,
                      const Emit& emit) {
    if (++answers % kAnswersPerCheck == 0) RETURN_IF_ERROR(call.Check());
    AggregateRowBuilder& row = scratch->row;
    row.Clear();
    RETURN_IF_ERROR(AnswerWindows(*scratch->plan, question.index, overflows, source, &row));
    emit(question.index, row.Finish());
    return absl::OkStatus();
  }

  absl::Status AnswerFromArray(const CurrentEvents& current,
                               absl::Span<const WindowQuestion* const> questions, const Call& call,
                               const Emit& emit) {
    WindowArray& array = scratch->array;
    array.Load(&current.rows, current.tombstones);
    for (const WindowQuestion* question : questions) {
      array.Ask(question->as_of);
      RETURN_IF_ERROR(Answer(*question, &array, call, emit));
    }
    return absl::OkStatus();
  }

  absl::Status AnswerFromReplay(const FactLog& log, std::vector<const WindowQuestion*> questions,
                                const Call& call, const Emit& emit);

  absl::Status AnswerAtMany(const FactLog& log, absl::Span<const WindowQuestion* const> questions,
                            const Call& call, const Emit& emit);

  FactReader facts;
  Counter* const overflows;
  std::unique_ptr<Scratch> scratch;
  size_t answers = 0;
};

WindowReader::WindowReader(const KvStore* store, Counter* overflows, FactReader::Use use)
    : state_(std::make_unique<State>(store, overflows, use)) {}
WindowReader::~WindowReader() = default;

// Questions to which a fact in their window was not yet known, or was something else: commit after
// commit.
absl::Status WindowReader::State::AnswerFromReplay(const FactLog& log,
                                                   std::vector<const WindowQuestion*> questions,
                                                   const Call& call, const Emit& emit) {
  if (questions.empty()) return absl::OkStatus();
  const WindowPlan& plan = *scratch->plan;
  std::sort(questions.begin(), questions.end(),
            [](const auto* a, const auto* b) { return a->known_at < b->known_at; });
  std::vector<size_t> slots(plan.shape().slots().size());
  for (size_t i = 0; i < slots.size(); ++i) slots[i] = i;
  std::atomic<int64_t> memory{0};
  const EventTreeEditor editor(&plan.shape(), &memory);
  EventTree tree;
  const std::vector<size_t> order = log.InCommitOrder();
  size_t next = 0;
  for (const WindowQuestion* question : questions) {
    for (; next < order.size() && log.commit(order[next]) <= question->known_at; ++next) {
      log.Replay(order[next], editor, &tree);
      if (next % kAnswersPerCheck == 0) RETURN_IF_ERROR(call.Check());
    }
    EventTreeSource source(plan, slots, tree, question->as_of);
    RETURN_IF_ERROR(Answer(*question, &source, call, emit));
  }
  return absl::OkStatus();
}

// Most questions see every fact of their window as it is now; they share one array.
absl::Status WindowReader::State::AnswerAtMany(const FactLog& log,
                                               absl::Span<const WindowQuestion* const> questions,
                                               const Call& call, const Emit& emit) {
  std::vector<const WindowQuestion*> settled;
  std::vector<const WindowQuestion*> unsettled;
  NewestCommit newest(&log);
  const int64_t longest = scratch->plan->longest_window_micros();
  for (const WindowQuestion* question : questions) {
    const int64_t after = BoundWindow(question->as_of, longest, std::nullopt).after.time;
    const bool known = newest.Within(after, question->as_of) <= question->known_at;
    (known ? settled : unsettled).push_back(question);
  }
  if (!settled.empty()) {
    RETURN_IF_ERROR(AnswerFromArray(log.Current(), settled, call, emit));
  }
  return AnswerFromReplay(log, std::move(unsettled), call, emit);
}

absl::Status WindowReader::Evaluate(const WindowPlan& plan, std::string_view entity_key,
                                    absl::Span<const WindowQuestion> questions, const Call& call,
                                    const Emit& emit) {
  if (questions.empty()) return absl::OkStatus();
  std::vector<const WindowQuestion*> ordered;
  ordered.reserve(questions.size());
  uint64_t newest = questions[0].known_at;
  bool one_known_at = true;
  for (const WindowQuestion& question : questions) {
    ordered.push_back(&question);
    one_known_at = one_known_at && question.known_at == newest;
    newest = std::max(newest, question.known_at);
  }
  std::sort(ordered.begin(), ordered.end(),
            [](const auto* a, const auto* b) { return a->as_of < b->as_of; });
  const int64_t start =
      BoundWindow(ordered.front()->as_of, plan.longest_window_micros(), std::nullopt).after.time +
      1;
  const int64_t end = ordered.back()->as_of;
  const View& source = *plan.view().source;
  State::Scratch& scratch = state_->ScratchOf(plan);
  if (one_known_at) {
    RETURN_IF_ERROR(ReadCurrentEvents(&state_->facts, source, entity_key, start, end, newest, call,
                                      &scratch.current));
    return state_->AnswerFromArray(scratch.current, ordered, call, emit);
  }
  ASSIGN_OR_RETURN(const FactLog log, FactLog::Read(&state_->facts, source, &plan.shape(),
                                                    entity_key, start, end, newest, call));
  return state_->AnswerAtMany(log, ordered, call, emit);
}

}  // namespace fletch
