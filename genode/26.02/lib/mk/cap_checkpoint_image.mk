SRC_CC := container.cc table.cc check.cc check_threads.cc check_members.cc chain.cc writer.cc
LIBS   := base

vpath %.cc $(REP_DIR)/src/lib/cap_checkpoint_image
