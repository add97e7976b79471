# eidolon_headers: proves that every header of src/ compiles alone. What proves it already is left out:
#
# * A header that includes base/tensor.h, directly or through others, may stand behind the precompiled base/tensor.h. Where a
#   source file of src/ includes such a header before all else, that file's own compilation is the proof.
# * Each other header is compiled in a generated source file of one line. Those that do not include base/tensor.h have nothing
#   in front of them.
#
# The include lines are read when CMake configures. scripts/build always does.

# Sets `result` to the headers of src/ that `header` includes, directly or through others.
function(eidolon_included_headers header result)
  get_property(known GLOBAL PROPERTY eidolon_included_${header} SET)
  if(NOT known)
    file(STRINGS ${CMAKE_SOURCE_DIR}/src/${header} lines REGEX "^#include \"")
    foreach(line ${lines})
      string(REGEX REPLACE "^#include \"([^\"]+)\".*" "\\1" included ${line})
      eidolon_included_headers(${included} through)
      list(APPEND all ${included} ${through})
    endforeach()
    list(REMOVE_DUPLICATES all)
    set_property(GLOBAL PROPERTY eidolon_included_${header} "${all}")
  endif()
  get_property(all GLOBAL PROPERTY eidolon_included_${header})
  set(${result} ${all} PARENT_SCOPE)
endfunction()

file(GLOB_RECURSE sources RELATIVE ${CMAKE_SOURCE_DIR}/src CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/*.cpp)
foreach(source ${sources})
  file(STRINGS ${CMAKE_SOURCE_DIR}/src/${source} first LIMIT_COUNT 1 REGEX "^#include ")
  if(first MATCHES "^#include \"([^\"]+)\"")
    list(APPEND included_first ${CMAKE_MATCH_1})
  endif()
endforeach()

file(GLOB_RECURSE headers RELATIVE ${CMAKE_SOURCE_DIR}/src CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/*.h)
foreach(header ${headers})
  eidolon_included_headers(${header} included)
  if(base/tensor.h IN_LIST included AND header IN_LIST included_first)
    continue()
  endif()
  set(source ${CMAKE_BINARY_DIR}/headers/${header}.cpp)
  file(CONFIGURE OUTPUT ${source} CONTENT "#include \"${header}\"\n")
  list(APPEND alone ${source})
  if(NOT base/tensor.h IN_LIST included)
    set_source_files_properties(${source} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
  endif()
endforeach()

add_library(eidolon_headers OBJECT EXCLUDE_FROM_ALL ${alone})
target_include_directories(eidolon_headers PRIVATE ${CMAKE_SOURCE_DIR}/src)
target_link_libraries(eidolon_headers PRIVATE torch::torch MPI::MPI_C hdf5::serial nlohmann_json::nlohmann_json)
target_precompile_headers(eidolon_headers REUSE_FROM eidolon_precompiled)
eidolon_warnings(eidolon_headers)
