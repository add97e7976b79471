// Which keys of a job have an effect on what it makes.
//
// A key that nothing reads, such as the form of an entropy of weight 0, may be edited freely: it belongs to no identity.
#pragma once

#include <string>
#include <vector>

#include "job/job.h"
#include "job/schema.h"

namespace eidolon {

/// Whether the key's value can change a bit of the images or of the student. Keys that decide neither are always "used".
bool is_used(const Job& job, const Key& key);

/// Full names of the keys that were set to something other than their default and have no effect in this job. What switches
/// a part off has one.
std::vector<std::string> settings_without_effect(const Job& job);

}  // namespace eidolon
