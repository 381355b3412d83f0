TARGET   = test-cap_map_hostile-child
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base
