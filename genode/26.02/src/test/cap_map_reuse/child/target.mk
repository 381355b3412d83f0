TARGET   = test-cap_map_reuse-child
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base
INC_DIR += $(PRG_DIR)/..
