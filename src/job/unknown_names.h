// Refusals of sections and keys that no job has, naming what was probably meant.
#pragma once

#include <string>

namespace eidolon {

/// Throws BadInput "unknown section 'synthesys'; nearest is 'synthesis'" unless `name` is one.
void require_section(const std::string& name);

/// Throws BadInput for a value that stands before the first section.
[[noreturn]] void refuse_outside_sections(const std::string& name);

/// Throws BadInput "unknown key 'synthesis.iteratons'; nearest is 'iterations'"; a key of another section comes with its
/// section.
[[noreturn]] void refuse_key(const std::string& section, const std::string& name);

}  // namespace eidolon
