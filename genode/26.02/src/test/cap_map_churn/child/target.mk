TARGET   = test-cap_map_churn-child
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base
INC_DIR += $(PRG_DIR)/..
