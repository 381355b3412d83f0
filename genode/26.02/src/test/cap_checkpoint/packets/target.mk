TARGET := test-cap_checkpoint-packets
SRC_CC := main.cc
LIBS   := base
INC_DIR += $(PRG_DIR) $(PRG_DIR)/../include
