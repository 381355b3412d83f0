TARGET := test-checkpoint-typist
SRC_CC := main.cc
LIBS   := base
