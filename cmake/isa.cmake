# src/kernels/cpu/*.cpp are compiled once per ISA, each copy in a namespace of its own (HADAL_ISA_NS).
file(GLOB HADAL_CPU_KERNELS CONFIGURE_DEPENDS src/kernels/cpu/*.cpp)
function(hadal_isa name)
  add_library(hadal_kernels_${name} OBJECT ${HADAL_CPU_KERNELS})
  target_include_directories(hadal_kernels_${name} PRIVATE src)
  target_link_libraries(hadal_kernels_${name} PRIVATE hadal_tensor)
  target_compile_options(hadal_kernels_${name} PRIVATE $<$<NOT:$<CONFIG:Sanitize>>:-O3> ${ARGN})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # gcc 12 sees uninitialised registers in its own AVX-512 headers.
    target_compile_options(hadal_kernels_${name} PRIVATE -Wno-maybe-uninitialized -Wno-uninitialized)
  endif()
  if(HADAL_SANITIZE MATCHES "undefined" AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # These two double the minutes of compilation; what they would find in a kernel, asan finds when it is touched.
    target_compile_options(hadal_kernels_${name} PRIVATE -fno-sanitize=pointer-overflow,object-size)
  endif()
  target_compile_definitions(hadal_kernels_${name} PRIVATE HADAL_ISA_NS=${name})
  target_sources(hadal_kernels PRIVATE $<TARGET_OBJECTS:hadal_kernels_${name}>)
endfunction()
hadal_isa(avx2 -mavx2 -mfma -mf16c -mbmi2)
hadal_isa(avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c -mbmi2 -mprefer-vector-width=512)
hadal_isa(avx512bf16 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512bf16 -mfma -mf16c -mbmi2 -mprefer-vector-width=512)
# Every machine we run on has FMA; without the flag std::fma would be emulated, a hundred times slower.
file(GLOB HADAL_REF_KERNELS CONFIGURE_DEPENDS src/kernels/ref/*.cpp)
set_source_files_properties(${HADAL_REF_KERNELS} PROPERTIES COMPILE_OPTIONS "-mfma")
