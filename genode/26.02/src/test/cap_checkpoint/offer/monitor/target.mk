TARGET   := test-cap_checkpoint-offer
REQUIRES := foc
SRC_CC   := main.cc
LIBS     := base cap_map cap_space_monitor cap_checkpoint cap_checkpoint_image syscall-foc
INC_DIR  += $(PRG_DIR) $(PRG_DIR)/../../monitor $(PRG_DIR)/../../include
INC_DIR  += $(PRG_DIR)/../../../checkpoint/refused
