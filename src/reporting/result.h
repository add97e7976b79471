// Output of results. Nothing else in src/ writes to standard output; tests/structure checks this.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace eidolon {

/// Prepares the standard streams; call it before any file is opened. A closed stream (`>&-`) is opened on /dev/null, so
/// that no other file gets its descriptor. SIGPIPE is ignored, so that a reader that closes the pipe causes an error
/// and not a signal.
void hold_standard_streams();

/// Writes all of `text` to standard output. Throws Fault on failure: a full disk, a closed stream or a closed pipe.
void print_result(std::string_view text);

/// The same in the place of what stands on a terminal; elsewhere behind an empty line.
void print_anew(std::string_view text);

/// JSON on one line, or indented by `indent`. Invalid UTF-8, which file names may contain, becomes U+FFFD.
std::string json_text(const nlohmann::ordered_json& json, int indent = -1);

}  // namespace eidolon
