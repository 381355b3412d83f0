TARGET   = test-thread_pause
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base
INC_DIR += $(PRG_DIR)
