TARGET   = test-thread_pause-child
REQUIRES = foc
SRC_CC   = main.cc
LIBS     = base
INC_DIR += $(PRG_DIR) $(PRG_DIR)/..

# the libraries use the other instruction set
ifneq ($(filter arm,$(SPECS)),)
CC_OPT_main += -mthumb -Wa,-mimplicit-it=thumb
endif
