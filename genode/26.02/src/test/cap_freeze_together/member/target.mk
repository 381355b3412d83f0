TARGET   = test-cap_freeze_together-member
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base
INC_DIR += $(PRG_DIR) $(PRG_DIR)/..
