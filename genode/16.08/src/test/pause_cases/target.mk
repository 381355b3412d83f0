TARGET   = test-pause_cases
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base
