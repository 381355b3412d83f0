TARGET  := test-cap_checkpoint-busy
SRC_CC  := main.cc
LIBS    := base
INC_DIR += $(PRG_DIR)
