// The version of everything Eidolon writes. It is part of every identity: raise it when the meaning of a key, a random draw or
// a file's layout changes, so that older artefacts are made again instead of being misread.
#pragma once

namespace eidolon {

inline constexpr int format_version = 3;

}  // namespace eidolon
