REQUIRES := foc
SRC_CC   := cap_space.cc gates.cc pd.cc cpu.cc freezer.cc
LIBS     := base cap_map syscall-foc

INC_DIR  += $(dir $(call select_from_repositories,src/include/cap_map.h))

vpath %.cc $(REP_DIR)/src/lib/cap_space_monitor
