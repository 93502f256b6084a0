// SPDX-License-Identifier: Apache-2.0
#include "completion.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "result.h"

namespace fletch::ctl {
namespace {

struct Flag {
  std::string name;  // without the dashes
  std::string help;
  bool takes_value = false;
};

struct Command {
  std::string name;
  std::string help;
  std::vector<Flag> flags;
};

std::vector<Flag> FlagsOf(const CLI::App& app) {
  std::vector<Flag> flags;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      flags.push_back({name, option->get_description(), option->get_items_expected_max() > 0});
    }
  }
  return flags;
}

std::vector<Command> CommandsOf(const CLI::App& app) {
  std::vector<Command> commands;
  for (const CLI::App* command : app.get_subcommands({})) {
    commands.push_back({command->get_name(), command->get_description(), FlagsOf(*command)});
  }
  return commands;
}

std::string Dashed(const std::vector<Flag>& flags) {
  return absl::StrJoin(flags, " ",
                       [](std::string* out, const Flag& f) { absl::StrAppend(out, "--", f.name); });
}

// In single quotes, as all three shells read them.
std::string Quoted(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

constexpr char kKinds[] = "project entity view service";

std::string Bash(const CLI::App& app) {
  std::string names;
  std::string cases;
  for (const Command& command : CommandsOf(app)) {
    absl::StrAppend(&names, names.empty() ? "" : " ", command.name);
    absl::StrAppend(&cases, "    ", command.name, ") words=\"", Dashed(command.flags), "\" ;;\n");
  }
  return absl::StrCat(
      "# bash completion of fletchctl: source <(fletchctl completion bash)\n"
      "_fletchctl() {\n"
      "  local current=\"${COMP_WORDS[COMP_CWORD]}\" command='' words='' word\n"
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
      "    case \" ",
      names,
      " \" in *\" $word \"*) command=\"$word\"; break ;; esac\n"
      "  done\n"
      "  case \"$command\" in\n"
      "    '') words=\"",
      names, "\" ;;\n", cases,
      "  esac\n"
      "  if [[ $current == -* ]]; then words+=\" ",
      Dashed(FlagsOf(app)),
      "\"\n"
      "  elif [[ $command == get || $command == list || $command == delete-object ]]; then "
      "words=\"",
      kKinds,
      "\"\n"
      "  elif [[ $command == completion ]]; then words='bash zsh fish'\n"
      "  elif [[ -n $command ]]; then words=''; fi\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
      "}\n"
      "complete -o default -F _fletchctl fletchctl\n");
}

std::string ZshFlags(const std::vector<Flag>& flags) {
  return absl::StrJoin(flags, " ", [](std::string* out, const Flag& flag) {
    const std::string help =
        absl::StrReplaceAll(flag.help, {{"[", "("}, {"]", ")"}, {":", ","}, {"\\", ""}});
    absl::StrAppend(out, Quoted(absl::StrCat("--", flag.name, "[", help, "]",
                                             flag.takes_value ? ":value:_files" : "")));
  });
}

std::string Zsh(const CLI::App& app) {
  std::string described;
  std::string cases;
  const std::string global = ZshFlags(FlagsOf(app));
  for (const Command& command : CommandsOf(app)) {
    absl::StrAppend(&described, " ", Quoted(absl::StrCat(command.name, ":", command.help)));
    std::string rest = "'*:file:_files'";
    if (command.name == "get" || command.name == "list" || command.name == "delete-object") {
      rest = absl::StrCat("'1:kind:(", kKinds, ")' '*:name:'");
    } else if (command.name == "completion") {
      rest = "'1:shell:(bash zsh fish)'";
    }
    absl::StrAppend(&cases, "    ", command.name, ") _arguments ", ZshFlags(command.flags), " ",
                    global, " ", rest, " ;;\n");
  }
  return absl::StrCat(
      "#compdef fletchctl\n"
      "# zsh completion of fletchctl: fletchctl completion zsh > \"${fpath[1]}/_fletchctl\"\n"
      "_fletchctl() {\n"
      "  local -a commands=(",
      described,
      ")\n"
      "  if (( CURRENT == 2 )); then _describe command commands; _arguments ",
      global,
      "; return; fi\n"
      "  local command=$words[2]\n"
      "  shift words; (( CURRENT-- ))\n"
      "  case $command in\n",
      cases,
      "    *) _files ;;\n"
      "  esac\n"
      "}\n"
      "if [ \"$funcstack[1]\" = _fletchctl ]; then _fletchctl \"$@\"; else compdef _fletchctl "
      "fletchctl; fi\n");
}

std::string Fish(const CLI::App& app) {
  std::string text = "# fish completion of fletchctl: fletchctl completion fish | source\n";
  const auto add_flags = [&](const std::string& condition, const std::vector<Flag>& flags) {
    for (const Flag& flag : flags) {
      absl::StrAppend(&text, "complete -c fletchctl ", condition, "-l ", flag.name, " -d ",
                      Quoted(flag.help), flag.takes_value ? " -r" : "", "\n");
    }
  };
  add_flags("", FlagsOf(app));
  for (const Command& command : CommandsOf(app)) {
    absl::StrAppend(&text, "complete -c fletchctl -f -n __fish_use_subcommand -a ", command.name,
                    " -d ", Quoted(command.help), "\n");
    const std::string condition =
        absl::StrCat("-n '__fish_seen_subcommand_from ", command.name, "' ");
    add_flags(condition, command.flags);
    if (command.name == "get" || command.name == "list" || command.name == "delete-object") {
      absl::StrAppend(&text, "complete -c fletchctl -f ", condition, "-a ", Quoted(kKinds), "\n");
    } else if (command.name == "completion") {
      absl::StrAppend(&text, "complete -c fletchctl -f ", condition, "-a 'bash zsh fish'\n");
    }
  }
  return text;
}

}  // namespace

absl::StatusOr<std::string> CompletionScript(const CLI::App& app, const std::string& shell) {
  if (shell == "bash") return Bash(app);
  if (shell == "zsh") return Zsh(app);
  if (shell == "fish") return Fish(app);
  return UsageError(absl::StrCat("no completion for '", shell, "'; shells are bash, zsh, fish"));
}

}  // namespace fletch::ctl
