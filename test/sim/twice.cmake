# Runs PROGRAM twice with one seed and compares what it prints: the line holds the digest.
foreach(run 1 2)
  # Another environment moves the stack, as address randomisation moves the rest.
  execute_process(
    COMMAND ${CMAKE_COMMAND} -E env "PEERNET_RUN=${run}${run}${run}"
      ${PROGRAM} --seed 2 --scenario ${SCENARIO}
    OUTPUT_VARIABLE output_${run} RESULT_VARIABLE result_${run})
  if(NOT result_${run} EQUAL 0)
    message(FATAL_ERROR "run ${run} of ${SCENARIO} failed: ${output_${run}}")
  endif()
endforeach()
if(NOT output_1 STREQUAL output_2)
  message(FATAL_ERROR "two runs of one seed differ:\n${output_1}${output_2}")
endif()
