REQUIRES := foc
SRC_CC   := cap_space.cc pd.cc cpu.cc
LIBS     := base

INC_DIR  += $(dir $(call select_from_repositories,src/include/cap_map.h))

vpath %.cc         $(REP_DIR)/src/lib/cap_space_monitor
vpath cap_space.cc $(REP_DIR)/../26.02/src/lib/cap_space_monitor
