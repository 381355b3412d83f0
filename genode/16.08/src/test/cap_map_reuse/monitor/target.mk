TARGET   = test-cap_map_reuse
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base config cap_space_monitor
INC_DIR += $(REP_DIR)/../26.02/src/test/cap_map_reuse
