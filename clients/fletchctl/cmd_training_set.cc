// SPDX-License-Identifier: Apache-2.0
// training-set create, list, show, read, verify, delete.
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "command.h"
#include "count_text.h"
#include "joined_output.h"
#include "progress.h"
#include "result.h"
#include "spine.h"
#include "table.h"
#include "training_set_text.h"

namespace fletch::ctl {
namespace {

struct CreateArgs {
  std::string name = {};
  std::string description = {};
  SpineArgs spine = {};
};

struct SetReadArgs {
  std::string name = {};
  OutputArgs output = {};
};

absl::Status SetAdvice(absl::Status status) {
  if (status.code() == absl::StatusCode::kAlreadyExists) {
    return WithAdvice(std::move(status),
                      "take another name, or `fletchctl training-set delete` that one");
  }
  if (status.code() == absl::StatusCode::kNotFound) {
    return WithAdvice(std::move(status), "`fletchctl training-set list` shows what there is");
  }
  return status;
}

absl::Status Create(const CreateArgs& args, const Context& context) {
  v1::TrainingSetHeader header;
  header.set_name(args.name);
  header.set_description(args.description);
  CTL_ASSIGN(*header.mutable_read(), ToHeader(args.spine));
  CTL_ASSIGN(const std::unique_ptr<Spine> spine, Spine::Open(args.spine));
  CTL_ASSIGN(const client::Client client, context.Connect());
  CTL_ASSIGN(const auto described, client.DescribeHistoricalFeatures(header.read()));
  CTL_RETURN_IF_ERROR(spine->Begin(ToReadColumns(described)));
  Progress progress(ErrorsGoToTerminal());
  OpenBatches open;
  const auto next = [&]() -> absl::StatusOr<std::optional<v1::SpineBatch>> {
    CTL_ASSIGN(std::optional<CutBatch> batch, spine->Next());
    if (!batch) return std::nullopt;
    open.Push({.bytes_read = batch->bytes_read});
    return std::move(batch->message);
  };
  const auto on_rows = [&](uint64_t row_count) {
    const std::optional<CutBatch> batch = open.Pop();  // none at the header's and the last answer
    if (batch) progress.Update(batch->bytes_read, spine->bytes(), row_count);
    return absl::OkStatus();
  };
  const auto set = client.CreateTrainingSet(header, next, on_rows);
  progress.Hide();
  if (!set.ok()) return SetAdvice(SpineAdvice(set.status()));
  if (context.json) {
    PrintJson(TrainingSetJson(*set));
  } else {
    Print(absl::StrCat("created training set ", set->name(), ": ",
                       CountText(set->row_count(), "row"), " at commit ", set->read_seq(), "\n"));
  }
  return absl::OkStatus();
}

absl::Status List(const Context& context) {
  CTL_ASSIGN(const client::Client client, context.Connect());
  Json sets = Json::array();
  Table table({"NAME", "ROWS", "COMMIT", "KNOWN AT", "CREATED", "FEATURES", "READABLE"});
  v1::ListTrainingSetsRequest request;
  do {
    CTL_ASSIGN(const v1::ListTrainingSetsResponse page, client.ListTrainingSets(request));
    for (const v1::TrainingSet& set : page.training_sets()) {
      table.Add({set.name(), absl::StrCat(set.row_count()), absl::StrCat(set.read_seq()),
                 v1::KnownAtMode_Name(set.known_at_mode()),
                 client::FormatTimeMicros(set.created_micros()),
                 set.feature_service().empty() ? CountText(set.features_size(), "ref")
                                               : absl::StrCat("of ", set.feature_service()),
                 set.unreadable().empty() ? "yes" : absl::StrCat("no: ", set.unreadable())});
      sets.push_back(TrainingSetJson(set));
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  if (context.json) {
    PrintJson(sets);
  } else if (sets.empty()) {
    Print("no training sets; `fletchctl training-set create` makes one\n");
  } else {
    Print(table.ToText());
  }
  return absl::OkStatus();
}

absl::Status Show(const std::string& name, const Context& context) {
  CTL_ASSIGN(const client::Client client, context.Connect());
  v1::GetTrainingSetRequest request;
  request.set_name(name);
  request.set_describe_only(true);
  const auto answer = client.GetTrainingSet(request);
  if (!answer.ok()) return SetAdvice(answer.status());
  if (context.json) {
    PrintJson(TrainingSetJson(answer->training_set()));
  } else {
    Print(TrainingSetText(answer->training_set()));
  }
  return absl::OkStatus();
}

absl::Status WriteBatch(const v1::GetTrainingSetResponse& answer, bool first,
                        JoinedOutput& output) {
  const SpineTable spine(answer.spine());
  if (first) {
    std::vector<std::string> refs;
    for (const v1::ResolvedFeature& feature : answer.training_set().features()) {
      refs.push_back(feature.ref());
    }
    CTL_RETURN_IF_ERROR(output.Begin(spine.names(), refs));
  }
  return output.Write(spine.Rows(output.format()), answer.columns());
}

absl::Status Read(const SetReadArgs& args, const Context& context) {
  CTL_ASSIGN(const RecordFormat format, OutputFormat(args.output, context.json));
  CTL_ASSIGN(const client::Client client, context.Connect());
  std::unique_ptr<JoinedOutput> output;
  Progress progress(ErrorsGoToTerminal());
  v1::GetTrainingSetRequest request;
  request.set_name(args.name);
  request.set_include_event_timestamps(args.output.event_timestamps);
  uint64_t batch_count = 1;  // until the first answer says
  uint64_t rows = 0;
  for (uint64_t batch = 0; batch < batch_count; ++batch) {
    request.set_batch(batch);
    const auto answer = client.GetTrainingSet(request);
    if (!answer.ok()) return SetAdvice(answer.status());
    if (batch == 0) {
      CTL_ASSIGN(output, JoinedOutput::Open(args.output, format));
    }
    CTL_RETURN_IF_ERROR(WriteBatch(*answer, batch == 0, *output));
    batch_count = answer->training_set().batch_count();
    rows += answer->spine().row_count();
    progress.Update(rows, answer->training_set().row_count(), rows);
  }
  return output->Finish();
}

absl::Status Verify(const std::string& name, const Context& context) {
  CTL_ASSIGN(const client::Client client, context.ForLongCalls().Connect());
  v1::VerifyTrainingSetRequest request;
  request.set_name(name);
  Waiting waiting(ErrorsGoToTerminal(), absl::StrCat("reading ", name, " again"));
  const auto answer = client.VerifyTrainingSet(request);
  waiting.Hide();
  if (!answer.ok()) return SetAdvice(answer.status());
  const v1::TrainingSet& set = answer->training_set();
  if (context.json) {
    PrintJson({{"same", answer->same()},
               {"reason", answer->reason()},
               {"training_set", TrainingSetJson(set)}});
  } else if (answer->same()) {
    Print(absl::StrCat("training set ", name, ": its ", CountText(set.row_count(), "row"),
                       " are the same, bit for bit\n"));
  }
  if (answer->same()) return absl::OkStatus();
  if (!set.unreadable().empty()) return absl::FailedPreconditionError(set.unreadable());
  return absl::DataLossError(
      absl::StrCat("training set ", name, " is not as it was created: ", answer->reason()));
}

absl::Status Delete(const std::string& name, const Context& context) {
  CTL_ASSIGN(const client::Client client, context.Connect());
  v1::DeleteTrainingSetRequest request;
  request.set_name(name);
  const absl::Status status = client.DeleteTrainingSet(request).status();
  if (!status.ok()) return SetAdvice(status);
  if (context.json) {
    PrintJson({{"deleted", name}});
  } else {
    Print(absl::StrCat("deleted training set ", name, "; its features' facts stay\n"));
  }
  return absl::OkStatus();
}

// A command that takes a name alone.
void AddNamed(CLI::App& sets, const std::string& word, const std::string& help,
              absl::Status (*run)(const std::string&, const Context&), Context& context) {
  auto name = std::make_shared<std::string>();
  CLI::App* command = sets.add_subcommand(word, help);
  command->add_option("name", *name, "The training set's name")->required();
  AddExample(*command, absl::StrCat("fletchctl training-set ", word, " delays-2001q1"));
  command->callback([&context, name, run] {
    context.action = [&context, name, run] { return run(*name, context); };
  });
}

void AddCreate(CLI::App& sets, Context& context) {
  auto args = std::make_shared<CreateArgs>();
  CLI::App* create =
      sets.add_subcommand("create", "Keep a spine with what is joined onto it, under a name");
  create->add_option("name", args->name, "Its name, unlike the project's others")->required();
  AddSpineOptions(*create, args->spine);
  create->add_option("--description", args->description, "For people");
  AddExample(*create,
             "fletchctl training-set create delays-2001q1 spine.csv --service delay_model");
  create->callback(
      [&context, args] { context.action = [&context, args] { return Create(*args, context); }; });
}

void AddRead(CLI::App& sets, Context& context) {
  auto args = std::make_shared<SetReadArgs>();
  CLI::App* read = sets.add_subcommand("read", "Print its rows, as they were created");
  read->add_option("name", args->name, "The training set's name")->required();
  AddOutputOptions(*read, args->output);
  AddExample(*read, "fletchctl training-set read delays-2001q1 -o joined.csv");
  read->callback(
      [&context, args] { context.action = [&context, args] { return Read(*args, context); }; });
}

}  // namespace

void AddTrainingSetCommands(CLI::App& app, Context& context) {
  CLI::App* sets = app.add_subcommand(
      "training-set", "Spines kept with pinned features, to be read again bit for bit");
  sets->require_subcommand(1);
  AddExample(*sets,
             "fletchctl training-set create delays-2001q1 spine.csv --service delay_model\n"
             "fletchctl training-set read delays-2001q1 -o joined.csv");
  AddCreate(*sets, context);
  CLI::App* list = sets->add_subcommand("list", "List the project's training sets");
  AddExample(*list, "fletchctl training-set list");
  list->callback([&context] { context.action = [&context] { return List(context); }; });
  AddNamed(*sets, "show", "Say what is known of a training set", &Show, context);
  AddRead(*sets, context);
  AddNamed(*sets, "verify", "Read all of it again and compare it with its digest", &Verify,
           context);
  AddNamed(*sets, "delete", "Forget a training set", &Delete, context);
}

}  // namespace fletch::ctl
