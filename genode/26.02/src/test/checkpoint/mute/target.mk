TARGET := test-checkpoint-mute
SRC_CC := main.cc
LIBS   := base
