TARGET  := net_block_client
SRC_CC  := main.cc tcp.cc
LIBS    := base lwip
INC_DIR += $(PRG_DIR) $(PRG_DIR)/..

# options that lwIP was built with
INC_DIR += $(call select_from_repositories,src/lib/lwip/include)

vpath tcp.cc $(PRG_DIR)/..
