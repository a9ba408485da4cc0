# The fuzzers (tests/fuzz), one program per reader: preset fuzz, clang with libFuzzer, asan and ubsan. Only what readers
# call is compiled, and no kernel, so that a bare machine has them in a few minutes. fuzz_NAME is the reader as it is;
# fuzz_NAME_planted has a bug of the kind that it must find (scripts/fuzz.sh planted).
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  message(FATAL_ERROR "the fuzzers need clang: cmake --preset fuzz")
endif()
add_compile_options(-fsanitize=fuzzer-no-link)

# Modules are linked because a report counts a model's parameters with them; tests/fuzz/libfuzzer/no_kernels.cpp stands
# for what they would compute with.
file(GLOB modules CONFIGURE_DEPENDS src/nn/*.cpp src/ops/*.cpp src/autograd/*.cpp src/kernels/*.cpp)
list(FILTER modules EXCLUDE REGEX "/kernels/table[.]cpp$")
add_library(fuzz_modules STATIC ${modules} src/model/build.cpp src/model/causal_lm.cpp src/train/optimizer.cpp)
target_include_directories(fuzz_modules PUBLIC src)
target_compile_options(fuzz_modules PRIVATE -O0 -g0 -fno-sanitize=all)

file(GLOB readers CONFIGURE_DEPENDS src/base/*.cpp src/base/report/*.cpp src/tensor/*.cpp src/text/*.cpp src/data/*.cpp
     src/io/*.cpp src/model/*.cpp src/train/*.cpp)
list(FILTER readers EXCLUDE REGEX "/(build|causal_lm|optimizer|trainer|dry_step|bench|plan|plan_time|peak|objective|setup|evaluate|generate|generate_kinds|bpe_trainer)[.]cpp$")
add_library(fuzz_readers STATIC ${readers} src/verify/reference.cpp src/verify/settings.cpp)
target_include_directories(fuzz_readers PUBLIC src tests)
target_link_libraries(fuzz_readers PUBLIC Threads::Threads fmt::fmt nlohmann_json::nlohmann_json
                                          PkgConfig::ZSTD PkgConfig::ZLIB PkgConfig::PCRE2 PkgConfig::UTF8PROC)
hadal_build_id(fuzz_readers)

set(HADAL_FUZZ_TARGETS safetensors json tokenizer recipe corpora shards state metrics reference)
foreach(name ${HADAL_FUZZ_TARGETS})
  foreach(program fuzz_${name} fuzz_${name}_planted)
    add_executable(${program} tests/fuzz/${name}_target.cpp tests/fuzz/support.cpp tests/fuzz/libfuzzer/driver.cpp
                              tests/fuzz/libfuzzer/mutator.cpp tests/fuzz/libfuzzer/no_kernels.cpp)
    target_compile_definitions(${program} PRIVATE HADAL_FUZZ_TARGET=${name})
    target_link_libraries(${program} PRIVATE fuzz_readers fuzz_modules fuzz_readers)
    target_link_options(${program} PRIVATE -fsanitize=fuzzer)
  endforeach()
  target_compile_definitions(fuzz_${name}_planted PRIVATE HADAL_PLANTED_BUG)
  set_target_properties(fuzz_${name}_planted PROPERTIES EXCLUDE_FROM_ALL ON)
endforeach()
