TARGET  := test-cap_checkpoint-unit_member
SRC_CC  := main.cc
LIBS    := base
INC_DIR += $(PRG_DIR) $(PRG_DIR)/../busy
