TARGET := test-cap_checkpoint-calls
SRC_CC := main.cc
LIBS   := base
