TARGET   = test-cap_map_bench
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base cap_space_monitor syscall-foc
