include $(REP_DIR)/lib/mk/cap_map.inc
