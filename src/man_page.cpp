#include "man_page.h"

#include <CLI/CLI.hpp>
#include <string>

#include "command_options.h"

namespace eidolon {
namespace {

/// The macros' text: a dash is \-, since man(7) takes a plain one for a hyphen.
constexpr const char* man_head = R"(.TH EIDOLON 1 "" "Eidolon @version@" "User Commands"
.SH NAME
eidolon \- quantizes pretrained vision models without a single real image
.SH SYNOPSIS
.B mpirun \-n
.I RANKS
.B eidolon
.I COMMAND
.RI [ ARGUMENT ]
.RI [ FLAGS ]
.SH DESCRIPTION
Ranks make images from a teacher into shards, fine\-tune a quantized student on them, and write it as
files for other programs. Each command can be stopped and started again. It continues where it stopped.
\fBeidolon keys\fR prints the keys of a job.
.SH COMMANDS
)";

constexpr const char* man_foot = R"(.SH "EXIT STATUS"
.TP
.B 0
done
.TP
.B 75
stopped after a checkpoint: run the same command again
.TP
.B 64
the job, the weights, the launch or the command line is wrong: read the line on stderr
.TP
.B 70
a disk is full, a rank hung, or a library failed: mend what the line names, and run the command again
.SH EXAMPLES
.nf
mpirun \-n 2 eidolon run job.toml \-\-dry\-run
mpirun \-n 2 eidolon run job.toml \-\-set synthesis.images=128
eidolon export job.toml \-\-target onnx
eidolon status data_out/job
.fi
.SH "SEE ALSO"
.BR mpirun (1),
.BR sbatch (1)
)";

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

std::string man_page(const CLI::App& app, const std::string& version) {
  std::string text = replaced(man_head, "@version@", version.substr(0, version.find(' ')));
  for (const CLI::App* command : commands_of(app)) text += man_of_command(*command);
  return text + man_foot;
}

}  // namespace eidolon
