# Run by the target build_id (cmake/build_id.cmake). Without git, or outside of a checkout, the commit is unknown.
cmake_minimum_required(VERSION 3.25)
set(commit "unknown commit")
find_program(git git)
if(git)
  set(ENV{GIT_OPTIONAL_LOCKS} 0)
  execute_process(
    COMMAND ${git} -C ${SOURCE} rev-parse --short=12 HEAD
    OUTPUT_VARIABLE hash
    RESULT_VARIABLE status
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(status EQUAL 0)
    set(commit "commit ${hash}")
    execute_process(
      COMMAND ${git} -C ${SOURCE} status --porcelain --untracked-files=no
      OUTPUT_VARIABLE changed
      ERROR_QUIET)
    if(changed)
      string(APPEND commit "-dirty")
    endif()
  endif()
endif()
string(REGEX REPLACE "[\\\"]" "" flags "${FLAGS}")
file(
  CONFIGURE
  OUTPUT
  ${FILE}
  CONTENT
  "#include \"train/checkpoint.h\"

namespace hadal::train {

std::string build_id() { return \"hadal @VERSION@, @commit@, @COMPILER@, @flags@\"; }

}  // namespace hadal::train
"
  @ONLY)
