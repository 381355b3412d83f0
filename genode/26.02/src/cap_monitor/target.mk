TARGET   = cap_monitor
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base sandbox cap_space_monitor syscall-foc
INC_DIR += $(PRG_DIR)
