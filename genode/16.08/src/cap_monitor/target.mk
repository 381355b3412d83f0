TARGET   = cap_monitor
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base config cap_space_monitor
