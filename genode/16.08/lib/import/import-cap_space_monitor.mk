# header of the flat capability table
INC_DIR += $(dir $(call select_from_repositories,src/include/cap_map.h))
