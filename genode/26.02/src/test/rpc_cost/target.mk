TARGET = test-rpc_cost
SRC_CC = main.cc
LIBS   = base
