// Functions that the compiler makes several of, for processors with wider and narrower vectors.
#pragma once

/// In front of a function: the program takes the widest that the processor has (GCC's function multiversioning). Sums and
/// products must not depend on the width: only loops without a reduction have the same bits everywhere.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define EIDOLON_FOR_EACH_VECTOR_WIDTH __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define EIDOLON_FOR_EACH_VECTOR_WIDTH
#endif
