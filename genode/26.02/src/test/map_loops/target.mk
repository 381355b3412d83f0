TARGET   = test-map_loops
SRC_CC   = main.cc
LIBS     = base
