TARGET   = test-lock_wakeup
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base syscall-foc
