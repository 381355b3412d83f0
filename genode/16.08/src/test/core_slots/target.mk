TARGET   = test-core_slots
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base
