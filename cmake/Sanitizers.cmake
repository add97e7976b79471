# With EIDOLON_SANITIZE, everything of this project is built with the named sanitizers. LibTorch, MPI and HDF5 are not: errors
# inside them stay unseen, and errors in memory that they hand over are seen only where this project's code touches it.
#
# Leaks are errors too. The tests labelled `quick` start no MPI, whose libraries keep what they allocate to the end.
set(EIDOLON_SANITIZER_ENVIRONMENT "")
if(EIDOLON_SANITIZE)
  add_compile_options(-fsanitize=${EIDOLON_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${EIDOLON_SANITIZE})
  # Checks the index of std::vector and the like. It leaves the layout of the types as LibTorch was built with.
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
  set(EIDOLON_SANITIZER_ENVIRONMENT
      ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_init_order=1 UBSAN_OPTIONS=print_stacktrace=1)
endif()
