REQUIRES := foc
SRC_CC   := region_map.cc signals.cc pd.cc sessions.cc parent.cc child.cc
SRC_CC   += child_sessions.cc
SRC_CC   += server_session.cc rom.cc report.cc terminal.cc block.cc
SRC_CC   += rm.cc file_system.cc file_nodes.cc file_packets.cc file_handles.cc nic.cc
SRC_CC   += proxy.cc offer.cc clients.cc translate.cc shared_memory.cc provider.cc requests.cc
SRC_CC   += restore_clients.cc donations.cc
SRC_CC   += meaning.cc explain.cc save.cc save_members.cc save_pages.cc shadow.cc precopy.cc
SRC_CC   += restore.cc restore_checks.cc restore_maps.cc restore_members.cc restore_caps.cc revive.cc
# the dynamic linker does not offer its own one
SRC_CC   += elf_binary.cc

LIBS     := base cap_checkpoint_image cap_map cap_space_monitor syscall-foc

# headers of the flat capability table, and those that are internal to base
INC_DIR  += $(dir $(call select_from_repositories,src/include/cap_map.h))
INC_DIR  += $(BASE_DIR)/src/include

vpath elf_binary.cc $(BASE_DIR)/src/lib/base
vpath %.cc $(REP_DIR)/src/lib/cap_checkpoint
