TARGET := test-cap_checkpoint-late_block
SRC_CC := main.cc
LIBS   := base
INC_DIR += $(PRG_DIR)/../include
