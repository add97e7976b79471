// The way of a result to whoever asked for it. Nothing else in src/ writes to standard output, which tests/structure checks.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace eidolon {

/// To be called before any file is opened. A standard stream that is closed (`>&-`) is occupied, so that no file takes its
/// number and receives what is printed. A reader that goes away is an error to report, not a signal that ends the process.
void hold_standard_streams();

/// Writes all of `text` to standard output. Fault if it does not take it: a full disk, a closed stream, a reader that has left.
void print_result(std::string_view text);

/// On one line, or indented by `indent`. Bytes that are not UTF-8, as names of files may have, become U+FFFD.
std::string json_text(const nlohmann::ordered_json& json, int indent = -1);

}  // namespace eidolon
