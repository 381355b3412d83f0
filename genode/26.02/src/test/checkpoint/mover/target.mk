TARGET := test-checkpoint-mover
SRC_CC := main.cc
LIBS   := base
