TARGET := test-cap_checkpoint-frames
SRC_CC := main.cc
LIBS   := base
