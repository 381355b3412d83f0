TARGET   = test-cap_freeze
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base sandbox cap_space_monitor syscall-foc
INC_DIR += $(PRG_DIR) $(PRG_DIR)/../thread_pause
