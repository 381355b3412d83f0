TARGET   = test-forged_badge
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base
