TARGET   = test-cap_dispatch
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base syscall-foc
INC_DIR += $(dir $(call select_from_repositories,src/include/cap_map.h))
