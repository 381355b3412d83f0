TARGET  := test-cap_checkpoint-quotas
SRC_CC  := main.cc
LIBS    := base
INC_DIR += $(PRG_DIR)/../include
