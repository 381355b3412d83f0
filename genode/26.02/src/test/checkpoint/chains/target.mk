TARGET   := test-checkpoint-chains
SRC_CC   := main.cc
LIBS     := base vfs cap_checkpoint_image
INC_DIR  += $(PRG_DIR)
