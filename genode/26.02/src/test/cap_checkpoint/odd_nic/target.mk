TARGET := test-cap_checkpoint-odd_nic
SRC_CC := main.cc
LIBS   := base
