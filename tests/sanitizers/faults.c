/*
 * A program with one fault of the kind that its argument names, to prove that a
 * sanitizer or instrument is at work: race, uninitialised, leak, address, undefined,
 * or none. ffi/tests/run compiles it, too.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int shared;

static void *count(void *argument)
{
	for (int i = 0; i < 10000; i++)
		shared++;
	return argument;
}

int main(int argc, char **argv)
{
	const char *const kind = argc > 1 ? argv[1] : "none";
	if (!strcmp(kind, "race")) {
		pthread_t thread;
		pthread_create(&thread, NULL, count, NULL);
		count(NULL);
		pthread_join(thread, NULL);
	}
	if (!strcmp(kind, "uninitialised")) {
		volatile int *const number = malloc(sizeof(*number));
		if (*number > 1000)
			puts("large");
		free((void *)number);
	}
	if (!strcmp(kind, "leak")) {
		void *volatile block = malloc(100);
		memset(block, 0, 100);
		block = NULL;
	}
	if (!strcmp(kind, "address")) {
		size_t volatile size = 8; /* so that the compiler does not know */
		char volatile *const memory = malloc(size);
		if (memory)
			memory[size] = 1;
		free((void *)memory);
	}
	if (!strcmp(kind, "undefined")) {
		int volatile number = 0x7fffffff;
		number += 1;
	}
	printf("%d\n", shared);
	return 0;
}
