TARGET := test-net_block
SRC_CC := main.cc
LIBS   := base
