# train::build_id(): one small source file, written at each build and only if its text changed, so that a new commit
# compiles that file and nothing else. hadal_build_id(TARGET) adds it to a library.
function(hadal_build_id target)
  set(file ${CMAKE_BINARY_DIR}/generated/build_id.cpp)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  set(flags "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}}")
  if(HADAL_SANITIZE)
    string(APPEND flags " -fsanitize=${HADAL_SANITIZE}")
  endif()
  string(STRIP "${flags}" flags)
  set(compiler "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}")
  add_custom_target(
    build_id
    COMMAND ${CMAKE_COMMAND} -D FILE=${file} -D SOURCE=${CMAKE_SOURCE_DIR} -D VERSION=${PROJECT_VERSION} -D
            COMPILER=${compiler} -D FLAGS=${flags} -P ${CMAKE_SOURCE_DIR}/cmake/write_build_id.cmake
    BYPRODUCTS ${file}
    COMMENT "" VERBATIM)
  target_sources(${target} PRIVATE ${file})
  add_dependencies(${target} build_id)
endfunction()
