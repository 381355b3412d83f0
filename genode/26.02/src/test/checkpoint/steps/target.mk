TARGET := test-checkpoint-steps
SRC_CC := main.cc
LIBS   := base
