# Run by cmake --install: what `program` prints of itself, where shells and man(1) look below `share`.
function(print_page file)
  execute_process(COMMAND ${program} ${ARGN} OUTPUT_VARIABLE text RESULT_VARIABLE code ERROR_VARIABLE said)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${program} ${ARGN} ended with ${code}: ${said}")
  endif()
  message(STATUS "Installing: ${share}/${file}")
  file(WRITE ${share}/${file} "${text}")
endfunction()

print_page(man/man1/eidolon.1 man)
print_page(bash-completion/completions/eidolon completion bash)
print_page(zsh/site-functions/_eidolon completion zsh)
print_page(fish/vendor_completions.d/eidolon.fish completion fish)
