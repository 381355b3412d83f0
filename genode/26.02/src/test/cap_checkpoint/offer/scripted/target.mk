TARGET  := test-cap_checkpoint-offer-scripted
SRC_CC  := main.cc
LIBS    := base
INC_DIR += $(PRG_DIR)/..
