TARGET   = test-cap_map_churn-child
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base config
INC_DIR += $(REP_DIR)/../26.02/src/test/cap_map_churn
