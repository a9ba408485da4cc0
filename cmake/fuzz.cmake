# The fuzzers (tests/fuzz), one program per reader, in the build of preset asan-ubsan: what readers are made of is compiled
# once for its tests and for libFuzzer. fuzz_NAME is the reader as it is; fuzz_NAME_planted has a bug of the kind that it
# must find (scripts/fuzz.sh planted). They are built when asked for.
foreach(name base text io data model train verify)
  target_compile_options(hadal_${name} PRIVATE -fsanitize=fuzzer-no-link)
endforeach()

set(HADAL_FUZZ_TARGETS safetensors json tokenizer recipe corpora shards state metrics reference)
foreach(name ${HADAL_FUZZ_TARGETS})
  foreach(program fuzz_${name} fuzz_${name}_planted)
    add_executable(${program} EXCLUDE_FROM_ALL tests/fuzz/${name}_target.cpp tests/fuzz/support.cpp
                              tests/fuzz/libfuzzer/driver.cpp tests/fuzz/libfuzzer/mutator.cpp)
    target_include_directories(${program} PRIVATE tests)
    target_compile_definitions(${program} PRIVATE HADAL_FUZZ_TARGET=${name})
    target_compile_options(${program} PRIVATE -fsanitize=fuzzer-no-link)
    target_link_libraries(${program} PRIVATE hadal_verify)
    target_link_options(${program} PRIVATE -fsanitize=fuzzer)
  endforeach()
  target_compile_definitions(fuzz_${name}_planted PRIVATE HADAL_PLANTED_BUG)
endforeach()
