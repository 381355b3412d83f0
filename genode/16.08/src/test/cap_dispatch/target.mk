TARGET   = test-cap_dispatch
REQUIRES = foc
SRC_CC   = main.cc stack_size.cc
LIBS     = base config
INC_DIR += $(dir $(call select_from_repositories,src/include/cap_map.h))

vpath main.cc       $(REP_DIR)/../26.02/src/test/cap_dispatch
vpath stack_size.cc $(REP_DIR)/src/test
