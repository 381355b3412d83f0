TARGET   = test-cap_map_attach-child
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base
