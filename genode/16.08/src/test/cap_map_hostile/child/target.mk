TARGET   = test-cap_map_hostile-child
REQUIRES = foc
SRC_CC   = main.cc stack_size.cc
LIBS     = base config

vpath main.cc       $(REP_DIR)/../26.02/src/test/cap_map_hostile/child
vpath stack_size.cc $(REP_DIR)/src/test
