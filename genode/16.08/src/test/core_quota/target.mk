TARGET   = test-core_quota
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base
