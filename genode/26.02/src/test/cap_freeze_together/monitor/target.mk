TARGET   = test-cap_freeze_together
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base sandbox cap_space_monitor syscall-foc
INC_DIR += $(PRG_DIR)/.. $(PRG_DIR)/../../cap_freeze
