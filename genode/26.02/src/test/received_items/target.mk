TARGET   = test-received_items
REQUIRES = foc
SRC_CC   = main.cc
INC_DIR += $(PRG_DIR)
LIBS     = base-foc syscall-foc
