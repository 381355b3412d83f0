TARGET   = test-faulters
SRC_CC   = main.cc
LIBS     = base
INC_DIR  = $(PRG_DIR)/../cap_checkpoint/include
