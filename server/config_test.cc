// SPDX-License-Identifier: Apache-2.0
#include "server/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace fletch {
namespace {

std::string WriteFile(const std::string& text) {
  static int count = 0;
  const std::string path =
      testing::TempDir() + "/fletch_config_" + std::to_string(++count) + ".yaml";
  std::ofstream(path) << text;
  return path;
}

std::string ErrorOf(const std::vector<std::string>& args,
                    const std::map<std::string, std::string>& environment = {}) {
  const auto command = ParseCommandLine(args, environment);
  return command.ok() ? "" : std::string(command.status().message());
}

TEST(ConfigTest, FlagBeforeEnvironmentBeforeFileBeforeDefault) {
  const std::string path = WriteFile("listen: a:1\ndata_dir: from_file\nread_threads: 3\n");
  const auto command =
      ParseCommandLine({"--config", path, "--listen=c:3"},
                       {{"FLETCH_LISTEN", "b:2"}, {"FLETCH_DATA_DIR", "from_env"}});
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->config.listen, "c:3");
  EXPECT_EQ(command->config.data_dir, "from_env");
  EXPECT_EQ(command->config.read_threads, 3u);
  EXPECT_EQ(command->config.metrics_listen, "127.0.0.1:7448");
  EXPECT_EQ(command->action, CommandLine::Action::kRun);
}

TEST(ConfigTest, SizesAndLimits) {
  EXPECT_EQ(ParseCommandLine({"--online-budget", "2GiB"}, {})->config.online_budget, 2ull << 30);
  EXPECT_EQ(ParseCommandLine({"--online_budget=2097152"}, {})->config.online_budget, 2ull << 20);
  EXPECT_NE(ErrorOf({"--online-budget", "2GB"}), "");
  EXPECT_NE(ErrorOf({"--online-budget", "-1"}), "");
  EXPECT_NE(ErrorOf({"--read-threads", "0"}), "");
  EXPECT_NE(ErrorOf({"--read-threads", "4KiB"}), "");
  EXPECT_NE(ErrorOf({"--max-message", "65MiB"}), "");
  EXPECT_EQ(ErrorOf({"--max-message", "64MiB"}), "");
}

TEST(ConfigTest, UnknownNamesAreErrorsThatSayWhere) {
  EXPECT_NE(ErrorOf({"--listn=x"}).find("--listn"), std::string::npos);
  EXPECT_NE(ErrorOf({"serve"}).find("serve"), std::string::npos);
  EXPECT_NE(ErrorOf({"--listen"}).find("needs a value"), std::string::npos);
  const std::string error = ErrorOf({"--config", WriteFile("listen: a:1\nlistn: b:2\n")});
  EXPECT_NE(error.find("line 2"), std::string::npos) << error;
  EXPECT_NE(error.find("listn"), std::string::npos) << error;
  EXPECT_NE(ErrorOf({"--config", WriteFile("listen: [1, 2]\n")}), "");
  EXPECT_NE(ErrorOf({"--config", WriteFile("listen: a: b\n")}), "");
  EXPECT_NE(ErrorOf({"--config", WriteFile("- listen\n")}), "");
  EXPECT_NE(ErrorOf({"--config", "/no/such/file"}).find("/no/such/file"), std::string::npos);
  EXPECT_NE(ErrorOf({}, {{"FLETCH_READ_THREADS", "many"}}).find("FLETCH_READ_THREADS"),
            std::string::npos);
  EXPECT_NE(ErrorOf({"--log-level", "loud"}), "");
  // Other programs have variables of this prefix, too.
  const auto command = ParseCommandLine({}, {{"FLETCH_SERVER", "x"}, {"HOME", "/"}});
  ASSERT_TRUE(command.ok());
  EXPECT_THAT(command->warnings,
              testing::ElementsAre("FLETCH_SERVER in the environment names no setting"));
  EXPECT_THAT(ParseCommandLine({"--check-config"}, {{"FLETCH_ADDRESS", "a:1"},
                                                    {"FLETCH_PROJECT", "demo"},
                                                    {"FLETCH_CACHE", "/c"},
                                                    {"FLETCH_LISTN", "b:2"}})
                  ->warnings,
              testing::ElementsAre("FLETCH_LISTN in the environment names no setting"));
}

TEST(ConfigTest, EmptyTurnsMetricsOff) {
  EXPECT_EQ(ParseCommandLine({"--metrics-listen="}, {})->config.metrics_listen, "");
  EXPECT_NE(ErrorOf({"--listen="}), "");
}

TEST(ConfigTest, PrintedSettingsAreAFileOfTheSameSettings) {
  Config config;
  config.data_dir = "a \"quoted\": #path";
  config.read_threads = 7;
  config.metrics_listen = "";
  const std::string text = PrintConfig(config);
  const auto command = ParseCommandLine({"--config", WriteFile(text), "--print-config"}, {});
  ASSERT_TRUE(command.ok()) << command.status() << "\n" << text;
  EXPECT_EQ(command->action, CommandLine::Action::kPrintConfig);
  EXPECT_EQ(PrintConfig(command->config), text);
  EXPECT_EQ(command->config.data_dir, config.data_dir);
}

}  // namespace
}  // namespace fletch
