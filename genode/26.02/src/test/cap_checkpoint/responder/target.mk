TARGET := test-cap_checkpoint-responder
SRC_CC := main.cc
LIBS   := base
