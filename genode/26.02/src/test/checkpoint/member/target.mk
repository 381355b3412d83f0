TARGET = test-checkpoint-member
SRC_CC = main.cc
LIBS   = base
