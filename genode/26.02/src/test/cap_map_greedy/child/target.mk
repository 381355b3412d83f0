TARGET   = test-cap_map_greedy-child
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base
