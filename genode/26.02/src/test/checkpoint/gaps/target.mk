TARGET := test-checkpoint-gaps
SRC_CC := main.cc
LIBS   := base
