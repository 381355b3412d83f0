TARGET   = test-cap_map_selectors-child
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base config
INC_DIR += $(dir $(call select_from_repositories,src/include/cap_map.h))
