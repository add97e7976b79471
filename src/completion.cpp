#include "completion.h"

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "command_options.h"
#include "exporting/targets.h"  // defines: export_targets
#include "job/job.h"
#include "job/schema.h"  // defines: visit_keys

namespace eidolon {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

/// Between single quotes of a POSIX shell, zsh or fish (which take \' outside of quotes alike).
std::string quoted(const std::string& text) {
  return "'" + replaced(text, "'", "'\\''") + "'";
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

/// The words that a value may be. None: it is a file or a folder.
std::vector<std::string> words_of(const CLI::Option& option) {
  std::vector<std::string> words;
  const std::string& name = option.get_single_name();
  if (name == "set") {
    Job job;
    visit_keys(job, [&](const Key& key, const auto&) {
      words.push_back(std::string(key.section) + "." + std::string(key.name) + "=");
    });
  } else if (name == "target") {
    for (const Target& target : export_targets()) words.emplace_back(target.name);
  } else if (name == "shell") {
    words = {"bash", "zsh", "fish"};
  }
  return words;
}

std::string names_of(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* flag : flags_of(command)) names.push_back(name_of(*flag));
  return joined(names);
}

/// Each name in @ is filled in by bash().
constexpr const char* bash_script = R"(# Completion of eidolon for bash, printed by `eidolon completion bash`.
_eidolon() {
  local command=${COMP_WORDS[1]} current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local flags='' words='' files=''
  COMPREPLY=()
  case $command in
@flags of commands@  esac
  case $previous in
@values of flags@  esac
  if [ "$COMP_CWORD" = 1 ]; then
    words='@commands@ --help --version'
  elif [ -z "$words$files" ] && [[ $current == -* ]]; then
    words=$flags
  elif [ -z "$words$files" ]; then
    files=1
    case $command in
@arguments of commands@    esac
  fi
  if [ -n "$words" ]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    [[ ${COMPREPLY[0]:-} != *= ]] || compopt -o nospace 2>/dev/null
  elif [ -n "$files" ]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
}
complete -F _eidolon eidolon
)";

/// What a flag may be followed by; a flag has the same values with every command.
std::string bash_values(const CLI::App& app) {
  std::map<std::string, std::string> values;
  for (const CLI::App* command : commands_of(app)) {
    for (const CLI::Option* flag : flags_of(*command)) {
      if (takes_value(*flag)) values[name_of(*flag)] = joined(words_of(*flag));
    }
  }
  std::string cases;
  for (const auto& [flag, words] : values) {
    cases += "    " + flag + ") " + (words.empty() ? "files=1" : "words='" + words + "'") + " ;;\n";
  }
  return cases;
}

std::string bash(const CLI::App& app) {
  std::vector<std::string> names;
  std::string flags, arguments;
  for (const CLI::App* command : commands_of(app)) {
    const std::string name = command->get_name();
    names.push_back(name);
    flags += "    " + name + ") flags='" + names_of(*command) + "' ;;\n";
    const CLI::Option* argument = positional_of(*command);
    const std::string words = argument == nullptr ? "" : joined(words_of(*argument));
    if (!words.empty()) arguments += "      " + name + ") words='" + words + "' ;;\n";
  }
  std::string script = replaced(bash_script, "@flags of commands@", flags);
  script = replaced(script, "@values of flags@", bash_values(app));
  script = replaced(script, "@commands@", joined(names));
  return replaced(script, "@arguments of commands@", arguments);
}

/// Each name in @ is filled in by zsh().
constexpr const char* zsh_script = R"(#compdef eidolon
# Completion of eidolon for zsh, printed by `eidolon completion zsh`.
_eidolon() {
  local -a commands=(
@commands@  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  shift words
  (( CURRENT-- ))
  case $words[1] in
@arguments of commands@  esac
}
if [[ $funcstack[1] == _eidolon ]]; then
  _eidolon "$@"
else
  compdef _eidolon eidolon
fi
)";

/// A value of _arguments: what it is, and what it may be.
std::string zsh_value(const CLI::Option& option) {
  const std::vector<std::string> words = words_of(option);
  const std::string& what = option.get_single_name();
  if (words.empty()) return ":" + what + ":_files";
  return what == "set" ? ":key:compadd -S \"\" -- " + joined(words) : ":" + what + ":(" + joined(words) + ")";
}

/// A flag of _arguments, with its help.
std::string zsh_flag(const CLI::Option& flag) {
  std::string help = first_line(flag.get_description());
  for (const char* letter : {"[", "]", ":"}) help = replaced(help, letter, std::string("\\") + letter);
  return quoted((repeats(flag) ? "*" : "") + name_of(flag) + "[" + help + "]" + (takes_value(flag) ? zsh_value(flag) : ""));
}

std::string zsh(const CLI::App& app) {
  std::string names, cases;
  for (const CLI::App* command : commands_of(app)) {
    names += "    " + quoted(command->get_name() + ":" + replaced(command->get_description(), ":", "\\:")) + "\n";
    cases += "    " + command->get_name() + ")\n      _arguments";
    for (const CLI::Option* flag : flags_of(*command)) cases += " \\\n        " + zsh_flag(*flag);
    const CLI::Option* argument = positional_of(*command);
    if (argument != nullptr) cases += " \\\n        " + quoted((repeats(*argument) ? "*" : "1") + zsh_value(*argument));
    cases += " ;;\n";
  }
  return replaced(replaced(zsh_script, "@commands@", names), "@arguments of commands@", cases);
}

std::string fish(const CLI::App& app) {
  std::string text = "# Completion of eidolon for fish, printed by `eidolon completion fish`.\n";
  for (const CLI::App* command : commands_of(app)) {
    const std::string name = command->get_name(), within = "complete -c eidolon -n '__fish_seen_subcommand_from " + name + "'";
    text += "complete -c eidolon -f -n __fish_use_subcommand -a " + name + " -d " + quoted(command->get_description()) + "\n";
    for (const CLI::Option* flag : flags_of(*command)) {
      const std::vector<std::string> words = words_of(*flag);
      text += within + " -l " + flag->get_lnames().front();
      if (takes_value(*flag)) text += words.empty() ? " -r -F" : " -x -a " + quoted(joined(words));
      text += " -d " + quoted(first_line(flag->get_description())) + "\n";
    }
    const CLI::Option* argument = positional_of(*command);
    const std::vector<std::string> words = argument == nullptr ? std::vector<std::string>() : words_of(*argument);
    if (!words.empty()) text += within + " -f -a " + quoted(joined(words)) + "\n";
  }
  return text;
}

}  // namespace

std::string completion(const CLI::App& app, const std::string& shell) {
  return shell == "bash" ? bash(app) : shell == "zsh" ? zsh(app) : fish(app);
}

}  // namespace eidolon
