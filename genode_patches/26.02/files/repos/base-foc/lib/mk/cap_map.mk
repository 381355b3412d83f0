include $(REP_DIR)/lib/mk/cap_map.inc

SRC_CC += relax.cc
LIBS   += syscall-foc

vpath relax.cc $(REP_DIR)/src/lib/cap_map
