#include "command_pages.h"

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "exporting/targets.h"  // defines: export_targets
#include "job/job.h"
#include "job/schema.h"  // defines: visit_keys

namespace eidolon {
namespace {

std::string joined(const std::vector<std::string>& words, const std::string& between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

std::string replaced(std::string text, const std::string& old, const std::string& by) {
  for (size_t at = 0; (at = text.find(old, at)) != std::string::npos; at += by.size()) text.replace(at, old.size(), by);
  return text;
}

/// Between single quotes of a POSIX shell, zsh or fish (which take \' outside of quotes alike).
std::string quoted(const std::string& text) {
  return "'" + replaced(text, "'", "'\\''") + "'";
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

/// What stands without a dash: a job, a folder, a shell. No command has two.
const CLI::Option* positional_of(const CLI::App& command) {
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_positional()) return option;
  }
  return nullptr;
}

std::vector<const CLI::Option*> flags_of(const CLI::App& command) {
  std::vector<const CLI::Option*> flags;
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_lnames().empty()) flags.push_back(option);
  }
  return flags;
}

std::string name_of(const CLI::Option& flag) {
  return "--" + flag.get_lnames().front();
}

bool repeats(const CLI::Option& option) {
  return option.get_items_expected_max() > 1;
}

bool takes_value(const CLI::Option& flag) {
  return flag.get_items_expected_max() > 0;
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
  return joined(names, " ");
}

std::string bash(const CLI::App& app) {
  std::vector<std::string> names;
  std::map<std::string, std::string> values;  // a flag has the same values with every command
  std::string flags, arguments;
  for (const CLI::App* command : commands_of(app)) {
    const std::string name = command->get_name();
    names.push_back(name);
    flags += "    " + name + ") flags='" + names_of(*command) + "' ;;\n";
    for (const CLI::Option* flag : flags_of(*command)) {
      if (takes_value(*flag)) values[name_of(*flag)] = joined(words_of(*flag), " ");
    }
    const CLI::Option* argument = positional_of(*command);
    const std::string words = argument == nullptr ? "" : joined(words_of(*argument), " ");
    if (!words.empty()) arguments += "      " + name + ") words='" + words + "' ;;\n";
  }
  std::string cases;
  for (const auto& [flag, words] : values)
    cases += "    " + flag + ") " + (words.empty() ? "files=1" : "words='" + words + "'") + " ;;\n";
  return R"(# Completion of eidolon for bash, printed by `eidolon completion bash`.
_eidolon() {
  local command=${COMP_WORDS[1]} current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local flags='' words='' files=''
  COMPREPLY=()
  case $command in
)" + flags +
         R"(  esac
  case $previous in
)" + cases +
         R"(  esac
  if [ "$COMP_CWORD" = 1 ]; then
    words=')" +
         joined(names, " ") + R"( --help --version'
  elif [ -z "$words$files" ] && [[ $current == -* ]]; then
    words=$flags
  elif [ -z "$words$files" ]; then
    files=1
    case $command in
)" + arguments +
         R"(    esac
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
}

/// A value of _arguments: what it is, and what it may be.
std::string zsh_value(const CLI::Option& option) {
  const std::vector<std::string> words = words_of(option);
  const std::string& what = option.get_single_name();
  if (words.empty()) return ":" + what + ":_files";
  return what == "set" ? ":key:compadd -S \"\" -- " + joined(words, " ") : ":" + what + ":(" + joined(words, " ") + ")";
}

std::string zsh(const CLI::App& app) {
  std::string names, cases;
  for (const CLI::App* command : commands_of(app)) {
    names += "    " + quoted(command->get_name() + ":" + replaced(command->get_description(), ":", "\\:")) + "\n";
    cases += "    " + command->get_name() + ")\n      _arguments";
    for (const CLI::Option* flag : flags_of(*command)) {
      std::string help = first_line(flag->get_description());
      for (const char* letter : {"[", "]", ":"}) help = replaced(help, letter, std::string("\\") + letter);
      cases += " \\\n        " + quoted((repeats(*flag) ? "*" : "") + name_of(*flag) + "[" + help + "]" +
                                        (takes_value(*flag) ? zsh_value(*flag) : ""));
    }
    const CLI::Option* argument = positional_of(*command);
    if (argument != nullptr) cases += " \\\n        " + quoted((repeats(*argument) ? "*" : "1") + zsh_value(*argument));
    cases += " ;;\n";
  }
  return R"(#compdef eidolon
# Completion of eidolon for zsh, printed by `eidolon completion zsh`.
_eidolon() {
  local -a commands=(
)" + names +
         R"(  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  shift words
  (( CURRENT-- ))
  case $words[1] in
)" + cases +
         R"(  esac
}
if [[ $funcstack[1] == _eidolon ]]; then
  _eidolon "$@"
else
  compdef _eidolon eidolon
fi
)";
}

std::string fish(const CLI::App& app) {
  std::string text = "# Completion of eidolon for fish, printed by `eidolon completion fish`.\n";
  for (const CLI::App* command : commands_of(app)) {
    const std::string name = command->get_name(), within = "complete -c eidolon -n '__fish_seen_subcommand_from " + name + "'";
    text += "complete -c eidolon -f -n __fish_use_subcommand -a " + name + " -d " + quoted(command->get_description()) + "\n";
    for (const CLI::Option* flag : flags_of(*command)) {
      const std::vector<std::string> words = words_of(*flag);
      text += within + " -l " + flag->get_lnames().front();
      if (takes_value(*flag)) text += words.empty() ? " -r -F" : " -x -a " + quoted(joined(words, " "));
      text += " -d " + quoted(first_line(flag->get_description())) + "\n";
    }
    const CLI::Option* argument = positional_of(*command);
    const std::vector<std::string> words = argument == nullptr ? std::vector<std::string>() : words_of(*argument);
    if (!words.empty()) text += within + " -f -a " + quoted(joined(words, " ")) + "\n";
  }
  return text;
}

/// Text of man(7): no letter of it is taken for a macro, an escape or a hyphen.
std::string roff(const std::string& text) {
  std::string escaped = replaced(replaced(text, "\\", "\\e"), "-", "\\-");
  escaped = replaced(escaped, "\n", "\n.br\n\\&");
  return escaped.starts_with('.') || escaped.starts_with('\'') ? "\\&" + escaped : escaped;
}

std::string capitals(std::string text) {
  for (char& letter : text) letter = letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter;
  return text;
}

std::string man_of_command(const CLI::App& command) {
  const CLI::Option* argument = positional_of(command);
  std::string text = ".SS \"" + command.get_name();
  if (argument != nullptr) {
    const std::string what = capitals(argument->get_single_name()) + (repeats(*argument) ? "..." : "");
    text += argument->get_required() ? " " + what : " [" + what + "]";
  }
  text += "\"\n" + roff(command.get_description()) + ".\n";
  if (argument != nullptr && !argument->get_description().empty())
    text += ".TP\n.I " + capitals(argument->get_single_name()) + "\n" + roff(argument->get_description()) + "\n";
  for (const CLI::Option* flag : flags_of(command)) {
    if (flag->get_lnames().front() == "help") continue;
    text += ".TP\n.B " + roff(name_of(*flag)) + (takes_value(*flag) ? " \\fIVALUE\\fR" : "") + "\n" +
            roff(flag->get_description()) + "\n";
  }
  return text;
}

}  // namespace

std::string completion(const CLI::App& app, const std::string& shell) {
  return shell == "bash" ? bash(app) : shell == "zsh" ? zsh(app) : fish(app);
}

std::string man_page(const CLI::App& app, const std::string& version) {
  std::string text = ".TH EIDOLON 1 \"\" \"Eidolon " + version.substr(0, version.find(' ')) + "\" \"User Commands\"\n";
  text += ".SH NAME\neidolon \\- quantizes pretrained vision models without a single real image\n";
  text += ".SH SYNOPSIS\n.B mpirun \\-n\n.I RANKS\n.B eidolon\n.I COMMAND\n.RI [ ARGUMENT ]\n.RI [ FLAGS ]\n";
  text +=
      ".SH DESCRIPTION\nRanks make images from a teacher into shards, fine\\-tune a quantized student on them, and write it "
      "as\n"
      "files for other programs. Each command can be stopped and started again. It continues where it stopped.\n"
      "\\fBeidolon keys\\fR prints the keys of a job.\n.SH COMMANDS\n";
  for (const CLI::App* command : commands_of(app)) text += man_of_command(*command);
  text +=
      ".SH \"EXIT STATUS\"\n.TP\n.B 0\ndone\n.TP\n.B 75\nstopped after a checkpoint: run the same command again\n"
      ".TP\n.B 64\nthe job, the weights, the launch or the command line is wrong: read the line on stderr\n"
      ".TP\n.B 70\na disk is full, a rank hung, or a library failed: mend what the line names, and run the command again\n";
  text +=
      ".SH EXAMPLES\n.nf\nmpirun \\-n 2 eidolon run job.toml \\-\\-dry\\-run\n"
      "mpirun \\-n 2 eidolon run job.toml \\-\\-set synthesis.images=128\n"
      "eidolon export job.toml \\-\\-target onnx\neidolon status data_out/job\n.fi\n"
      ".SH \"SEE ALSO\"\n.BR mpirun (1),\n.BR sbatch (1)\n";
  return text;
}

}  // namespace eidolon
