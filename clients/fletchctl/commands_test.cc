// SPDX-License-Identifier: Apache-2.0
// The command line as a whole: every command explains itself, and every shell completes it.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "command.h"
#include "completion.h"
#include "result.h"

namespace fletch::ctl {
namespace {

// Every command, with its subcommands.
void Collect(CLI::App& app, std::vector<CLI::App*>& commands) {
  for (CLI::App* command : app.get_subcommands({})) {
    commands.push_back(command);
    Collect(*command, commands);
  }
}

struct CommandLine {
  CLI::App app{"", "fletchctl"};
  Context context;
  CommandLine() { AddCommands(app, context); }
  std::vector<CLI::App*> Commands() {
    std::vector<CLI::App*> commands;
    Collect(app, commands);
    return commands;
  }
};

TEST(Commands, HaveHelpWithExamplesThatParse) {
  CommandLine line;
  uint64_t examples = 0;
  for (const CLI::App* command : line.Commands()) {
    EXPECT_FALSE(command->get_description().empty()) << command->get_name();
    for (const CLI::Option* option : command->get_options()) {
      EXPECT_FALSE(option->get_description().empty())
          << command->get_name() << " " << option->get_name();
    }
    const std::string footer = command->get_footer();
    ASSERT_TRUE(footer.starts_with("Example:\n  fletchctl ")) << command->get_name();
    for (absl::string_view example :
         absl::StrSplit(footer.substr(std::string("Example:\n").size()), '\n')) {
      CommandLine fresh;
      std::string text(example.substr(example.find("fletchctl ") + 10));
      text = text.substr(0, text.find(" > "));
      ASSERT_NO_THROW(fresh.app.parse(text)) << text;
      EXPECT_TRUE(fresh.context.action) << text << ": does nothing";
      ++examples;
    }
  }
  EXPECT_GE(examples, 25u);
}

TEST(Commands, TakeTheFlagsOfAllBehindThem) {
  CommandLine line;
  line.app.parse("training-set list --project p --json --timeout 2.5");
  EXPECT_EQ(line.context.project, "p");
  EXPECT_TRUE(line.context.json);
  EXPECT_EQ(line.context.timeout_seconds, 2.5);
  EXPECT_EQ(line.context.ForLongCalls().timeout_seconds, 2.5);
  EXPECT_FALSE(CommandLine().context.timeout_seconds.has_value());
}

TEST(Completion, KnowsEveryCommandAndFlag) {
  CommandLine line;
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const auto script = CompletionScript(line.app, shell);
    ASSERT_TRUE(script.ok());
    for (const CLI::App* command : line.Commands()) {
      EXPECT_NE(script->find(command->get_name()), std::string::npos) << shell;
      for (const CLI::Option* option : command->get_options()) {
        for (const std::string& name : option->get_lnames()) {
          EXPECT_NE(script->find(name), std::string::npos) << shell << " --" << name;
        }
      }
    }
  }
  EXPECT_EQ(ExitCode(CompletionScript(line.app, "csh").status()), 2);
}

// What bash offers behind these words; the last is being typed.
std::vector<std::string> Offered(const std::vector<std::string>& words) {
  CommandLine line;
  const std::string path = testing::TempDir() + "/completion_test.bash";
  std::ofstream(path) << *CompletionScript(line.app, "bash") << "COMP_WORDS=(fletchctl '"
                      << absl::StrJoin(words, "' '") << "')\n"
                      << "COMP_CWORD=" << words.size()
                      << "\n_fletchctl\necho \"${COMPREPLY[*]}\"\n";
  FILE* bash = popen(absl::StrCat("bash ", path).c_str(), "r");
  std::string output;
  for (int c = std::fgetc(bash); c != EOF; c = std::fgetc(bash)) output += static_cast<char>(c);
  EXPECT_EQ(pclose(bash), 0);
  return absl::StrSplit(output.substr(0, output.find('\n')), ' ', absl::SkipEmpty());
}

using Words = std::vector<std::string>;

TEST(Completion, IsOfferedByBash) {
  EXPECT_EQ(Offered({"tr"}), (Words{"train", "training-set"}));
  EXPECT_EQ(Offered({"training-set", ""}),
            (Words{"create", "list", "show", "read", "verify", "delete"}));
  EXPECT_EQ(Offered({"training-set", "create", "--desc"}), Words{"--description"});
  EXPECT_EQ(Offered({"training-set", "read", "--context"}), Words{}) << "not the other read's";
  EXPECT_EQ(Offered({"read", "--context"}), Words{"--context"});
  EXPECT_EQ(Offered({"--json", "lineage", "on"}), Words{"on-demand-view"});
  EXPECT_EQ(Offered({"lineage", "train"}), Words{"training-set"});
  EXPECT_EQ(Offered({"completion", "f"}), Words{"fish"});
  EXPECT_EQ(Offered({"erase", "--ye"}), Words{"--yes"});
  EXPECT_EQ(Offered({"status", "--proj"}), Words{"--project"});
}

}  // namespace
}  // namespace fletch::ctl
