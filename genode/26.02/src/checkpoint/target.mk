TARGET   := checkpoint
REQUIRES := foc
SRC_CC   := main.cc managed_child.cc child_start.cc child_images.cc child_checkpoint.cc child_report.cc
SRC_CC   += child_move.cc child_ahead.cc child_clients.cc ownership.cc image_store.cc image_ahead.cc records.cc
LIBS     := base vfs
LIBS     += cap_map cap_space_monitor cap_checkpoint cap_checkpoint_image syscall-foc
INC_DIR  += $(PRG_DIR)
