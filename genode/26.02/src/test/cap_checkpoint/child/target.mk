TARGET := test-cap_checkpoint-child
SRC_CC := main.cc
LIBS   := base
INC_DIR += $(PRG_DIR)/../include
