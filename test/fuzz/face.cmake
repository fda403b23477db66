peernet_fuzz(rpc_line peernet_face)
peernet_fuzz(config peernet_face)
target_link_libraries(rpc_line_replay PRIVATE nlohmann_json::nlohmann_json)
