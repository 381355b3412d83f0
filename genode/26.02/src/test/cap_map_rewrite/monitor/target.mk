TARGET   = test-cap_map_rewrite
REQUIRES = foc
SRC_CC   = main.cc
INC_DIR += $(PRG_DIR)/..
LIBS     = base sandbox cap_space_monitor syscall-foc
