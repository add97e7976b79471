// Checks that all ranks run the same program on the same input, before any work depends on it.
#pragma once

#include <string>

#include "cluster/communicator.h"

namespace eidolon {

/// Collective. Compares `text` with rank 0's, line by line. Throws BadInput on all ranks if any rank differs; only rank
/// 0 reports it. Example: "<what> of rank 2 on node7 is not that of rank 0 on node1: 'libtorch 2.11.0' against
/// 'libtorch 2.10.0'; <remedy>".
void require_same(const Communicator& communicator, const std::string& what, const std::string& text,
                  const std::string& remedy);

/// The version of the program and the SHA-256 of its executable file.
std::string program_fingerprint(const std::string& version);

/// The version and the build settings of the loaded LibTorch. Lines that depend on the CPU are left out.
std::string libtorch_fingerprint();

/// The vector instruction set that LibTorch uses on this CPU, e.g. "AVX512". Results of two sets differ in their last
/// bits.
std::string cpu_capability();

}  // namespace eidolon
