TARGET  := test-cap_checkpoint-offer-moody
SRC_CC  := main.cc
LIBS    := base
INC_DIR += $(PRG_DIR)/..
