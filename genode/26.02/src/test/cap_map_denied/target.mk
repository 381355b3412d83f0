TARGET   = test-cap_map_denied
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base sandbox cap_space_monitor syscall-foc
