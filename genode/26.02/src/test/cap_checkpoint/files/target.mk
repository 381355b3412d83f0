TARGET := test-cap_checkpoint-files
SRC_CC := main.cc
LIBS   := base
INC_DIR += $(PRG_DIR)
