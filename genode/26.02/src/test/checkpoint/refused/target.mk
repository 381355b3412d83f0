TARGET := test-checkpoint-refused
SRC_CC := main.cc
LIBS   := base vfs
INC_DIR += $(PRG_DIR) $(PRG_DIR)/../../cap_checkpoint/include
