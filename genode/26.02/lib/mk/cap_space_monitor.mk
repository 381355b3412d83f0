REQUIRES := foc
SRC_CC   := cap_space.cc gates.cc pd.cc cpu.cc freezer.cc restart_records.cc
LIBS     := base cap_map syscall-foc

INC_DIR  += $(dir $(call select_from_repositories,src/include/cap_map.h))

# how a thread is diverted depends on the processor architecture
INC_DIR  += $(REP_DIR)/src/lib/cap_space_monitor/spec/$(or $(filter arm,$(SPECS)),generic)

vpath %.cc $(REP_DIR)/src/lib/cap_space_monitor
