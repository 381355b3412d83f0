TARGET   = test-faulters
SRC_CC   = main.cc
LIBS     = base
