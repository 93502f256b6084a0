// SPDX-License-Identifier: Apache-2.0
#include "completion.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "kinds.h"
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
  std::vector<Command> subcommands;
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
    commands.push_back(
        {command->get_name(), command->get_description(), FlagsOf(*command), CommandsOf(*command)});
  }
  return commands;
}

std::string Names(const std::vector<Command>& commands) {
  return absl::StrJoin(commands, " ", [](std::string* out, const Command& c) { *out += c.name; });
}

// What may stand first after a command; empty: anything.
std::string FirstWords(const std::string& command) {
  if (command == "get" || command == "list" || command == "delete-object") return kKindWords;
  if (command == "lineage") return absl::StrCat(kKindWords, " training-set");
  if (command == "completion") return "bash zsh fish";
  return "";
}

std::string Dashed(const std::vector<Flag>& flags) {
  return absl::StrJoin(flags, " ",
                       [](std::string* out, const Flag& f) { absl::StrAppend(out, "--", f.name); });
}

// In single quotes, as all three shells read them.
std::string Quoted(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

// In a `case "$command $subcommand"`: what the pattern's command may be followed by.
std::string BashCase(const std::string& pattern, const std::vector<Flag>& flags,
                     const std::string& words) {
  return absl::StrCat("    ", Quoted(pattern), ") flags=", Quoted(Dashed(flags)),
                      " words=", Quoted(words), " ;;\n");
}

std::string Bash(const CLI::App& app) {
  const std::vector<Command> commands = CommandsOf(app);
  std::string finds;  // the subcommand, once the command is known
  std::string cases = BashCase("", {}, Names(commands));
  for (const Command& command : commands) {
    const std::string subcommands = Names(command.subcommands);
    cases += BashCase(command.name, command.flags,
                      subcommands.empty() ? FirstWords(command.name) : subcommands);
    for (const Command& subcommand : command.subcommands) {
      cases += BashCase(absl::StrCat(command.name, " ", subcommand.name), subcommand.flags, "");
    }
    if (subcommands.empty()) continue;
    absl::StrAppend(&finds, "      ", Quoted(command.name), ") known=", Quoted(subcommands),
                    " ;;\n");
  }
  return absl::StrCat(
      "# bash completion of fletchctl: source <(fletchctl completion bash)\n"
      "_fletchctl() {\n"
      "  local current=\"${COMP_WORDS[COMP_CWORD]}\" command='' known words='' flags='' word\n"
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
      "    case \"$command\" in\n"
      "      '') known=",
      Quoted(Names(commands)), " ;;\n", finds,
      "      *) known='' ;;\n"
      "    esac\n"
      "    case \" $known \" in *\" $word \"*) command=\"${command:+$command }$word\" ;; esac\n"
      "  done\n"
      "  case \"$command\" in\n",
      cases,
      "  esac\n"
      "  if [[ $current == -* ]]; then words=\"$flags ",
      Dashed(FlagsOf(app)),
      "\"; fi\n"
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

std::string ZshDescribed(const std::vector<Command>& commands) {
  return absl::StrJoin(commands, " ", [](std::string* out, const Command& command) {
    absl::StrAppend(out, Quoted(absl::StrCat(command.name, ":", command.help)));
  });
}

// What completes a command's arguments; `global` are the flags of all commands.
std::string ZshArguments(const Command& command, const std::string& global) {
  const std::string first = FirstWords(command.name);
  return absl::StrCat("_arguments ", ZshFlags(command.flags), " ", global, " ",
                      first.empty() ? "'*:file:_files'"
                                    : Quoted(absl::StrCat("1:what:(", first, ")")) + " '*:name:'");
}

// Looks at $words[2], the word after the command that $words begins with.
std::string ZshChoice(const std::vector<Command>& commands, const std::string& global,
                      const std::string& indent) {
  std::string cases;
  for (const Command& command : commands) {
    absl::StrAppend(&cases, indent, "  ", command.name, ")\n");
    if (command.subcommands.empty()) {
      absl::StrAppend(&cases, indent, "    ", ZshArguments(command, global), "\n");
    } else {
      cases += ZshChoice(command.subcommands, global, indent + "    ");
    }
    absl::StrAppend(&cases, indent, "    ;;\n");
  }
  return absl::StrCat(indent, "commands=(", ZshDescribed(commands), ")\n",  //
                      indent, "if (( CURRENT == 2 )); then _describe command commands; _arguments ",
                      global, "; return; fi\n",                  //
                      indent, "command=$words[2]\n",             //
                      indent, "shift words; (( CURRENT-- ))\n",  //
                      indent, "case $command in\n", cases,       //
                      indent, "  *) _files ;;\n",                //
                      indent, "esac\n");
}

std::string Zsh(const CLI::App& app) {
  return absl::StrCat(
      "#compdef fletchctl\n"
      "# zsh completion of fletchctl: fletchctl completion zsh > \"${fpath[1]}/_fletchctl\"\n"
      "_fletchctl() {\n"
      "  local command; local -a commands\n",
      ZshChoice(CommandsOf(app), ZshFlags(FlagsOf(app)), "  "),
      "}\n"
      "if [ \"$funcstack[1]\" = _fletchctl ]; then _fletchctl \"$@\"; else compdef _fletchctl "
      "fletchctl; fi\n");
}

std::string FishFlags(const std::string& condition, const std::vector<Flag>& flags) {
  std::string text;
  for (const Flag& flag : flags) {
    absl::StrAppend(&text, "complete -c fletchctl ", condition, "-l ", flag.name, " -d ",
                    Quoted(flag.help), flag.takes_value ? " -r" : "", "\n");
  }
  return text;
}

std::string FishWord(const std::string& condition, const std::string& words,
                     const std::string& help) {
  return absl::StrCat("complete -c fletchctl -f ", condition, "-a ", Quoted(words),
                      help.empty() ? "" : absl::StrCat(" -d ", Quoted(help)), "\n");
}

std::string Fish(const CLI::App& app) {
  const std::vector<Command> commands = CommandsOf(app);
  std::string nested;  // commands whose subcommands may be named as other commands are
  for (const Command& command : commands) {
    if (!command.subcommands.empty()) absl::StrAppend(&nested, " ", command.name);
  }
  std::string text = "# fish completion of fletchctl: fletchctl completion fish | source\n";
  text += FishFlags("", FlagsOf(app));
  const auto seen = [](const std::string& words) {
    return absl::StrCat("__fish_seen_subcommand_from ", words);
  };
  for (const Command& command : commands) {
    text += FishWord("-n __fish_use_subcommand ", command.name, command.help);
    const std::string here = seen(command.name);
    if (command.subcommands.empty()) {
      const std::string condition =
          nested.empty() ? here : absl::StrCat(here, "; and not ", seen(nested.substr(1)));
      text += FishFlags(absl::StrCat("-n '", condition, "' "), command.flags);
      const std::string first = FirstWords(command.name);
      if (!first.empty()) text += FishWord(absl::StrCat("-n '", condition, "' "), first, "");
      continue;
    }
    const std::string none =
        absl::StrCat("-n '", here, "; and not ", seen(Names(command.subcommands)), "' ");
    for (const Command& subcommand : command.subcommands) {
      text += FishWord(none, subcommand.name, subcommand.help);
      text += FishFlags(absl::StrCat("-n '", here, "; and ", seen(subcommand.name), "' "),
                        subcommand.flags);
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
