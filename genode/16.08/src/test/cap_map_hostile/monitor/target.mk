TARGET   = test-cap_map_hostile
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base config cap_space_monitor
