# eidolon_headers: proves that every header of src/ compiles alone. Each is compiled in a generated source file that includes
# only this header. Three things make it cheap and hide no missing include, since include lines precede all code:
#
# * A header that includes base/tensor.h, directly or through others, is compiled behind the precompiled base/tensor.h.
# * Of such headers, some that include each other share a source file. The included one stands first, where it would be anyway.
# * All other headers are compiled with nothing in front.
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

file(GLOB_RECURSE headers RELATIVE ${CMAKE_SOURCE_DIR}/src CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/*.h)
foreach(header ${headers})
  eidolon_included_headers(${header} included)
  if(base/tensor.h IN_LIST included)
    list(LENGTH included count)
    list(APPEND with_libtorch ${count}:${header})
  else()
    set(source ${CMAKE_BINARY_DIR}/headers/${header}.cpp)
    file(CONFIGURE OUTPUT ${source} CONTENT "#include \"${header}\"\n")
    set_source_files_properties(${source} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
    list(APPEND sources ${source})
  endif()
endforeach()

# From the header with the most includes downwards: each begins a file and is joined by one that it includes, and so on.
list(SORT with_libtorch COMPARE NATURAL ORDER DESCENDING)
list(TRANSFORM with_libtorch REPLACE "^[0-9]+:" "")
set(left ${with_libtorch})
foreach(header ${with_libtorch})
  if(header IN_LIST left)
    set(next ${header})
    set(lines "")
    while(next)
      string(PREPEND lines "#include \"${next}\"\n")
      list(REMOVE_ITEM left ${next})
      eidolon_included_headers(${next} included)
      set(next "")
      foreach(candidate ${left})
        if(candidate IN_LIST included)
          set(next ${candidate})
          break()
        endif()
      endforeach()
    endwhile()
    set(source ${CMAKE_BINARY_DIR}/headers/${header}.cpp)
    file(CONFIGURE OUTPUT ${source} CONTENT "${lines}")
    list(APPEND sources ${source})
  endif()
endforeach()

add_library(eidolon_headers OBJECT EXCLUDE_FROM_ALL ${sources})
target_include_directories(eidolon_headers PRIVATE ${CMAKE_SOURCE_DIR}/src)
target_link_libraries(eidolon_headers PRIVATE torch::torch MPI::MPI_C hdf5::serial nlohmann_json::nlohmann_json)
target_precompile_headers(eidolon_headers REUSE_FROM eidolon_precompiled)
eidolon_warnings(eidolon_headers)
