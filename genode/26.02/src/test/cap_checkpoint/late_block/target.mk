TARGET := test-cap_checkpoint-late_block
SRC_CC := main.cc
LIBS   := base
