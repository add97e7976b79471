// Groups of keys that only one choice reads, such as [synthesis.sardfq] of synthesis.method = "sardfq".
#pragma once

#include <string>

#include "job/job.h"
#include "job/schema.h"

namespace eidolon {

/// False for a key of a group whose choice the job has not made.
bool applies(const Job& job, const Key& key);

/// Throws BadInput "'synthesis.sardfq.crops' belongs to synthesis.method = "sardfq", ..." unless the key applies.
void require_choice(const Job& job, const Key& key);

/// The keys that make such choices; they must be read before all others.
bool is_choice(const std::string& name);

}  // namespace eidolon
