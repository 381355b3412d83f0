TARGET := test-cap_checkpoint-services
SRC_CC := main.cc
LIBS   := base
