TARGET   := test-checkpoint-transfer
REQUIRES := foc
SRC_CC   := main.cc
LIBS     := base vfs cap_checkpoint_image

# files as 'checkpoint' accesses them
INC_DIR  += $(REP_DIR)/src/checkpoint
