TARGET := test-cap_checkpoint-late_files
SRC_CC := main.cc
LIBS   := base
