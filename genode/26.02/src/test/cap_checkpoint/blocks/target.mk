TARGET := test-cap_checkpoint-blocks
SRC_CC := main.cc
LIBS   := base
