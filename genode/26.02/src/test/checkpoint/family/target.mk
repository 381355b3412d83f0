TARGET = test-checkpoint-family
SRC_CC = main.cc
LIBS   = base sandbox
