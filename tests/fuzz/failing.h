/* Included before the scanner when it is built for fuzzing: the allocation that the worker names fails, once. */
#include <stdlib.h>

/* Allocations until the one that fails; below zero none does. */
__attribute__((visibility("default"))) long fuzz_allocations_left = -1;

static inline int fuzz_fails(void)
{
    return fuzz_allocations_left >= 0 && fuzz_allocations_left-- == 0;
}

static inline void *fuzz_malloc(size_t size)
{
    return fuzz_fails() ? NULL : malloc(size);
}

static inline void *fuzz_calloc(size_t n, size_t size)
{
    return fuzz_fails() ? NULL : calloc(n, size);
}

static inline void *fuzz_realloc(void *block, size_t size)
{
    return fuzz_fails() ? NULL : realloc(block, size);
}

#define malloc fuzz_malloc
#define calloc fuzz_calloc
#define realloc fuzz_realloc
