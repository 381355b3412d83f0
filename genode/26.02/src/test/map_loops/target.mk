TARGET   = test-map_loops
SRC_CC   = main.cc
LIBS     = base
INC_DIR  = $(PRG_DIR)/../cap_checkpoint/include
