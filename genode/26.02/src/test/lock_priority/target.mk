TARGET   = test-lock_priority
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base-foc syscall-foc
INC_DIR += $(dir $(call select_from_repositories,src/include/cap_map.h))
