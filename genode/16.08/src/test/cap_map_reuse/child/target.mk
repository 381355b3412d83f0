TARGET   = test-cap_map_reuse-child
REQUIRES = foc
SRC_CC   = main.cc stack_size.cc
LIBS     = base config
INC_DIR += $(REP_DIR)/../26.02/src/test/cap_map_reuse

vpath main.cc       $(REP_DIR)/../26.02/src/test/cap_map_reuse/child
vpath stack_size.cc $(REP_DIR)/src/test
