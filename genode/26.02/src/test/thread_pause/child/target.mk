TARGET   = test-thread_pause-child
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base
INC_DIR += $(PRG_DIR)/..
