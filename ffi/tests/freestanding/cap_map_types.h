/*
 * Integer types of an environment that has no header of its own: the compiler
 * knows them. Found before the file of the same name in ffi/include.
 */
#ifndef FREESTANDING_CAP_MAP_TYPES_H
#define FREESTANDING_CAP_MAP_TYPES_H

typedef __UINT8_TYPE__  uint8_t;
typedef __UINT32_TYPE__ uint32_t;
typedef __UINT64_TYPE__ uint64_t;
typedef __SIZE_TYPE__   size_t;

#ifndef __cplusplus
#define bool _Bool
#endif

#endif /* FREESTANDING_CAP_MAP_TYPES_H */
