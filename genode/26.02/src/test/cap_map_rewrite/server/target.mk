TARGET   = test-cap_map_rewrite-server
REQUIRES = foc
SRC_CC   = main.cc
INC_DIR += $(PRG_DIR)/..
LIBS     = base
