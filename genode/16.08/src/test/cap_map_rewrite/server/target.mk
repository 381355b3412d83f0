TARGET   = test-cap_map_rewrite-server
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base
INC_DIR += $(REP_DIR)/../26.02/src/test/cap_map_rewrite
