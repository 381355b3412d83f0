TARGET   = test-cap_map_leak
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base
