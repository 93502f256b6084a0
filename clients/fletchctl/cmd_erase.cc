// SPDX-License-Identifier: Apache-2.0
// erase, erasures.
#include <memory>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "command.h"
#include "count_text.h"
#include "result.h"
#include "table.h"

namespace fletch::ctl {
namespace {

struct EraseArgs {
  std::string entity = {};
  std::vector<std::string> keys = {};
  bool yes = false;
};

using Receipts = google::protobuf::RepeatedPtrField<v1::EraseReceipt>;

Json ReceiptJson(const v1::EraseReceipt& receipt) {
  return {{"id", receipt.id()},
          {"project", receipt.project()},
          {"entity", receipt.entity()},
          {"key_hash", absl::BytesToHexString(receipt.key_hash())},
          {"erased_at", client::FormatTimeMicros(receipt.erased_at_micros())},
          {"commit_seq", receipt.commit_seq()},
          {"facts", receipt.facts()},
          {"feature_views", Json(receipt.feature_views())},
          {"training_sets", Json(receipt.training_sets())},
          {"backups", Json(receipt.backups())}};
}

void PrintReceipts(const Receipts& receipts) {
  Table table({"RECEIPT", "ENTITY", "KEY HASH", "ERASED AT", "COMMIT", "FACTS", "VIEWS",
               "TRAINING SETS", "BACKUPS"});
  for (const v1::EraseReceipt& receipt : receipts) {
    table.Add(
        {absl::StrCat(receipt.id()), receipt.entity(), absl::BytesToHexString(receipt.key_hash()),
         client::FormatTimeMicros(receipt.erased_at_micros()), absl::StrCat(receipt.commit_seq()),
         absl::StrCat(receipt.facts()), absl::StrJoin(receipt.feature_views(), ", "),
         absl::StrJoin(receipt.training_sets(), ", "), absl::StrJoin(receipt.backups(), ", ")});
  }
  if (!receipts.empty()) Print(table.ToText());
}

void PrintReceiptsJson(const Receipts& receipts) {
  Json list = Json::array();
  for (const v1::EraseReceipt& receipt : receipts) list.push_back(ReceiptJson(receipt));
  PrintJson(list);
}

absl::Status Erase(const EraseArgs& args, const Context& context) {
  CTL_ASSIGN(const client::Client client, context.Connect());
  CTL_ASSIGN(const KeyTypes types, GetEntityKeys(client, args.entity));
  CTL_ASSIGN(const KeyColumns keys, ParseKeys(args.keys, types));
  const std::string what = CountText(keys.row_count, "key");
  if (!args.yes) {
    return UsageError(absl::StrCat(
        "this removes all facts, vectors and training rows of ", what, " of entity ", args.entity,
        ", at every commit, for good; add --yes if that is what you want"));
  }
  v1::EraseRequest request;
  request.set_entity(args.entity);
  request.set_row_count(keys.row_count);
  PutKeys(keys, *request.mutable_keys());
  CTL_ASSIGN(const v1::EraseResponse response, client.Erase(request));
  if (context.json) {
    PrintReceiptsJson(response.receipts());
    return absl::OkStatus();
  }
  PrintReceipts(response.receipts());
  Print(absl::StrCat(what, " erased; `fletchctl compact` takes the last bytes off the disk\n"));
  return absl::OkStatus();
}

absl::Status Erasures(bool all, Context context) {
  if (all) context.project.clear();
  CTL_ASSIGN(const client::Client client, context.ConnectWithoutProject());
  Receipts receipts;
  v1::ListErasuresRequest request;
  do {
    CTL_ASSIGN(const v1::ListErasuresResponse page, client.ListErasures(request));
    receipts.MergeFrom(page.receipts());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  if (context.json) {
    PrintReceiptsJson(receipts);
    return absl::OkStatus();
  }
  PrintReceipts(receipts);
  Print(absl::StrCat(CountText(receipts.size(), "erasure"),
                     context.project.empty() ? "" : " in project " + context.project, "\n"));
  return absl::OkStatus();
}

}  // namespace

void AddEraseCommands(CLI::App& app, Context& context) {
  auto args = std::make_shared<EraseArgs>();
  CLI::App* erase =
      app.add_subcommand("erase", "Remove all that is stored of some keys of an entity, for good");
  erase->add_option("entity", args->entity, "The entity")->required();
  AddKeyOption(*erase, args->keys)->required();
  erase->add_flag("--yes", args->yes, "Yes, for good");
  AddExample(*erase, "fletchctl erase airport --key airport=SFO --yes");
  erase->callback(
      [&context, args] { context.action = [&context, args] { return Erase(*args, context); }; });

  auto all = std::make_shared<bool>(false);
  CLI::App* erasures = app.add_subcommand(
      "erasures", "The ledger of erasures, newest first: of the project, or of all without one");
  erasures->add_flag("--all", *all, "Of all projects, whatever --project and FLETCH_PROJECT say");
  AddExample(*erasures, "fletchctl erasures");
  erasures->callback(
      [&context, all] { context.action = [&context, all] { return Erasures(*all, context); }; });
}

}  // namespace fletch::ctl
