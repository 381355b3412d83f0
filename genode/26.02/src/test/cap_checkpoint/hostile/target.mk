TARGET   := test-cap_checkpoint-hostile
REQUIRES := foc x86_64
SRC_CC   := main.cc
LIBS     := base cap_space_monitor syscall-foc
INC_DIR  += $(dir $(call select_from_repositories,src/include/base_foc/restart_records.h))/..
