TARGET   = test-cap_load
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base
