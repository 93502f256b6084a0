// SPDX-License-Identifier: Apache-2.0
#include "server/config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <limits>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace fletch {
namespace {

// One setting: exactly one of the two members is set.
struct Setting {
  absl::string_view name;  // as in the file; FLETCH_NAME, --name with dashes
  absl::string_view unit;
  absl::string_view effect;
  std::string Config::*text = nullptr;
  uint64_t Config::*number = nullptr;
  uint64_t min = 0;
  uint64_t max = 0;
};

constexpr uint64_t kMiB = 1ull << 20;
constexpr uint64_t kTiB = 1ull << 40;

const std::vector<Setting>& Settings() {
  static const std::vector<Setting>* settings = new std::vector<Setting>{
      {"listen", "address", "gRPC listens here; port 0 takes any free one", &Config::listen},
      {"metrics_listen", "address", "Prometheus metrics at http://ADDRESS/metrics; empty: none",
       &Config::metrics_listen},
      {"data_dir", "path", "everything that lasts is in this folder", &Config::data_dir},
      {"port_file", "path",
       "once ready, HOST:PORT of gRPC and, on a second line, of the metrics; empty: nowhere",
       &Config::port_file},
      {"log_level", "debug, info, warning or error", "less is not logged; debug logs every call",
       &Config::log_level},
      {"online_budget", "bytes", "memory of the online table; rows beyond it are read from disk",
       nullptr, &Config::online_budget, kMiB, kTiB},
      {"window_budget", "bytes",
       "memory of the events kept for online windows; beyond it the events asked for least lately "
       "are read from disk when asked for",
       nullptr, &Config::window_budget, kMiB, kTiB},
      {"vector_budget", "bytes",
       "memory that the live vectors of one index may need; writes that would pass it are refused",
       nullptr, &Config::vector_budget, kMiB, kTiB},
      {"block_cache", "bytes", "memory for blocks of the facts on disk", nullptr,
       &Config::block_cache, kMiB, kTiB},
      {"read_threads", "threads", "searches, histories, look-ups that miss memory", nullptr,
       &Config::read_threads, 1, 1024},
      {"write_threads", "threads", "checking and encoding of writes", nullptr,
       &Config::write_threads, 1, 1024},
      {"join_threads", "threads", "training joins, one or many at once", nullptr,
       &Config::join_threads, 1, 1024},
      {"read_queue", "calls", "reads that may wait for a thread; more are refused", nullptr,
       &Config::read_queue, 1, 1'000'000},
      {"write_queue", "calls", "writes that may wait for a thread; more are refused", nullptr,
       &Config::write_queue, 1, 1'000'000},
      {"max_streams", "streams", "open streams of each kind; more are refused", nullptr,
       &Config::max_streams, 1, 100'000},
      {"max_in_flight", "calls", "calls at once; more are refused", nullptr, &Config::max_in_flight,
       1, 1'000'000},
      {"max_in_flight_bytes", "bytes", "request bytes at once; more are refused", nullptr,
       &Config::max_in_flight_bytes, kMiB, kTiB},
      {"max_message", "bytes", "largest message, in and out", nullptr, &Config::max_message,
       64u << 10, limits::kMaxMessageBytes},
      {"parity_sample_ppm", "of a million",
       "share of the online requests that are asked again as training reads and compared; 0: none",
       nullptr, &Config::parity_sample_ppm, 0, 1'000'000},
      {"recall_sample_ppm", "of a million",
       "share of the searches over a graph that are asked again, exactly, for the metric "
       "fletch_search_recall; 0: none",
       nullptr, &Config::recall_sample_ppm, 0, 1'000'000},
      {"drain_budget_ms", "milliseconds", "from SIGTERM to the end of the process at the latest",
       nullptr, &Config::drain_budget_ms, 100, 3'600'000},
  };
  return *settings;
}

const Setting* FindSetting(absl::string_view name) {
  for (const Setting& setting : Settings()) {
    if (setting.name == name) return &setting;
  }
  return nullptr;
}

std::string FlagOf(const Setting& setting) {
  return absl::StrCat("--", absl::StrReplaceAll(setting.name, {{"_", "-"}}));
}

std::string VariableOf(const Setting& setting) {
  return absl::StrCat("FLETCH_", absl::AsciiStrToUpper(setting.name));
}

// Variables of this prefix that are no settings but right: of --config, the clients, the tests.
bool IsForOthers(absl::string_view variable) {
  return variable == "FLETCH_CONFIG" || variable == "FLETCH_ADDRESS" ||
         variable == "FLETCH_PROJECT" || variable == "FLETCH_CACHE";
}

// "512MiB", "4 GiB", "4096".
absl::StatusOr<uint64_t> ParseNumber(absl::string_view text, bool bytes) {
  static constexpr std::pair<absl::string_view, int> kUnits[] = {
      {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
  int shift = 0;
  for (const auto& [unit, bits] : kUnits) {
    if (bytes && absl::ConsumeSuffix(&text, unit)) shift = bits;
  }
  text = absl::StripAsciiWhitespace(text);
  const bool digits = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isdigit(c) != 0;
  });
  uint64_t value = 0;
  if (!digits || !absl::SimpleAtoi(text, &value) ||
      value > (std::numeric_limits<uint64_t>::max() >> shift)) {
    return InvalidArgument(bytes ? "is no number of bytes; write 4096, 512MiB or 4GiB"
                                 : "is no whole number");
  }
  return value << shift;
}

std::string ValueOf(const Setting& setting, const Config& config) {
  return setting.text != nullptr ? config.*setting.text : absl::StrCat(config.*setting.number);
}

absl::Status Set(const Setting& setting, absl::string_view value, Config* config) {
  if (setting.text != nullptr) {
    static const std::set<absl::string_view> kLevels = {"debug", "info", "warning", "error"};
    if (setting.name == "log_level" && kLevels.count(value) == 0) {
      return InvalidArgument("is none of debug, info, warning, error");
    }
    const bool may_be_empty = setting.name == "metrics_listen" || setting.name == "port_file";
    if (value.empty() && !may_be_empty) return InvalidArgument("is empty");
    config->*setting.text = std::string(value);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const uint64_t number, ParseNumber(value, setting.unit == "bytes"));
  if (number < setting.min || number > setting.max) {
    return InvalidArgument(absl::StrCat("must be ", setting.min, " to ", setting.max));
  }
  config->*setting.number = number;
  return absl::OkStatus();
}

absl::Status SetFrom(const Setting& setting, absl::string_view value, absl::string_view where,
                     Config* config) {
  const absl::Status status = Set(setting, value, config);
  if (status.ok()) return status;
  return InvalidArgument(absl::StrCat(where, ": \"", value, "\" ", status.message()));
}

absl::Status ReadFile(const std::string& path, Config* config) {
  YAML::Node root;
  try {
    root = YAML::LoadFile(path);
    if (root.IsNull()) return absl::OkStatus();
    if (!root.IsMap())
      return InvalidArgument(absl::StrCat(path, ": write lines of \"setting: value\""));
    for (const auto& entry : root) {
      const std::string name = entry.first.as<std::string>();
      const std::string where =
          absl::StrCat(path, " line ", entry.first.Mark().line + 1, ", ", name);
      const Setting* setting = FindSetting(name);
      if (setting == nullptr) {
        return InvalidArgument(
            absl::StrCat(where, ": no such setting; fletchd --print-config lists them"));
      }
      if (!entry.second.IsScalar() && !entry.second.IsNull()) {
        return InvalidArgument(absl::StrCat(where, ": the value must be one text or number"));
      }
      const std::string value = entry.second.IsNull() ? "" : entry.second.as<std::string>();
      RETURN_IF_ERROR(SetFrom(*setting, value, where, config));
    }
  } catch (const YAML::BadFile&) {
    return InvalidArgument(absl::StrCat("--config: cannot read ", path));
  } catch (const YAML::Exception& error) {
    return InvalidArgument(absl::StrCat(path, " line ", error.mark.line + 1, ": ", error.msg));
  }
  return absl::OkStatus();
}

// Flags as they were given, in order.
struct Flags {
  CommandLine::Action action = CommandLine::Action::kRun;
  std::string config_path;
  std::vector<std::pair<const Setting*, std::string>> values;
};

absl::StatusOr<Flags> ReadFlags(const std::vector<std::string>& args) {
  static const std::map<absl::string_view, CommandLine::Action> kActions = {
      {"check_config", CommandLine::Action::kCheckConfig},
      {"print_config", CommandLine::Action::kPrintConfig},
      {"help", CommandLine::Action::kHelp},
      {"version", CommandLine::Action::kVersion}};
  Flags flags;
  for (size_t i = 0; i < args.size(); ++i) {
    absl::string_view arg = args[i];
    if (!absl::ConsumePrefix(&arg, "--")) {
      return InvalidArgument(absl::StrCat("\"", args[i], "\" is no flag; see fletchd --help"));
    }
    const size_t equals = arg.find('=');
    const std::string name = absl::StrReplaceAll(arg.substr(0, equals), {{"-", "_"}});
    if (const auto action = kActions.find(name); action != kActions.end()) {
      flags.action = action->second;
      continue;
    }
    const Setting* setting = FindSetting(name);
    if (setting == nullptr && name != "config") {
      return InvalidArgument(
          absl::StrCat("--", arg.substr(0, equals), ": no such flag; see fletchd --help"));
    }
    std::string value;
    if (equals != absl::string_view::npos) {
      value = std::string(arg.substr(equals + 1));
    } else if (++i < args.size()) {
      value = args[i];
    } else {
      return InvalidArgument(absl::StrCat("--", arg, " needs a value"));
    }
    if (setting == nullptr) {
      flags.config_path = value;
    } else {
      flags.values.emplace_back(setting, value);
    }
  }
  return flags;
}

}  // namespace

uint64_t Config::DefaultThreads() {
  return std::max<uint64_t>(2, std::thread::hardware_concurrency());
}

absl::StatusOr<CommandLine> ParseCommandLine(
    const std::vector<std::string>& args, const std::map<std::string, std::string>& environment) {
  ASSIGN_OR_RETURN(const Flags flags, ReadFlags(args));
  CommandLine out;
  out.action = flags.action;
  std::string config_path = flags.config_path;
  if (const auto it = environment.find("FLETCH_CONFIG");
      config_path.empty() && it != environment.end()) {
    config_path = it->second;
  }
  if (!config_path.empty()) RETURN_IF_ERROR(ReadFile(config_path, &out.config));
  for (const auto& [variable, value] : environment) {
    if (!absl::StartsWith(variable, "FLETCH_") || IsForOthers(variable)) continue;
    const Setting* setting = FindSetting(absl::AsciiStrToLower(variable.substr(7)));
    if (setting == nullptr) {
      out.warnings.push_back(absl::StrCat(variable, " in the environment names no setting"));
      continue;
    }
    RETURN_IF_ERROR(SetFrom(*setting, value, variable, &out.config));
  }
  for (const auto& [setting, value] : flags.values) {
    RETURN_IF_ERROR(SetFrom(*setting, value, FlagOf(*setting), &out.config));
  }
  return out;
}

std::string PrintConfig(const Config& config) {
  const Config defaults;
  std::string out;
  for (const Setting& setting : Settings()) {
    const std::string value = ValueOf(setting, config);
    const std::string default_value = ValueOf(setting, defaults);
    absl::StrAppend(&out, "# ", setting.effect, ".\n# Unit: ", setting.unit,
                    ". Default: ", default_value.empty() ? "\"\"" : default_value);
    if (setting.number != nullptr) {
      absl::StrAppend(&out, ", ", setting.min, " to ", setting.max);
    }
    absl::StrAppend(&out, ". Also ", VariableOf(setting), " or ", FlagOf(setting), ".\n");
    YAML::Emitter quoted;
    if (setting.text != nullptr) {
      quoted << YAML::DoubleQuoted << value;
      absl::StrAppend(&out, setting.name, ": ", quoted.c_str(), "\n\n");
    } else {
      absl::StrAppend(&out, setting.name, ": ", value, "\n\n");
    }
  }
  out.pop_back();
  return out;
}

std::string HelpText() {
  std::string out =
      "fletchd: the Fletch daemon. Serves until SIGTERM or SIGINT.\n\n"
      "  --config PATH          YAML file of settings\n"
      "  --check-config         check the settings, then exit\n"
      "  --print-config         print every setting with unit, default and effect, then exit\n"
      "  --version, --help\n\nSettings (flag, else FLETCH_NAME, else the file):\n";
  for (const Setting& setting : Settings()) {
    const std::string flag = FlagOf(setting);
    absl::StrAppend(&out, "  ", flag,
                    std::string(std::max<size_t>(23, flag.size() + 1) - flag.size(), ' '),
                    setting.effect, "\n");
  }
  return out;
}

LogLevel LogLevelOf(const Config& config) {
  if (config.log_level == "debug") return LogLevel::kDebug;
  if (config.log_level == "warning") return LogLevel::kWarning;
  return config.log_level == "error" ? LogLevel::kError : LogLevel::kInfo;
}

}  // namespace fletch
