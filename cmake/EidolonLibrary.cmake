# eidolon_library(NAME SOURCES a.cpp ... [USES other folders] [LINKS external targets])
#
# One static library per folder of src/. Headers are included as "folder/header.h".

# The LibTorch headers that nearly every file needs are compiled once (20 s) and shared (3 s instead of 12 s per file).
add_library(eidolon_precompiled OBJECT ${CMAKE_SOURCE_DIR}/cmake/precompiled.cpp)
target_link_libraries(eidolon_precompiled PUBLIC torch::torch)
target_precompile_headers(eidolon_precompiled PRIVATE ${CMAKE_SOURCE_DIR}/src/base/tensor.h)

# GCC 12 sees overlapping copies in `"text" + std::string` where there are none (GCC bug 105651).
set(false_alarms $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict> $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow>)

function(eidolon_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wnon-virtual-dtor ${false_alarms}
                         $<$<BOOL:${EIDOLON_WERROR}>:-Werror>)
endfunction()

function(eidolon_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES;LINKS" ${ARGN})
  add_library(eidolon_${name} STATIC ${ARG_SOURCES})
  target_include_directories(eidolon_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  list(TRANSFORM ARG_USES PREPEND eidolon_)
  target_link_libraries(eidolon_${name} PUBLIC ${ARG_USES} torch::torch PRIVATE ${ARG_LINKS})
  target_precompile_headers(eidolon_${name} REUSE_FROM eidolon_precompiled)
  eidolon_warnings(eidolon_${name})
endfunction()
