TARGET := test-cap_checkpoint-peer
SRC_CC := main.cc
LIBS   := base
