TARGET  := test-cap_precopy-child
SRC_CC  := main.cc
LIBS    := base
INC_DIR += $(PRG_DIR)
