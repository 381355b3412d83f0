TARGET   = test-received_items
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base config
INC_DIR += $(REP_DIR)/../26.02/src/test/received_items
