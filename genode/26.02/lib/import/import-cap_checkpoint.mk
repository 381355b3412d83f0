# headers of the flat capability table, and those that are internal to base
INC_DIR += $(dir $(call select_from_repositories,src/include/cap_map.h))
INC_DIR += $(BASE_DIR)/src/include
