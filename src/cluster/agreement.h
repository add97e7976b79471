// What must be the same on every rank, checked before anything depends on it.
#pragma once

#include <string>

#include "cluster/communicator.h"

namespace eidolon {

/// Collective. BadInput, said once, if `text` differs from rank 0's on any rank: "<what> of rank 2 on node7 is not that of rank
/// 0 on node1: 'libtorch 2.11.0' against 'libtorch 2.10.0'; <remedy>". Texts of several lines are compared line by line.
void require_same(const Communicator& communicator, const std::string& what, const std::string& text,
                  const std::string& remedy);

/// Which program this is: its version and the SHA-256 of its file.
std::string program_fingerprint(const std::string& version);

/// Which LibTorch is loaded: version and build settings, without what depends on the CPU.
std::string libtorch_fingerprint();

/// The vector instructions LibTorch uses here ("AVX512"); results of two kinds differ in their last bits.
std::string cpu_capability();

}  // namespace eidolon
