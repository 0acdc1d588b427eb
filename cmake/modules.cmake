# One folder is one library and one test program: every *.cc is in the library, every *_test.cc in the test.
#
#   fairlead_module(base_io DEPS base base_net uring)      # library base_io, test program base_io_test
#   fairlead_fuzzer(base_http request_fuzz)                # request_fuzz.cc with corpus/request_fuzz/
function(fairlead_module name)
  cmake_parse_arguments(ARG "" "" "DEPS;TEST_DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "(_test|_fuzz|_bench|_main)\\.cc$|/main\\.cc$")
  if(sources)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC ${ARG_DEPS})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE ${ARG_DEPS})
  endif()
  if(tests)
    add_executable(${name}_test ${tests})
    # The optimiser took more than half of a test's build, twice that with sanitizers; what is tested keeps it.
    target_compile_options(${name}_test PRIVATE -O0)
    target_link_libraries(${name}_test PRIVATE ${name} ${ARG_TEST_DEPS} GTest::gmock GTest::gtest_main)
    add_test(NAME ${name} COMMAND ${name}_test)
  endif()
endfunction()

function(fairlead_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
endfunction()

# A program without a loader, for what an engine starts once per container: nothing to find and to bind at each start.
# DEPS are libraries of ours, whose objects are taken as they are needed, without the shared libraries that they ask for:
# code that logs or counts does not link. LIBRARIES are the names of system libraries. Sanitizers need a loader, so their builds have the libraries and tests only.
#
#   fairlead_static_program(fairlead-cni SOURCES cni_main.cc DEPS programs base_http base)   # in the order of need
function(fairlead_static_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LIBRARIES" ${ARGN})
  if(FAIRLEAD_SANITIZE)
    return()
  endif()
  pkg_check_modules(absl_static REQUIRED absl_statusor)
  add_executable(${name} ${ARG_SOURCES})
  foreach(dep ${ARG_DEPS})
    add_dependencies(${name} ${dep})
    target_link_libraries(${name} PRIVATE $<TARGET_FILE:${dep}>)
    set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS $<TARGET_FILE:${dep}>)
  endforeach()
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} ${absl_static_STATIC_LIBRARIES})
  target_link_options(${name} PRIVATE -static -Wl,--gc-sections)
  set_property(GLOBAL APPEND PROPERTY FAIRLEAD_STATIC_PROGRAMS $<TARGET_FILE:${name}>)
endfunction()

function(fairlead_fuzzer module name)
  if(FAIRLEAD_FUZZ)
    add_executable(${name} ${name}.cc)
    target_link_libraries(${name} PRIVATE ${module})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  endif()
endfunction()

function(fairlead_bench module name)
  if(NOT FAIRLEAD_SANITIZE)
    add_executable(${name} ${name}.cc)
    target_link_libraries(${name} PRIVATE ${module} benchmark::benchmark_main)
  endif()
endfunction()
