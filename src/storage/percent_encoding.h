// Percent encoding: any bytes as printable ASCII text.
#pragma once

#include <string>
#include <string_view>

namespace eidolon {

/// Encodes as %XX every byte that is not printable ASCII, the percent sign and the bytes of `others`, as in a URL. A
/// host name or a path of any bytes so fits into JSON, logs and file names, and can be decoded again.
std::string percent_encoded(std::string_view bytes, std::string_view others = "");

/// The inverse of percent_encoded(). A percent sign that is not followed by two hexadecimal digits stands for itself.
std::string percent_decoded(std::string_view text);

}  // namespace eidolon
